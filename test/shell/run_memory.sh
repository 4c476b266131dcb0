#!/bin/sh
# test/shell/run_memory.sh
#
# The same for test_memory.c, whose malloc is its own and no sanitizer's.
#
# SPDX-License-Identifier: PostgreSQL
exec "$(dirname "$0")/run_db.sh" test_memory \
	"$(dirname "$0")/../preload/fail_alloc.c -rdynamic -ldl"
