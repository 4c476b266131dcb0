#!/bin/sh
# test/shell/run_stream.sh
#
# SPDX-License-Identifier: PostgreSQL
exec "$(dirname "$0")/run_db.sh" test_stream
