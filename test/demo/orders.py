"""
test/demo/orders.py

The shop of the demo: orders at a steady rate, and what became of them.

SPDX-License-Identifier: PostgreSQL
"""

import json
import os
import random
import threading
import time
from collections import Counter

import psycopg2

ROLLED_BACK = 10        # one transaction in so many
COUNT_SECONDS = 0.5     # between two looks at the status in the database


class Target:
    """A destination, as its own log shows it."""

    def __init__(self, route, kind, log, path):
        self.route, self.kind, self.log, self.path = route, kind, log, path
        # Kafka tells whole milliseconds, cut off; taken as the latest it may be.
        self.tick = 0.001 if kind == "Kafka" else 0.0
        self.offset = 0
        self.arrived = {}       # id -> time of the first arrival
        self.again = []         # times of the arrivals after the first
        self.committed = {}     # id -> time of the commit
        self.rolled_back = set()
        self.status = {}

    def read(self):
        """What has come to the log since the last call."""
        if not os.path.exists(self.log):
            return
        with open(self.log, "rb") as file:
            file.seek(self.offset)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self.offset += len(line)
                self.take(json.loads(line))

    def take(self, line):
        if line["path"] != self.path or not 200 <= line["status"] < 300:
            return
        number = int(line["headers"].get("outbox-message-id", "-1"))
        at = line["time"] + self.tick
        if number in self.arrived:
            self.again.append(at)
        self.arrived.setdefault(number, at)

    def missing(self):
        return [n for n in self.committed if n not in self.arrived]

    def phantoms(self):
        return [n for n in self.arrived
                if n in self.rolled_back or n not in self.committed]

    def latencies(self, since=0.0):
        """Milliseconds from commit to arrival, sorted."""
        return sorted(
            max(0.0, (self.arrived[n] - at) * 1000)
            for n, at in list(self.committed.items())
            if at >= since and n in self.arrived)


class Counts(threading.Thread):
    """
    How many messages of each target have which status in the database, taken
    again and again.  The orders commit one after the other and what is SENT
    stays it, so only what follows the last that all before are SENT is read.
    """

    def __init__(self, conninfo, targets):
        super().__init__(name="counts", daemon=True)
        self.connection = psycopg2.connect(conninfo)
        self.connection.autocommit = True
        self.targets = targets
        self.stopped = threading.Event()
        self.error = None
        self.settled = 0        # up to this id all is SENT ...
        self.sent = Counter()   # ... and so many of each route
        self.asked = time.monotonic()

    def run(self):
        try:
            while not self.stopped.wait(COUNT_SECONDS):
                self.take()
        except psycopg2.Error as error:
            self.error = str(error).strip()

    def query(self, sql, *values):
        asked = time.monotonic()
        with self.connection.cursor() as cursor:
            cursor.execute(sql, values)
            return asked, cursor.fetchall()

    def take(self):
        asked, rows = self.query(
            "SELECT id, route, status FROM outbox.messages WHERE id > %s"
            " ORDER BY id", self.settled)
        above, settled = Counter(), True
        for number, route, status in rows:
            settled = settled and status == "SENT"
            if settled:
                self.settled = number
                self.sent[route] += 1
            else:
                above[route, status] += 1
        for route, count in self.sent.items():
            above[route, "SENT"] += count
        self.publish(asked, above)

    def publish(self, asked, counts):
        for target in self.targets:
            target.status = {status: count for (route, status), count
                             in counts.items() if route == target.route}
        self.asked = asked

    def age(self):
        return time.monotonic() - self.asked

    def finish(self):
        """Ends the thread and counts all, whatever it has seen so far."""
        self.stopped.set()
        self.join(10)
        asked, rows = self.query(
            "SELECT route, status, count(*) FROM outbox.messages GROUP BY 1, 2")
        self.publish(asked, {(route, status): count
                             for route, status, count in rows})


class Orders(threading.Thread):
    def __init__(self, conninfo, rate, targets):
        super().__init__(name="orders", daemon=True)
        self.connection = psycopg2.connect(conninfo)
        self.rate, self.targets = rate, targets
        self.counts = Counts(conninfo, targets)
        self.stopped = threading.Event()
        self.error = None
        self.transactions = self.rollbacks = 0

    def run(self):
        due = time.monotonic()
        self.counts.start()
        try:
            while not self.stopped.is_set():
                self.order()
                due = max(due + 1 / self.rate, time.monotonic() - 0.5)
                self.stopped.wait(max(0, due - time.monotonic()))
        except psycopg2.Error as error:
            self.error = str(error).strip()

    def order(self):
        self.transactions += 1
        customer = random.randint(1, 200)
        cursor = self.connection.cursor()
        cursor.execute(
            "WITH o AS (INSERT INTO orders (customer, amount)"
            " VALUES (%(customer)s, %(amount)s) RETURNING id)"
            " SELECT outbox_enqueue('sms.order', jsonb_build_object("
            "'to', %(customer)s, 'text', 'order ' || id || ' is on its way'),"
            " message_key => %(key)s),"
            " outbox_enqueue('order.created', jsonb_build_object("
            "'order', id, 'customer', %(customer)s, 'amount', %(amount)s),"
            " message_key => %(key)s) FROM o",
            {"customer": customer, "amount": random.randint(1, 500),
             "key": "customer-%d" % customer})
        ids = cursor.fetchone()
        if self.transactions % ROLLED_BACK == 0:
            self.connection.rollback()
            self.rollbacks += 1
            for target, number in zip(self.targets, ids):
                target.rolled_back.add(number)
            return
        self.connection.commit()
        now = time.time()
        for target, number in zip(self.targets, ids):
            target.committed[number] = now

    def finish(self):
        self.stopped.set()
        self.join(10)

    def running(self):
        return not self.stopped.is_set()

    def failure(self):
        return self.error or self.counts.error

    def read_logs(self):
        for target in self.targets:
            target.read()

    def quiet(self):
        """All that was committed has arrived and is shown as SENT."""
        return all(not target.missing()
                   and target.status.get("SENT", 0) == len(target.committed)
                   for target in self.targets)
