"""
test/torture/watch.py

Looks at the system from outside all the time, and writes down what rules I6
and I8 of the oracle are about.

SPDX-License-Identifier: PostgreSQL
"""

import threading
import time

import psycopg2

# One that was invalidated confirms nothing any more: it will be made anew.
SLOT = """
SELECT (confirmed_flush_lsn - '0/0')::bigint FROM pg_replication_slots
WHERE slot_name = 'outbox' AND database = current_database()
	AND wal_status <> 'lost'
"""
SETTLED = "SELECT (position - '0/0')::bigint FROM outbox.relay"
# By a snapshot that is newer than the position; rows of a rolled-back
# transaction are none.
OPEN = """
SELECT lower(r), upper(r) - 1
FROM (SELECT range_agg(int8range(id, id + 1)) FROM outbox.message
	  WHERE NOT id <@ (SELECT coalesce(range_agg(u), '{}')
					   FROM outbox.resolved, unnest(ids) AS u)) AS o (ids),
	unnest(ids) AS r
LIMIT 2000
"""


class Watch(threading.Thread):
    def __init__(self, world):
        super().__init__(name="watch", daemon=True)
        self.world, self.over = world, False
        self.every = 3.0

    def run(self):
        due = 0
        while not self.over:
            for relay in self.world.relays:
                self.look_at(relay)
            if time.monotonic() > due:
                began = time.monotonic()
                self.look_at_slot()
                # A big table is asked less often.
                due = began + max(self.every,
                                  10 * (time.monotonic() - began))
            time.sleep(0.5)

    def look_at(self, relay):
        process = relay.process
        if process is None:
            return
        status = process.poll()
        if status is None:
            sample = relay.sample()
            if sample:
                self.world.write("watch.jsonl", **sample)
        elif not relay.asked:
            relay.asked = True
            self.world.note("%s ended by itself: %s" % (relay.name, status))
            self.world.write("watch.jsonl", kind="process_end",
                             name=relay.name, status=status, expected=False)
            relay.start()

    def look_at_slot(self):
        """One line; None when the server does not answer."""
        try:
            connection = self.world.primary.connect()
        except psycopg2.Error:
            return None
        try:
            cursor = connection.cursor()
            cursor.execute(SLOT)
            row = cursor.fetchone()
            if row is None or row[0] is None:
                return None
            cursor.execute(SETTLED)
            settled = cursor.fetchone()[0]
            cursor.execute(OPEN)
            self.world.write("watch.jsonl", kind="slot", confirmed=row[0],
                             settled=settled, open=cursor.fetchall())
            return row[0]
        except psycopg2.Error:
            return None
        finally:
            connection.close()
