"""
test/oracle/session.py

One session of the driver: a plain load of transactions with keys, savepoints
and rollbacks; and the log that all sessions write to.

SPDX-License-Identifier: PostgreSQL
"""

import hashlib
import json
import random
import threading
import time

import psycopg2

# How long prepared transactions may take to be ended when the time is up.
END_SECONDS = 60


class Log:
    def __init__(self, path):
        self.file = open(path, "a", buffering=1, encoding="utf-8")
        self.lock = threading.Lock()

    def write(self, messages, state):
        now = time.time()
        with self.lock:
            for message in messages:
                line = dict(message, state=state, time=now)
                self.file.write(json.dumps(line) + "\n")


class Session(threading.Thread):
    def __init__(self, number, args, log):
        super().__init__(name="session %d" % number)
        self.args, self.log = args, log
        self.dice = random.Random(args.seed * 1000 + number)
        self.connection = None
        self.until = time.monotonic() + args.seconds
        self.until_end = self.until + END_SECONDS
        self.done = 0

    def run(self):
        while not self.finished():
            began = time.monotonic()
            try:
                self.transaction()
            except psycopg2.errors.LockNotAvailable:
                self.connection.rollback()
            except (psycopg2.DatabaseError, psycopg2.InterfaceError) as error:
                # A server that dies says nothing, so there is no code.
                if not isinstance(error, psycopg2.OperationalError) \
                        and error.pgcode:
                    raise
                self.connection = None
                time.sleep(0.05)
            if self.args.rate:
                pause = self.args.sessions / self.args.rate
                time.sleep(max(0, began + pause - time.monotonic()))

    def finished(self):
        if self.args.transactions:
            return self.done >= self.args.transactions
        return time.monotonic() >= self.until

    def transaction(self):
        if self.connection is None:
            self.connection = psycopg2.connect(self.args.conninfo)
        cursor = self.connection.cursor()
        kept, dropped = [], []
        try:
            cursor.execute("SELECT txid_current()")
            txid = cursor.fetchone()[0]
            self.work(cursor, txid, kept, dropped)
        except psycopg2.Error:
            self.log.write(kept + dropped, "rolled back")
            raise
        self.log.write(dropped, "rolled back")
        if self.dice.random() < self.args.rollback:
            self.log.write(kept, "rolled back")
            self.connection.rollback()
            return
        try:
            self.connection.commit()
        except psycopg2.Error:
            self.log.write(kept, "unknown")
            raise
        self.log.write(kept, "committed")
        self.done += 1

    def work(self, cursor, txid, kept, dropped):
        # In one order, so that two sessions never wait for each other.
        keys = sorted(self.dice.sample(range(self.args.keys),
                                       min(self.dice.randint(1, 3),
                                           self.args.keys)))
        for key in keys:
            self.message(cursor, txid, "key-%d" % key, kept)
            if self.dice.random() < self.args.savepoint:
                undone = []
                cursor.execute("SAVEPOINT s")
                try:
                    self.message(cursor, txid, "key-%d" % key, undone)
                finally:
                    dropped += undone
                cursor.execute("ROLLBACK TO s")

    def message(self, cursor, txid, key, taken):
        cursor.execute("UPDATE driver_key SET seq = seq + 1 WHERE key = %s"
                       " RETURNING seq", (key,))
        seq = cursor.fetchone()[0]
        body = json.dumps({"key": key, "seq": seq, "txid": txid}).encode()
        cursor.execute("SELECT outbox_enqueue_bytes(%s, %s,"
                       " 'application/json', message_key => %s)",
                       (self.args.type, body, key))
        taken.append({"txid": txid, "key": key, "seq": seq,
                      "id": cursor.fetchone()[0], "type": self.args.type,
                      "sha256": hashlib.sha256(body).hexdigest()})
