"""
bench/consumers.py

What the relay does: drain, latency, WAL of a whole life, idleness.

SPDX-License-Identifier: PostgreSQL
"""

import contextlib
import json
import os
import re
import statistics
import threading
import time

import psycopg2

from measure import alternate, busy, histogram, percentile, quantile, row
from producers import (PAYLOAD_BYTES, OUTBOX_INSERT, decoder_options, fill,
                       payload, receiver, script)

DRAIN_COUNT = 200000
HTTP_CONCURRENCY = 16
KAFKA_CONCURRENCY = 4000


@contextlib.contextmanager
def processor_time(figures):
    """Adds what all processes of the machine take for a message, in us."""
    before = busy()
    yield
    figures.append((busy() - before) / DRAIN_COUNT * 1e6)


class Drain:
    """Messages that were enqueued while no relay ran, and then one does."""

    def __init__(self, place, kind, per):
        self.place, self.kind, self.per = place, kind, per
        self.answered, self.decoded, self.memory = [], [], []
        self.processor, self.processor_decode = [], []

    def __call__(self):
        place = self.place
        place.setting("synchronous_commit", "off")
        fill(place, DRAIN_COUNT, self.per)
        place.setting("synchronous_commit", "on")
        self.decode()
        if self.kind == "http":
            place.responder("log")
        with processor_time(self.processor):
            place.run_relay()
            settled = place.wait_resolved(place.last_id())
        started = place.value(
            "SELECT extract(epoch FROM started)::float8 FROM outbox.relay")
        self.memory.append(place.relay_status("VmHWM"))
        if self.kind == "http":
            self.see_answers(settled)
        place.pass_slot()
        place.end_relay()
        return DRAIN_COUNT / (settled - started)

    def decode(self):
        """What a bare receiver makes of the frames that the relay will read."""
        end = self.place.value("SELECT pg_current_wal_insert_lsn()")
        with processor_time(self.processor_decode):
            self.decoded.append(receiver(self.place, "outbox", end,
                                         decoder_options(self.place),
                                         DRAIN_COUNT)())

    def see_answers(self, settled):
        count, first, last = self.place.responder("log")
        if count != DRAIN_COUNT or last > settled:
            raise RuntimeError("%d requests for %d messages"
                               % (count, DRAIN_COUNT))
        self.answered.append(count / (last - first))


def drain(place, options, kind, program, peer_name, acks):
    """The target is of the peer, for Kafka of the slower one of the two."""
    target = ">= 0.75" if kind == "http" else ">= 0.6"
    place.make_route(kind)
    place.run_relay()
    place.end_relay()
    for per in (1000, 1):
        processor_bare = []

        def bare():
            with processor_time(processor_bare):
                return DRAIN_COUNT / float(place.program(*program(place)))

        ours = Drain(place, kind, per)
        settled, peer = alternate(options.drains, ours, bare)
        decode_is_slower = (kind == "kafka" and statistics.median(ours.decoded)
                            < statistics.median(peer))
        conditions = {"synchronous_commit": "on", "payload": "200 B",
                      "messages a transaction": per, "acks": acks,
                      "messages": DRAIN_COUNT}
        yield row("from the relay's start until settled", conditions,
                  "messages/s", settled, peer, peer_name=peer_name,
                  target=None if decode_is_slower else target)
        if kind == "http":
            yield row("from the first request to the last", conditions,
                      "messages/s", ours.answered, peer, peer_name=peer_name)
        else:
            yield row("the same beside the bare decoding of the same frames",
                      conditions, "messages/s", settled, ours.decoded,
                      peer_name="decode", target=target if decode_is_slower
                      else None)
        yield row("processor time, of every process", conditions, "us/message",
                  ours.processor, list(map(sum, zip(processor_bare,
                                                    ours.processor_decode))),
                  peer_name=peer_name + " and decode", better="less")
        yield row("greatest memory of the relay", conditions, "MB",
                  ours.memory, better="less", target="<= 64")


