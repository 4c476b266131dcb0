"""
bench/instructions.py

What the processor is given to do, counted by valgrind's callgrind: the same
on any machine of the kind, however loaded, where rates are not.

SPDX-License-Identifier: PostgreSQL
"""

import glob
import os
import re

import psycopg2

from measure import row
from place import demo
from producers import (MANY_INPUT, MANY_OUTBOX, MANY_PLAIN, OUTBOX_BYTES,
                       OUTBOX_INSERT, PLAIN_INSERT, payload, script,
                       unroutable)


class Counted:
    """The place's server, restarted under callgrind."""

    def __init__(self, place):
        self.place = place
        place.connection.close()
        self.stop()
        folder = place.scratch.make("demo/callgrind")
        self.background = 0
        self.server = place.spawn(
            "callgrind", "valgrind", "--tool=callgrind", "--quiet",
            "--callgrind-out-file=%s/%%p" % folder,
            os.path.join(place.scratch.bindir, "postgres"), "-D",
            place.cluster.data)
        demo.wait_for("the server runs under valgrind", self.answers, 120)

    def answers(self):
        """Notes how many processes are the server's own."""
        try:
            connection = psycopg2.connect(self.place.conninfo)
        except psycopg2.OperationalError:
            return False
        cursor = connection.cursor()
        cursor.execute("SELECT count(*) FROM pg_stat_activity"
                       " WHERE backend_type <> 'client backend'")
        self.background = cursor.fetchone()[0]
        connection.close()
        return True

    def quiet(self):
        """No backend is left, so all have written what they counted."""
        parents = []
        for name in glob.glob("/proc/[0-9]*/stat"):
            try:
                with open(name, encoding="ascii", errors="replace") as file:
                    parents.append(int(file.read().rsplit(")")[-1].split()[1]))
            except OSError:
                continue
        return parents.count(self.server.pid) == self.background

    def stop(self):
        self.place.cluster.command("pg_ctl", "-D", self.place.cluster.data,
                                   "-w", "-m", "fast", "stop")

    def counted(self):
        """{file: instructions} of the processes that have ended."""
        found = {}
        for name in glob.glob(self.place.path("callgrind/*")):
            with open(name, encoding="utf-8", errors="replace") as file:
                totals = re.search(r"^totals: (\d+)", file.read(), re.M)
            if totals:
                found[name] = int(totals.group(1))
        return found

    def run(self, path, transactions):
        """All that the backend did, start and end too."""
        demo.wait_for("all backends are gone", self.quiet, 120)
        before = set(self.counted())
        self.place.pgbench(path, "-c", 1, "-t", transactions,
                           "-D", "payload=" + payload())
        demo.wait_for("the backend is gone", self.quiet, 120)
        # pgbench has a second connection, which does nothing.
        return max(count for name, count in self.counted().items()
                   if name not in before)

    def message(self, name, statement, per, messages=1):
        """Of one message, once plans are made and caches are warm."""
        path = script(self.place, "%s-%d.sql" % (name, per), statement, per)
        each = per * messages
        short = max(6, 100 // each)
        long = short + max(10, 1000 // each)
        return ((self.run(path, long) - self.run(path, short))
                / ((long - short) * each))


def returning(statement):
    return statement.replace(";\n", " RETURNING id;\n")


def instructions(place, options):
    """Instructions for a message

    Of the backend alone: protocol, plan, execution, WAL, commit, without the
    kernel.  Counted by valgrind, the difference of a longer and a shorter run
    of the same prepared statements.  "Returning" is INSERT ... RETURNING id, as
    enqueue returns the id.
    """
    unroutable(place)
    place.sql(MANY_INPUT, payload())
    place.setting("synchronous_commit", "off")
    counted = Counted(place)
    try:
        for per in (1, 100):
            counts = {name: counted.message(name, statement, per)
                      for name, statement in (
                          ("outbox_enqueue", OUTBOX_INSERT),
                          ("outbox_enqueue_bytes", OUTBOX_BYTES),
                          ("plain", PLAIN_INSERT),
                          ("returning", returning(PLAIN_INSERT)))}
            for ours, peer, what in (
                    ("outbox_enqueue", "plain", "outbox_enqueue"),
                    ("outbox_enqueue_bytes", "plain", "outbox_enqueue_bytes"),
                    ("outbox_enqueue", "returning",
                     "outbox_enqueue, peer returning")):
                yield row(what, {"payload": "200 B",
                                 "messages a transaction": per},
                          "instructions", [counts[ours]], [counts[peer]],
                          peer_name="INSERT", better="less")
        yield row("outbox_enqueue_many",
                  {"payload": "200 B", "messages a transaction": 1000},
                  "instructions",
                  [counted.message("many", MANY_OUTBOX, 1, 1000)],
                  [counted.message("unnest", MANY_PLAIN, 1, 1000)],
                  peer_name="INSERT", better="less")
    finally:
        counted.stop()
