#!/bin/sh
# test/shell/run_db.sh
#
# Builds test_db, or the program named, with sanitizers, or what is named for
# the compiler instead, and runs it against a cluster of its own, which is
# gone afterwards.
#
# SPDX-License-Identifier: PostgreSQL
set -eu

program=${1:-test_db}
build_with=${2:--fsanitize=address,undefined -fno-sanitize-recover=all}
here=$(cd "$(dirname "$0")" && pwd)
relay=$here/../../relay
PG_CONFIG=${PG_CONFIG:-pg_config}
bindir=$($PG_CONFIG --bindir)
scratch=$(mktemp -d)
as_server=
if [ "$(id -u)" = 0 ]; then
	as_server="runuser -u postgres --"
	chown postgres "$scratch"
fi

finish()
{
	status=$?
	$as_server "$bindir/pg_ctl" -D "$scratch/data" -m immediate stop \
		>/dev/null 2>&1 || true
	rm -rf "$scratch"
	exit $status
}
trap finish EXIT
trap 'exit 2' INT TERM HUP

${CC:-cc} -std=c11 -D_GNU_SOURCE -DCONNECT_TIMEOUT_MS=1000 -Wall -Wextra \
	-Wshadow -Werror -g -O1 -fno-omit-frame-pointer $build_with \
	-I"$relay" -I"$($PG_CONFIG --includedir)" -o "$scratch/$program" \
	"$here/$program.c" "$relay/db.c" "$relay/stream.c" "$relay/stream_input.c" "$relay/connect.c" \
	"$relay/conninfo.c" "$relay/loss.c" "$relay/loop.c" "$relay/log.c" "$relay/core/mem.c" \
	"$relay/core/replication.c" -L"$($PG_CONFIG --libdir)" -lpq -levent

$as_server "$bindir/initdb" -D "$scratch/data" -U test -A trust -N \
	>"$scratch/initdb.log" 2>&1
cat >>"$scratch/data/postgresql.conf" <<CONF
listen_addresses = ''
unix_socket_directories = '$scratch'
wal_level = logical
fsync = off
max_wal_senders = 5
wal_sender_timeout = 10s
CONF
if [ -n "$($as_server "$bindir/postgres" -D "$scratch/data" \
	-C output_plugin_libraries 2>/dev/null || true)" ]; then
	echo "output_plugin_libraries = 'pgoutput, test_decoding'" \
		>>"$scratch/data/postgresql.conf"
fi
$as_server "$bindir/pg_ctl" -D "$scratch/data" -l "$scratch/server.log" -w \
	start >/dev/null || { cat "$scratch/server.log" >&2; exit 2; }

chmod 755 "$scratch"
# The quarantine of freed memory would hide what the test says about memory.
ASAN_OPTIONS=quarantine_size_mb=1
export ASAN_OPTIONS
"$scratch/$program" \
	"host=$scratch user=test dbname=postgres" \
	"$as_server $bindir/pg_ctl -D $scratch/data -m fast -w -t 30 stop >/dev/null"
