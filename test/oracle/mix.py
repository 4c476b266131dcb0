"""
test/oracle/mix.py

The load of the torture: sessions that enqueue in every way there is, drawn
from a seed, while anything may happen to the server.

Each transaction also writes its name into a table of the driver's own,
driver_done.  Whether it is there in the end says what became of a commit
that was not answered, or that a failover lost.

SPDX-License-Identifier: PostgreSQL
"""

import hashlib
import json
import random
import time

import psycopg2
from session import Session

# What a fault of the server or of the way to it may raise at any moment; all
# else is a mistake of the driver or of the product.
ENDURED = (
    None,       # the connection is gone
    "08000", "08003", "08006", "57P01", "57P02", "57P03", "57P05",
    "25006",    # not the primary any more
    "53100",    # disk full
    "53200", "53300",
    "55P03", "40P01", "40001",
    "58030",    # input or output error
)

# type -> how often
TYPES = {"t.all": 4, "t.alpha": 4, "t.beta": 3, "t.picky": 1}
# The kinds of work in a transaction, and how often.
WORK = {"single": 60, "many": 8, "sizes": 6, "savepoints": 12, "slow": 3,
        "keyless": 6, "big": 0.15}
SIZES = (0, 1, 100, 1999, 2000, 2048, 8192, 32767, 32769, 65536, 200_000,
         1_000_000, 1_048_576)


def draw(dice, weights):
    return dice.choices(list(weights), list(weights.values()))[0]


