"""
bench/growth.py

What becomes of the cost of a message when there is more: producers beside
the relay, keys, routes, longer payloads, messages kept.

A row with "at" is a point of a curve: its x.  Where the machine is not
quiet processor time says more than a rate, so curves of the relay are that.

SPDX-License-Identifier: PostgreSQL
"""

import statistics
import time

from measure import alternate, row
from place import demo
from producers import OUTBOX_INSERT, Load, fill, payload

# -- producers and relay on one machine

STEADY_CLIENTS = 16


def steady(place, options):
    """Producers with and without a relay

    16 clients of pgbench enqueue for a while, one message a transaction, the
    relay delivers to an HTTP endpoint; all on this machine.  Messages over the time from the
    first transaction until the last is delivered and settled.  Peer: the
    producers alone.
    """
    place.make_route("http")
    place.run_relay()
    place.setting("synchronous_commit", "on")
    load = Load(place, "steady", OUTBOX_INSERT, 1, STEADY_CLIENTS,
                options.seconds * 2)

    def with_relay():
        place.run_relay()
        place.wait_resolved(place.last_id())
        before = place.resolved()
        began = time.time()
        load()
        place.wait_resolved(place.last_id())
        rate = (place.resolved() - before) / (time.time() - began)
        place.end_relay()
        return float(rate)

    place.sql("SELECT outbox_enqueue('bench', '{}')")
    place.end_relay()
    ours, peer = alternate(options.rounds, with_relay, load)
    yield row("rate", {"synchronous_commit": "on", "payload": "200 B",
                       "messages a transaction": 1,
                       "clients": STEADY_CLIENTS}, "messages/s", ours, peer,
              peer_name="producers alone", target=">= 0.8")


# -- curves of the relay

ENQUEUE = """INSERT INTO outbox_bench_sink
SELECT count(outbox_enqueue_bytes('{type}', {payload}, 'text/plain',
 message_key => {key})) FROM generate_series(1, {count}) AS n"""


class Curve:
    """So many messages enqueued, then delivered: microseconds of the relay."""

    def __init__(self, place):
        self.place, self.total = place, 0
        place.make_route("http")
        place.sql("CREATE TEMP TABLE outbox_bench_sink (n bigint)")
        place.setting("synchronous_commit", "on")
        place.run_relay()
        place.end_relay()

    def __call__(self, count, **what):
        place = self.place
        place.sql(ENQUEUE.format(**{"type": "bench", "count": count,
                                    "key": "NULL", "payload":
                                    "convert_to('%s', 'UTF8')" % payload(),
                                    **what}))
        self.total += count
        place.run_relay()
        place.wait_resolved(self.total)
        cpu = place.relay_cpu()
        place.end_relay()
        return cpu / count * 1e6


def points(rounds, xs, measure):
    """{x: figures}; all are measured in each round, there and back."""
    figures = {x: [] for x in xs}
    for number in range(rounds):
        for x in xs if number % 2 == 0 else reversed(xs):
            figures[x].append(measure(x))
    return figures


def curve(what, unit, conditions, axis, figures):
    for x, values in figures.items():
        yield row(what, {**conditions, axis: "{:,}".format(x).replace(
            ",", " ")}, unit, values, better="less", at=x, axis=axis)


CONDITIONS = {"synchronous_commit": "on", "payload": "200 B",
              "acks": "the answer to each request"}
COUNT = 20000


def growth_keys(place, options):
    """Keys

    Messages of so many ordering keys, in turn, drained to an HTTP endpoint by
    16 requests at a time.  Processor time of the relay from its start, all
    threads.
    """
    drain = Curve(place)
    xs = (16, 100, 1000, 10000, 100000) + ((1000000,) if options.long else ())
    yield from curve(
        "processor time of the relay", "us/message", CONDITIONS, "keys",
        points(options.drains, xs, lambda keys: drain(
            max(COUNT, keys), key="'key-' || (n %% %d)" % keys)))


