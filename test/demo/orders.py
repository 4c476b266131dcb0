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

import psycopg2

ROLLED_BACK = 10        # one transaction in so many


class Target:
    """A destination, as its own log shows it."""

    def __init__(self, route, kind, log, path):
        self.route, self.kind, self.log, self.path = route, kind, log, path
        self.offset = 0
        self.arrived = {}       # id -> time of the first arrival
        self.count = 0          # arrivals, repeated ones too
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
        self.count += 1
        number = int(line["headers"].get("outbox-message-id", "-1"))
        self.arrived.setdefault(number, line["time"])

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


class Orders(threading.Thread):
    def __init__(self, conninfo, rate, targets):
        super().__init__(name="orders", daemon=True)
        self.connection = psycopg2.connect(conninfo)
        self.watcher = psycopg2.connect(conninfo)
        self.watcher.autocommit = True
        self.rate, self.targets = rate, targets
        self.stopped = threading.Event()
        self.error = None
        self.transactions = self.rollbacks = 0
        self.next_count = 0.0

    def run(self):
        due = time.monotonic()
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

    def refresh(self):
        """
        Reads the logs, and the status counts from the database; these walk
        all messages, so they are taken rarely when that takes long.
        """
        for target in self.targets:
            target.read()
        began = time.monotonic()
        if began >= self.next_count:
            self.count()
            self.next_count = began + 5 * (time.monotonic() - began)

    def count(self):
        cursor = self.watcher.cursor()
        cursor.execute("SELECT route, status, count(*) FROM outbox.messages"
                       " GROUP BY 1, 2")
        counts = cursor.fetchall()
        for target in self.targets:
            target.status = {status: number for route, status, number
                             in counts if route == target.route}

    def quiet(self):
        """All that was committed has arrived and is shown as SENT."""
        return all(not target.missing()
                   and target.status.get("SENT", 0) == len(target.committed)
                   for target in self.targets)