def drain_http(place, options):
    """Drain to HTTP

    200,000 messages are enqueued, then the relay is started; an endpoint
    that answers 200 at once, 16 requests at a time.  Peer: a bare libcurl
    multi loop on epoll with the same number of connections and header fields,
    to the same endpoint.  Processor time is that of the whole machine, beside
    what the peer and a bare receiver of the slot take together.  Memory
    includes all libraries.
    """
    yield from drain(
        place, options, "http",
        lambda place: ("curl_loop", place.url + "/bare", DRAIN_COUNT,
                       PAYLOAD_BYTES, HTTP_CONCURRENCY),
        "libcurl", "the answer to each request")


def drain_kafka(place, options):
    """Drain to Kafka

    200,000 messages are enqueued, then the relay is started; one real broker
    (KRaft) on the same machine, 4 partitions, 4,000 records under way.  Peers:
    a bare loop of librdkafka's idempotent producer with the same properties,
    header fields and window, and a bare receiver of the slot, both alone on
    the machine.  Processor time is that of the whole machine, the broker's too;
    what both peers take together, divided by the cores, is the least time a
    message could have.  Memory includes librdkafka's queue.
    """
    yield from drain(
        place, options, "kafka",
        lambda place: ("kafka_loop", place.bootstrap, "bench", DRAIN_COUNT,
                       PAYLOAD_BYTES, KAFKA_CONCURRENCY),
        "librdkafka", "all")


# -- latency

LATENCY_RATE = 200


def steady(place, seconds):
    """LATENCY_RATE messages a second; id -> time of COMMIT's return."""
    committed = {}
    connection = psycopg2.connect(place.conninfo)
    cursor = connection.cursor()
    cursor.execute("PREPARE one (jsonb) AS SELECT outbox_enqueue('bench', $1)")
    connection.commit()
    text, wait = payload(), threading.Event()
    due = time.monotonic()
    for _ in range(int(seconds * LATENCY_RATE)):
        cursor.execute("EXECUTE one (%s)", (text,))
        number = cursor.fetchone()[0]
        connection.commit()
        committed[number] = time.time()
        due += 1 / LATENCY_RATE
        wait.wait(max(0.0, due - time.monotonic()))
    connection.close()
    return committed



def http_arrivals(place):
    return place.arrivals()