def growth_payload(place, options):
    """Payload

    Messages of so many bytes that do not compress, drained to an HTTP endpoint
    by 16 requests at a time.  Processor time of the relay from its start.
    """
    drain = Curve(place)
    conditions = {**CONDITIONS, "payload": "as shown"}
    xs = (0, 100, 1000, 10000, 100000, 1000000)

    def measure(size):
        # 32 bytes of a hash in hexadecimal, as often as needed
        text = ("convert_to(substr((SELECT string_agg(md5(n::text || i), '')"
                " FROM generate_series(0, %d) AS i), 1, %d), 'UTF8')"
                % (size // 32, size))
        return drain(max(50, min(COUNT, 50000000 // max(1, size))),
                     payload=text)
    yield from curve("processor time of the relay", "us/message", conditions,
                     "bytes", points(options.drains, xs, measure))


def growth_routes(place, options):
    """Routes

    So many routes of which one takes the message; it is enqueued, 100 to a
    transaction by one client, and drained to an HTTP endpoint.
    """
    drain = Curve(place)
    enqueue = Load(place, "routes", OUTBOX_INSERT, 100, 1, options.seconds)
    figures = {}
    made = 1
    for routes in (1, 10, 100, 500):
        place.sql("SELECT outbox_route_create('other-' || n, 'http', %s,"
                  " ARRAY['other-' || n])"
                  " FROM generate_series(%s, %s) AS n",
                  place.url + "/other", made, routes - 1)
        made = routes
        before = place.last_id()
        rates = [enqueue() for _ in range(options.drains)]
        drain.total += place.last_id() - before
        deliver_all(place)
        figures[routes] = ([1e6 / rate for rate in rates],
                           [drain(COUNT) for _ in range(options.drains)])
    yield from curve("enqueue, by the clock", "us/message", CONDITIONS,
                     "routes", {x: f[0] for x, f in figures.items()})
    yield from curve("processor time of the relay", "us/message", CONDITIONS,
                     "routes", {x: f[1] for x, f in figures.items()})


# -- messages kept

FILL = """
INSERT INTO outbox.message (id, create_time, generation, shard_id, routes,
 type, content_type, payload)
SELECT n, now(), 0, n %% 1024, '{{1}}', 'bench', 'text/plain', '\\x01'
FROM generate_series({0}, {1}) AS n;
SELECT setval('outbox.message_id_seq', {1});
DELETE FROM outbox.resolved;
INSERT INTO outbox.resolved
 VALUES (0, int8multirange(int8range(1, {1} + 1)), now(), 1,
  jsonb_build_object('1', {1}));
"""


def deliver_all(place):
    place.run_relay()
    place.wait_resolved(place.last_id())
    place.end_relay()


def fill_delivered(place, count):
    """The last id before; out of the slot, what is filled in is not sent."""
    last = place.last_id()
    place.sql(FILL.format(last + 1, last + count).replace("%%", "%"))
    place.sql("ANALYZE outbox.message")
    place.sql("SELECT pg_replication_slot_advance('outbox',"
              " pg_current_wal_lsn())")
    place.sql("UPDATE outbox.relay SET position = pg_current_wal_lsn()")
    return last


def growth_retained(place, options):
    """Messages kept

    So many delivered messages of one byte are in the table. Enqueue of 200 B:
    one client, 100 to a transaction. Status: one row of outbox.messages by id, median of
    200. Start: from the start of the relay until it is ready.
    """
    place.make_route("http")
    place.run_relay()
    place.end_relay()
    place.sql("SELECT outbox_enqueue('bench', '{}')")
    load = Load(place, "kept", OUTBOX_INSERT, 100, 1, options.seconds)
    figures, kept = {}, 1
    sizes = (10000, 100000, 1000000) + ((20000000,) if options.long else ())
    for size in sizes:
        last = fill_delivered(place, size - kept)
        kept = size
        rates = [load() for _ in range(options.drains)]
        deliver_all(place)
        figures[size] = (
            [1e6 / rate for rate in rates],
            [look_up(place, last) for _ in range(options.drains)],
            [start_seconds(place) for _ in range(options.drains)])
    for number, (what, unit) in enumerate((
            ("enqueue, by the clock", "us/message"),
            ("status by id", "ms"), ("start", "s"))):
        yield from curve(what, unit, {"synchronous_commit": "on"},
                         "messages kept",
                         {x: f[number] for x, f in figures.items()})


def look_up(place, last):
    times = []
    for number in range(200):
        began = time.perf_counter()
        place.sql("SELECT status FROM outbox.messages WHERE id = %s",
                  1 + number * 7919 % last)
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times)


def start_seconds(place):
    began = time.perf_counter()
    place.run_relay()
    taken = time.perf_counter() - began
    place.end_relay()
    return taken


# -- a backlog

def backlog(place, options):
    """Start and memory with a backlog

    Delivered messages of one byte are in the table, others wait for a paused
    route.  Start: from the start of the relay's process until it is ready.  Memory:
    the most that the relay took, all libraries included: when it wrote the
    backlog, and when it started with twice as much and delivered all of it to
    an HTTP endpoint.
    """
    delivered, waiting = ((10000000, 1000000) if options.long
                          else (1000000, 100000))
    place.make_route("http")
    place.run_relay()
    place.end_relay()
    fill_delivered(place, delivered)
    place.sql("SELECT outbox_route_pause('bench')")

    def wait_in_backlog(count):
        fill(place, waiting, 1000)
        place.run_relay()
        demo.wait_for("the backlog has them", lambda: place.value(
            "SELECT sum(backlog) FROM outbox_status()") == count, 300)
        most = place.relay_status("VmHWM")
        place.end_relay()
        return most

    conditions = {"synchronous_commit": "on", "payload": "200 B",
                  "delivered": "{:,}".format(delivered).replace(",", " ")}
    writing = wait_in_backlog(waiting)
    yield row("start", {**conditions, "backlog": waiting}, "s",
              [start_seconds(place) for _ in range(options.rounds)],
              better="less", target="< 2")
    writing = max(writing, wait_in_backlog(2 * waiting))
    conditions["backlog"] = 2 * waiting
    yield row("greatest memory, writing the backlog", conditions, "MB",
              [writing], better="less", target="<= 64")
    place.run_relay()
    place.sql("SELECT outbox_route_resume('bench')")
    place.wait_resolved(place.last_id(), 600)
    yield row("greatest memory, delivering the backlog", conditions, "MB",
              [place.relay_status("VmHWM")], better="less", target="<= 64")
    place.end_relay()
