"""
bench/producers.py

What it costs the application: enqueue, enqueue_many, decode.

SPDX-License-Identifier: PostgreSQL
"""

from measure import alternate, row

PAYLOAD_BYTES = 200

# The columns of outbox.message without partitions, with the one index.
PLAIN = """
CREATE TABLE plain (LIKE outbox.message INCLUDING DEFAULTS);
CREATE INDEX plain_id ON plain (id);
CREATE SEQUENCE plain_id_seq;
"""

PLAIN_INSERT = """INSERT INTO plain (id, create_time, generation, shard_id,
 routes, type, content_type, payload) VALUES (nextval('plain_id_seq'), now(),
 0, 512, '{1}', 'bench', 'application/json', :payload);
"""
OUTBOX_INSERT = "SELECT outbox_enqueue('bench', :payload);\n"
OUTBOX_BYTES = """SELECT outbox_enqueue_bytes('bench', :payload,
 'application/json');
"""


def payload():
    """JSON of 200 bytes, as PostgreSQL prints it."""
    head = '{"n": 123456, "text": "'
    return head + "0123456789abcdef" * 11 + "x" * (
        PAYLOAD_BYTES - len(head) - 176 - 2) + '"}'


def unroutable(place):
    """Somewhere for messages to go, though nobody takes them there."""
    place.sql("SELECT outbox_route_create('bench', 'http',"
              " 'http://127.0.0.1:9/')")
    place.sql(PLAIN)


def script(place, name, statement, per_transaction):
    text = statement * per_transaction
    if per_transaction > 1:
        text = "BEGIN;\n" + text + "END;\n"
    return place.write(name, text)


