#!/usr/bin/python3
"""
test/oracle/driver.py

The load of the tests: transactions that enqueue in several sessions, with
savepoints, rollbacks and keys, and a log of what became of each message.

    driver.py --conninfo C --log FILE [--sessions N] [--keys N]
              [--seconds S | --transactions N] [--type T] [--rate N]
              [--rollback F] [--savepoint F] [--seed N]

Each key has a number that rises by one with each message of it, taken under
a row lock that is held until the end of the transaction: the order of the
numbers is the order of the commits.  One line of JSON for each message:

    {"txid", "key", "seq", "id", "state", "type", "sha256", "time"}

state: committed, rolled back, or unknown (the connection broke during the
commit).  A broken connection is made again until the time is up.  SIGTERM
says that it is up.

SPDX-License-Identifier: PostgreSQL
"""

import argparse
import hashlib
import json
import os
import random
import signal
import sys
import threading
import time

import psycopg2

TABLE = """
CREATE TABLE IF NOT EXISTS driver_key (
    key text PRIMARY KEY, seq bigint NOT NULL DEFAULT 0)
"""


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


def prepare(args):
    with psycopg2.connect(args.conninfo) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT pg_advisory_xact_lock(1)")
        cursor.execute(TABLE)
        cursor.execute("INSERT INTO driver_key SELECT 'key-' || i"
                       " FROM generate_series(0, %s) i ON CONFLICT DO NOTHING",
                       (args.keys - 1,))
    connection.close()


def die(failure):
    """A session that ends before its time ends the driver."""
    threading.__excepthook__(failure)
    os._exit(1)


def end(sessions):
    """After the transactions under way; the log is whole then."""
    for session in sessions:
        session.until = 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--conninfo", required=True)
    parser.add_argument("--log", required=True)
    parser.add_argument("--sessions", type=int, default=4)
    parser.add_argument("--keys", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--transactions", type=int, default=0,
                        help="of each session; instead of --seconds")
    parser.add_argument("--rate", type=float, default=0,
                        help="transactions a second, all sessions; 0: no limit")
    parser.add_argument("--type", default="driver.message")
    parser.add_argument("--rollback", type=float, default=0.1)
    parser.add_argument("--savepoint", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    prepare(args)
    threading.excepthook = die
    log = Log(args.log)
    sessions = [Session(n, args, log) for n in range(args.sessions)]
    signal.signal(signal.SIGTERM, lambda *_: end(sessions))
    for session in sessions:
        session.start()
    for session in sessions:
        session.join()
    print("%d transactions" % sum(session.done for session in sessions))
    sys.exit(0)


if __name__ == "__main__":
    main()