class MixedSession(Session):
    def __init__(self, number, args, log):
        super().__init__(number, args, log)
        self.number = number
        self.count = 0
        self.prefix = "driver-%d-%d-" % (args.seed, number)
        self.prepared = {}      # name -> when it is to end, its messages
        self.sweep = 0
        self.origin = {}

    # -- the life of a transaction

    def run(self):
        swept = False
        while not (self.finished() and swept):
            began = time.monotonic()
            try:
                swept = self.end_prepared()
                if not self.finished():
                    swept = False   # it may be prepared
                    self.transaction()
            except psycopg2.Error as error:
                if error.pgcode not in ENDURED or \
                        isinstance(error, psycopg2.ProgrammingError):
                    raise
                self.connection = None
                time.sleep(0.1)
            if self.finished() and time.monotonic() > self.until_end:
                break
            pause = self.args.sessions / (self.args.rate or 1000)
            time.sleep(max(0, began + pause * self.dice.expovariate(1)
                           - time.monotonic()))

    def connect(self):
        if self.connection is None:
            self.connection = psycopg2.connect(self.args.conninfo)
            self.connection.autocommit = True   # BEGIN is said here
            self.connection.cursor().execute("SET lock_timeout = '3s'")
        return self.connection.cursor()

    def transaction(self):
        cursor = self.connect()
        self.count += 1
        name = "%s%d" % (self.prefix, self.count)
        # One die for each transaction: what a fault does to one of them does
        # not change the later ones.
        self.dice = random.Random(name)
        kept, dropped = [], []
        try:
            cursor.execute("BEGIN")
            cursor.execute("INSERT INTO driver_done VALUES (%s)"
                           " RETURNING txid_current()", (name,))
            self.origin = {"txid": cursor.fetchone()[0], "nonce": name}
            self.work(cursor, kept, dropped)
        except psycopg2.Error:
            self.log.write(kept + dropped, "rolled back")
            raise
        self.log.write(dropped, "rolled back")
        if self.dice.random() < self.args.rollback:
            self.log.write(kept, "rolled back")
            cursor.execute("ROLLBACK")
        elif self.dice.random() < 0.05:
            self.prepare(cursor, name, kept)
        else:
            self.commit(cursor, kept)
        self.done += 1

    def commit(self, cursor, messages):
        """Answered or not; lsn: the WAL ends there or later when it has."""
        try:
            cursor.execute("COMMIT")
        except psycopg2.Error:
            self.log.write(messages, "unknown")
            raise
        lsn = None
        try:
            cursor.execute("SELECT pg_current_wal_insert_lsn() - '0/0'")
            lsn = int(cursor.fetchone()[0])
        finally:
            for message in messages:
                message["lsn"] = lsn
            self.log.write(messages, "committed")

    # -- two-phase commit: by whatever connection there is when it is time

    def prepare(self, cursor, name, messages):
        due = time.monotonic() + self.dice.random() * 4
        try:
            cursor.execute("PREPARE TRANSACTION %s", (name,))
        except psycopg2.Error as error:
            if error.pgcode is not None:
                self.log.write(messages, "rolled back")
                raise
        self.prepared[name] = (due, messages)

    def end_prepared(self):
        """
        Those whose time has come, and those that should not be there: their
        preparation was not answered, or a failover brought them back.  True
        when there is none left.
        """
        now = time.monotonic()
        if now < self.sweep and not self.finished():
            return False
        self.sweep = now + 1
        cursor = self.connect()
        cursor.execute("SELECT gid FROM pg_prepared_xacts"
                       " WHERE starts_with(gid, %s)", (self.prefix,))
        there = {row[0] for row in cursor.fetchall()}
        for name in there | set(self.prepared):
            due, messages = self.prepared.get(name, (0, []))
            if due < now or self.finished():
                self.end_one(cursor, name, messages, name in there)
                self.prepared.pop(name, None)
        return not self.prepared and not there

    def end_one(self, cursor, name, messages, there):
        if not there:
            self.log.write(messages, "unknown")
        elif not messages or random.Random(name).random() < 0.3:
            cursor.execute("ROLLBACK PREPARED %s", (name,))
            self.log.write(messages, "rolled back")
        else:
            cursor.execute("COMMIT PREPARED %s", (name,))
            self.log.write(messages, "committed")

    # -- what is in it

    def work(self, cursor, kept, dropped):
        getattr(self, "do_" + draw(self.dice, WORK))(cursor, kept, dropped)

    def keys(self, most):
        """In one order, so that two sessions never wait for each other."""
        count = min(self.dice.randint(1, most), self.args.keys)
        return ["key-%d" % key for key in
                sorted(self.dice.sample(range(self.args.keys), count))]

    def take(self, cursor, key, count=1):
        """The next numbers of a key: the last of them."""
        cursor.execute("UPDATE driver_key SET seq = seq + %s WHERE key = %s"
                       " RETURNING seq", (count, key))
        return cursor.fetchone()[0]

    def enqueue(self, cursor, kept, key, seq, body, type_=None):
        type_ = type_ or draw(self.dice, TYPES)
        poison = type_ == "t.picky" and self.dice.random() < 0.2
        headers = {"x-driver": "%s/%s" % (self.origin["nonce"], seq)}
        if poison:
            headers["x-poison"] = "1"
        cursor.execute(
            "SELECT outbox_enqueue_bytes(%s, %s, 'application/x-driver',"
            " message_key => %s, headers => %s)",
            (type_, psycopg2.Binary(body), key, json.dumps(headers)))
        kept.append(dict(
            self.origin, key=key, seq=seq, id=cursor.fetchone()[0],
            type=type_, sha256=hashlib.sha256(body).hexdigest(),
            headers=headers, **({"poison": True} if poison else {})))

    def body(self, key, seq, size=0):
        return (("%s %s " % (key, seq)).encode()
                + self.dice.randbytes(size))

    def do_single(self, cursor, kept, _):
        for key in self.keys(3):
            seq = self.take(cursor, key)
            self.enqueue(cursor, kept, key, seq, self.body(key, seq, 60))

    def do_sizes(self, cursor, kept, _):
        for key in self.keys(2):
            seq = self.take(cursor, key)
            size = self.dice.choice(SIZES)
            self.enqueue(cursor, kept, key, seq,
                         self.dice.randbytes(size))

    def do_keyless(self, cursor, kept, _):
        for n in range(self.dice.randint(1, 5)):
            self.enqueue(cursor, kept, None, n, self.body("none", n, 30))

    def do_savepoints(self, cursor, kept, dropped):
        for key in self.keys(2):
            for depth in range(self.dice.randint(1, 3)):
                cursor.execute("SAVEPOINT s%d" % depth)
                part = []
                try:
                    seq = self.take(cursor, key)
                    self.enqueue(cursor, part, key, seq, self.body(key, seq))
                except psycopg2.Error:
                    dropped += part
                    raise
                if self.dice.random() < 0.5:
                    cursor.execute("ROLLBACK TO s%d" % depth)
                    dropped += [dict(m, undone=True) for m in part]
                else:
                    kept += part

    def do_slow(self, cursor, kept, _):
        """Open for long: low ids that commit last."""
        self.do_keyless(cursor, kept, _)
        time.sleep(self.dice.random() * 4)
        self.do_single(cursor, kept, _)

    def do_many(self, cursor, kept, _):
        self.many(cursor, kept, self.dice.randint(2, 60))

    def do_big(self, cursor, kept, _):
        self.many(cursor, kept, self.dice.randint(self.args.big // 4, self.args.big))

    def many(self, cursor, kept, count):
        """One call; the messages of a key are together."""
        type_ = draw(self.dice, TYPES)
        keys = self.keys(8)
        each = count // len(keys) + 1
        rows = []
        for key in keys:
            last = self.take(cursor, key, each)
            rows += [(key, seq) for seq in range(last - each + 1, last + 1)]
        bodies = ['{"key": "%s", "seq": %d}' % row for row in rows]
        cursor.execute(
            "SELECT outbox_enqueue_many(%s, %s::jsonb[], %s)",
            (type_, bodies, [key for key, _ in rows]))
        for (key, seq), body, number in zip(rows, bodies,
                                            cursor.fetchone()[0]):
            kept.append(dict(
                self.origin, key=key, seq=seq, id=number, type=type_,
                sha256=hashlib.sha256(body.encode()).hexdigest()))
