"""
test/demo/keep.py

KEEP=1: how to use what was left running, and the script that ends it.

SPDX-License-Identifier: PostgreSQL
"""

import getpass
import os
import shlex

STOP = """#!/bin/sh
# Ends this demo; its folder goes only when all of it has ended.
PATH=/usr/sbin:/usr/bin:/sbin:/bin
dir=%(dir)s
demo=%(demo)s
owner=%(owner)s

fail()
{
	echo "stop: $1; nothing was removed" >&2
	exit 1
}

# The number of one that has ended may be another's by now.
ours()
{
	test "$(readlink "/proc/$1/cwd")" = "$demo"
}

server()
{
	set -- %(pg_ctl)s -s -D %(data)s "$@"
	test "$(id -un)" = "$owner" || set -- runuser -u "$owner" -- "$@"
	"$@"
}

# A function, since the shell reads this file while it goes, and it goes too.
main()
{
	cd "$dir" && test -w . || fail "only root or $owner may do that"
	for pid in %(pids)s
	do
		! ours "$pid" || kill "$pid"
	done
	deadline=$(($(date +%%s) + 30))
	for pid in %(pids)s
	do
		while ours "$pid"
		do
			test "$(date +%%s)" -le $deadline || fail "process $pid goes on"
			sleep 0.05
		done
	done
%(kafka)s	server status >/dev/null 2>&1
	test $? = 3 || server -m fast stop || fail "PostgreSQL goes on"
	cd / && rm -rf -- "$dir" && echo "stopped, and $dir removed"
	exit
}
main
"""

HOW = """
  psql -h %(socket)s -U postgres postgres
    SELECT outbox_enqueue('sms.order', '{"text": "hello"}');
    SELECT id, route, status FROM outbox.messages ORDER BY id DESC LIMIT 5;
    SELECT * FROM outbox_status();
  tail -f %(log)s

stop: %(stop)s"""


def write_stop(system):
    """The path of the script."""
    scratch = system.scratch
    kafka = "\t%s %s || fail 'Kafka goes on'\n" % (
        shlex.quote(system.copy("test/kafka/stop")),
        shlex.quote(system.path("kafka")))
    path = system.path("stop")
    with open(path, "w", encoding="utf-8") as file:
        file.write(STOP % {
            "dir": shlex.quote(scratch.dir),
            "demo": shlex.quote(os.path.realpath(system.dir)),
            "owner": scratch.user.pw_name if scratch.user
            else getpass.getuser(),
            "pg_ctl": shlex.quote(scratch.program("pg_ctl")),
            "data": shlex.quote(system.cluster.data),
            "pids": " ".join(str(child.pid) for child in system.processes
                             if child.poll() is None),
            "kafka": kafka if system.bootstrap else "",
        })
    os.chmod(path, 0o755)
    return path


def how_to_go_on(system):
    print(HOW % {"socket": system.cluster.dir,
                 "log": system.path("http.jsonl"),
                 "stop": write_stop(system)})
