#!/usr/bin/python3
"""
test/oracle/driver.py

The load of the tests: transactions that enqueue in several sessions, with
savepoints, rollbacks and keys, and a log of what became of each message.

    driver.py --conninfo C --log FILE [--sessions N] [--keys N]
              [--seconds S | --transactions N] [--type T] [--rate N]
              [--rollback F] [--savepoint F] [--seed N] [--mix] [--big N]

--mix: in every way there is, see mix.py; and a server that goes away, or is
not the primary any more, is nothing to stop for.

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
import os
import signal
import sys
import threading
import time

import psycopg2
from mix import MixedSession
from session import END_SECONDS, Log, Session

TABLE = """
CREATE TABLE IF NOT EXISTS driver_key (
    key text PRIMARY KEY, seq bigint NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS driver_done (name text)
"""


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
        session.until_end = time.monotonic() + END_SECONDS


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
    parser.add_argument("--mix", action="store_true")
    parser.add_argument("--big", type=int, default=3000,
                        help="messages of the biggest transaction")
    args = parser.parse_args()
    prepare(args)
    threading.excepthook = die
    log = Log(args.log)
    kind = MixedSession if args.mix else Session
    sessions = [kind(n, args, log) for n in range(args.sessions)]
    signal.signal(signal.SIGTERM, lambda *_: end(sessions))
    for session in sessions:
        session.start()
    for session in sessions:
        session.join()
    print("%d transactions" % sum(session.done for session in sessions))
    sys.exit(0)


if __name__ == "__main__":
    main()
