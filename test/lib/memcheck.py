"""
test/lib/memcheck.py

The server under valgrind's memcheck (VALGRIND=yes), which follows it into
its backends and walsenders.  A server that was not built for valgrind hides
from it what goes on inside of a memory context, and has reports of its own
about padding that it writes: those count that have code of ours among the
calls.

SPDX-License-Identifier: PostgreSQL
"""

import glob
import os
import re

WANTED = os.environ.get("VALGRIND") == "yes"
OURS = re.compile(r"outbox(_decoder)?\.so|/(extension|decoder)/\w+\.[ch]:\d")


def server(scratch):
    """The program to start instead of postgres."""
    path = os.path.join(scratch.make("memcheck"), "postgres")
    with open(path, "w", encoding="utf-8") as file:
        file.write("#!/bin/sh\nexec valgrind --quiet --leak-check=no"
                   " --num-callers=50 --error-limit=no --fullpath-after="
                   " --log-file=%s/%%p %s \"$@\"\n"
                   % (os.path.dirname(path), scratch.program("postgres")))
    os.chmod(path, 0o755)
    return path


def reports(scratch):
    """(what counts, how many do not)"""
    found, others = [], 0
    for name in glob.glob(scratch.dir + "/memcheck/[0-9]*"):
        with open(name, encoding="utf-8", errors="replace") as file:
            text = re.sub(r"^==\d+== ?", "", file.read(), flags=re.M)
        for report in re.split(r"\n\n+", text.strip()):
            if OURS.search(report):
                found.append(report)
            else:
                others += report != ""
    return found, others