def kafka_arrivals(place):
    """By the broker's clock, which has whole milliseconds: half of one added."""
    path = place.path("log.jsonl")
    if os.path.exists(path):
        os.unlink(path)
    place.output(place.copy("test/receiver/kafka_log.py"), "--bootstrap",
                 place.bootstrap, "--topic", "bench", "--log", path)
    with open(path, encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    return {int(line["headers"]["outbox-message-id"]): line["time"] + 0.0005
            for line in lines if "outbox-message-id" in line["headers"]}


def latency(place, options, kind, arrivals, acks, targets):
    place.make_route(kind)
    place.run_relay()
    steady(place, 1)
    place.wait_resolved(LATENCY_RATE)
    before = own_latencies(place)
    figures = {share: [] for share in (0.5, 0.99)}
    done = LATENCY_RATE
    for _ in range(options.rounds):
        committed = steady(place, options.latency_seconds)
        done += len(committed)
        place.wait_resolved(done)
        came = arrivals(place)
        late = [(came[n] - at) * 1000 for n, at in committed.items()]
        for share, values in figures.items():
            values.append(percentile(late, share))
    after = own_latencies(place)
    place.end_relay()
    conditions = {"synchronous_commit": "on", "payload": "200 B",
                  "messages a transaction": 1, "acks": acks,
                  "messages/s": LATENCY_RATE}
    for share, name in ((0.5, "p50"), (0.99, "p99")):
        yield row(name + ", COMMIT's return to arrival", conditions, "ms",
                  figures[share], better="less", target=targets[name])
        yield row(name + ", commit record to acknowledged, by the relay",
                  conditions, "ms", [quantile(before, after, share)],
                  better="less")


def own_latencies(place):
    return histogram(place.metrics(), "outbox_commit_to_delivered_seconds",
                     route="bench")


def latency_http(place, options):
    """Latency to HTTP

    By the endpoint's clock, just before it answers, against the return of
    COMMIT to the producer.  The relay's own histogram begins when the commit
    record is made, before it is flushed, and ends with the answer.
    """
    return latency(place, options, "http", http_arrivals,
                   "the answer to each request",
                   {"p50": "<= 0.6", "p99": "<= 5"})


def latency_kafka(place, options):
    """Latency to Kafka

    By the broker's clock (LogAppendTime, whole milliseconds: half of one is
    added), against the return of COMMIT to the producer.  The relay's own
    histogram begins when the commit record is made and ends with the
    delivery report.
    """
    return latency(place, options, "kafka", kafka_arrivals, "all",
                   {"p50": "<= 1.5", "p99": "<= 5"})


# -- what is left behind

LIFE_COUNT = 20000


def dead_tuples(place):
    """(of the messages, of all tables) once the statistics have come."""
    place.sql("SELECT pg_stat_force_next_flush()")
    return place.sql("""
        SELECT coalesce(sum(n_dead_tup) FILTER (WHERE relname ~ '^message'),
                        0)::int, coalesce(sum(n_dead_tup), 0)::int
        FROM pg_stat_user_tables WHERE schemaname = 'outbox'""")[0]


def life(place, options):
    """The whole life of a message: WAL and dead tuples

    20,000 messages are enqueued, one a transaction, delivered to HTTP and
    settled.  Peer: the same without a relay.
    """
    place.make_route("http")
    place.run_relay()
    done = 0
    enqueue = script(place, "life.sql", OUTBOX_INSERT, 1)
    arguments = ("-c", 4, "-j", 2, "-t", LIFE_COUNT // 4,
                 "-D", "payload=" + payload())

    def with_relay():
        nonlocal done
        place.run_relay()
        place.wait_resolved(done)
        before = place.lsn()
        place.pgbench(enqueue, *arguments)
        done += LIFE_COUNT
        place.wait_resolved(done)
        after = place.lsn()
        place.end_relay()
        return float(after - before) / LIFE_COUNT

    def without():
        nonlocal done
        before = place.lsn()
        place.pgbench(enqueue, *arguments)
        done += LIFE_COUNT
        return float(place.lsn() - before) / LIFE_COUNT

    place.end_relay()
    ours, peer = alternate(options.drains, with_relay, without)
    place.run_relay()
    place.wait_resolved(done)
    place.end_relay()
    conditions = {"synchronous_commit": "on", "payload": "200 B",
                  "messages a transaction": 1, "messages": LIFE_COUNT}
    yield row("WAL", conditions, "B/message", ours, peer,
              peer_name="enqueue alone", better="less", target="<= 1.1")
    messages, every = dead_tuples(place)
    conditions = {**conditions, "messages": done}
    yield row("dead tuples among the messages", conditions, "rows",
              [messages], better="less", target="0")
    yield row("dead tuples in all tables of outbox", conditions, "rows",
              [every], better="less")


# -- doing nothing

IDLE_SECONDS = 10


def idle_statements(place, before):
    """Statements that the relay sent since, as the server's log tells."""
    with open(place.cluster.dir + "/server.log", encoding="utf-8",
              errors="replace") as file:
        file.seek(before)
        lines = re.findall(r"^\[outbox-relay[^\]]*\] LOG:  "
                           r"(?:statement|execute [^:]*): .*$",
                           file.read(), re.M)
    return len(lines)


def log_size(place):
    with open(place.cluster.dir + "/server.log", "rb") as file:
        return file.seek(0, 2)


def idle(place, options):
    """An idle relay

    A route, a stream, no messages.  Processor time of the relay's process;
    statements by the server's log; a heartbeat is due once a minute.
    """
    place.make_route("http")
    place.run_relay()
    place.sql("SELECT outbox_enqueue('bench', '{}')")
    place.wait_resolved(1)
    place.setting("log_statement", "all")
    figures = ([], [], [])
    for _ in range(options.idle_rounds):
        threading.Event().wait(1)
        size, cpu = log_size(place), place.relay_cpu()
        threading.Event().wait(IDLE_SECONDS)
        figures[0].append((place.relay_cpu() - cpu) / IDLE_SECONDS * 100)
        figures[1].append(idle_statements(place, size))
        figures[2].append(place.relay_status("VmRSS"))
    place.end_relay()
    conditions = {"over": "%d s" % IDLE_SECONDS}
    yield row("processor", conditions, "% of a core", figures[0],
              better="less", target="< 0.2")
    yield row("SQL statements", conditions, "", figures[1], better="less",
              target="<= 1")
    yield row("memory", conditions, "MB", figures[2], better="less",
              target="<= 32")