class Load:
    """pgbench on one script: messages a second, and WAL bytes for each."""

    def __init__(self, place, name, statement, per, clients, seconds):
        self.place, self.per = place, per
        self.script = script(place, "%s-%d.sql" % (name, per), statement, per)
        self.arguments = ("-c", clients, "-j", min(2, clients), "-T", max(seconds, clients // 32),
                          "-D", "payload=" + payload())
        self.wal = []

    def __call__(self):
        before = self.place.lsn()
        rate, count = self.place.pgbench(self.script, *self.arguments)
        self.wal.append(float(self.place.lsn() - before) / (count * self.per))
        return rate * self.per


def enqueue_rows(place, options, sync, clients, per):
    loads = [Load(place, name, statement, per, clients, options.seconds)
             for name, statement in (("outbox", OUTBOX_INSERT),
                                     ("plain", PLAIN_INSERT))]
    ours, peer = alternate(options.rate_rounds, *loads)
    conditions = {"synchronous_commit": sync, "payload": "200 B",
                  "messages a transaction": per, "clients": clients}
    yield row("rate", conditions, "messages/s", ours, peer,
              peer_name="INSERT", target=">= 0.95")
    yield row("WAL", conditions, "B/message", loads[0].wal, loads[1].wal,
              peer_name="INSERT", better="less", target="<= 1.15")


def enqueue(place, options):
    """outbox_enqueue against a plain INSERT

    Peer: INSERT of the same columns, given, into a table with one index on
    id, which a sequence fills; the payload is bytea, so that no JSON is
    parsed, and no id is returned.  pgbench, prepared statements, one statement
    a message.
    """
    unroutable(place)
    for sync in ("on", "off"):
        place.setting("synchronous_commit", sync)
        for per in (1, 100):
            for clients in (1, 4, 16, 64):
                yield from enqueue_rows(place, options, sync, clients, per)


MANY_OUTBOX = "SELECT cardinality(outbox_enqueue_many('bench', js)) FROM input;\n"
MANY_PLAIN = """INSERT INTO plain (id, create_time, generation, shard_id,
 routes, type, content_type, payload) SELECT nextval('plain_id_seq'), now(),
 0, 512, '{1}', 'bench', 'application/json', p FROM input, unnest(bytes) p;
"""
MANY_INPUT = """
CREATE TABLE input (js jsonb[], bytes bytea[]);
ALTER TABLE input ALTER js SET STORAGE EXTERNAL,
 ALTER bytes SET STORAGE EXTERNAL;
INSERT INTO input SELECT array_agg(p::jsonb), array_agg(p::bytea)
 FROM generate_series(1, 1000) n, LATERAL (SELECT %s) v (p);
"""


def many(place, options):
    """outbox_enqueue_many, 1,000 a call

    Peer: INSERT ... SELECT unnest(...) of the same columns into a table with
    one index.  Both read their arrays from a row of a table.
    """
    unroutable(place)
    place.sql(MANY_INPUT, payload())
    for clients in (1, 4):
        loads = [Load(place, name, statement, 1, clients, options.seconds)
                 for name, statement in (("many", MANY_OUTBOX),
                                         ("unnest", MANY_PLAIN))]
        ours, peer = alternate(options.rounds, *loads)
        conditions = {"synchronous_commit": "on", "payload": "200 B",
                      "messages a transaction": 1000, "clients": clients}
        yield row("rate", conditions, "messages/s", [r * 1000 for r in ours],
                  [r * 1000 for r in peer], peer_name="INSERT SELECT unnest",
                  target=">= 0.9")
        yield row("WAL", conditions, "B/message",
                  [w / 1000 for w in loads[0].wal],
                  [w / 1000 for w in loads[1].wal],
                  peer_name="INSERT SELECT unnest", better="less",
                  target="<= 1.15")


def decode(place, options):
    """Decoding, with a bare receiver

    Peer: pgoutput, binary, of the same rows.  A receiver that reads and
    throws away; seconds from START_REPLICATION until the last row has passed.
    """
    unroutable(place)
    place.setting("synchronous_commit", "off")
    place.sql("CREATE PUBLICATION bench FOR TABLE outbox.message")
    for per, count, target in ((1, 40000, ">= 1.2"), (1000, 200000, ">= 2.1")):
        for plugin in ("outbox_decoder", "pgoutput"):
            place.sql("SELECT pg_create_logical_replication_slot(%s, %s)",
                      plugin, plugin)
        fill(place, count, per)
        end = place.value("SELECT pg_current_wal_insert_lsn()")
        # Nothing is confirmed: each round decodes the same.
        rate = {}
        for plugin, plugin_options in (
                ("outbox_decoder", decoder_options(place)),
                ("pgoutput", "proto_version '2', publication_names 'bench',"
                 " binary 'true'")):
            rate[plugin] = receiver(place, plugin, end, plugin_options, count)
        ours, peer = alternate(options.rounds, rate["outbox_decoder"],
                               rate["pgoutput"])
        for plugin in ("outbox_decoder", "pgoutput"):
            place.sql("SELECT pg_drop_replication_slot(%s)", plugin)
        yield row("rate", {"payload": "200 B", "messages a transaction": per,
                           "messages": count},
                  "messages/s", ours, peer, peer_name="pgoutput binary",
                  target=target)


def decoder_options(place):
    return ("proto_version '1', schema_oid '%d'"
            % place.value("SELECT 'outbox'::regnamespace::oid"))


def receiver(place, slot, end, slot_options, count):
    conninfo = place.conninfo + " replication=database"

    def run():
        out = place.program("receive", conninfo, slot, end, slot_options)
        seconds, messages, _ = out.split()
        # A frame a transaction, or at least a message a row.
        if int(messages) == 0:
            raise RuntimeError("%s sent nothing" % slot)
        return count / float(seconds)
    return run


def fill(place, count, per):
    """So many messages, so many a transaction, their WAL flushed."""
    if per == 1:
        place.pgbench(script(place, "fill.sql", OUTBOX_INSERT, 1),
                      "-c", 8, "-j", 2, "-t", count // 8,
                      "-D", "payload=" + payload())
    else:
        for _ in range(count // per):
            place.sql("SELECT outbox_enqueue_many('bench',"
                      " array_fill(%s::jsonb, ARRAY[%s]))", payload(), per)
    # Or who decodes the end of it waits for the walwriter, up to 200 ms.
    place.sql("SET LOCAL synchronous_commit = on;"
              " SELECT pg_logical_emit_message(true, 'bench', '')")
