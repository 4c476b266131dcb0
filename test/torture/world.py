"""
test/torture/world.py

What is tortured: a primary and a standby, two relays, a receiver, perhaps a
Kafka, and the load.  Each is a real process; what it logs stays in files.

SPDX-License-Identifier: PostgreSQL
"""

import hashlib
import json
import os
import signal
import threading
import time

import psycopg2
from place import wait_for
from server import Server

# In the relay's conninfo; it must not turn up anywhere else.
CANARY = "canary-7d41f0c2"
PROBE = "t.probe"
# Route -> the types that it gets.
ROUTES = {
    "alpha": ("t.all", "t.alpha", "t.picky", PROBE),
    "beta": ("t.all", "t.beta", PROBE),
    "picky": ("t.picky", PROBE),
}
# Route and topic of Kafka -> the types.  A compacted topic takes nothing
# without a key, so a batch with one such message in it is refused.
KAFKA_ROUTES = {
    "stream": ("t.all", "t.alpha", PROBE),
    "compact": ("t.beta", "t.picky"),
}
TOPICS = {
    "stream": ("partitions=3",),
    "compact": ("partitions=1", "cleanup.policy=compact",
                "min.compaction.lag.ms=86400000"),
}
KAFKA_MESSAGE_MAX = 2000000    # the greatest message of the driver and more
OPTIONS = {"retry_initial_ms": 50, "retry_max_ms": 500, "timeout_ms": 3000,
           "connect_timeout_ms": 1000, "max_attempts": 10000}
LEASE_SECONDS = 2


class Relay:
    def __init__(self, world, name):
        self.world, self.place, self.name = world, world.place, name
        self.port = self.place.free_port("relay")
        self.log = "%s/%s.log" % (self.place.dir, name)
        self.config = "%s/%s.ini" % (self.place.dir, name)
        self.clock = "%s/%s.clock" % (self.place.dir, name)
        self.set_clock(0)
        self.process, self.asked = None, True

    def set_clock(self, seconds):
        with open(self.clock + ".new", "w", encoding="ascii") as file:
            file.write("%+d\n" % seconds)
        os.chmod(self.clock + ".new", 0o644)
        os.rename(self.clock + ".new", self.clock)

    def write_config(self):
        servers = self.world.servers
        address = self.place.address("server")
        text = ("[relay]\nname = %s\nlisten = 127.0.0.1:%d\n"
                "log_level = info\nmemory_budget = 16MB\n\n"
                "[database]\nconninfo = host=%s port=%s dbname=postgres"
                " user=relay password=%s target_session_attrs=read-write"
                " connect_timeout=5\n"
                "lease_timeout = %ds\nreconcile_wait = 10s\n\n"
                "[http]\nallow_targets = 127.0.0.0/8, 10.0.0.0/8\n" % (
                    self.name, self.port,
                    ",".join(address for _ in servers),
                    ",".join(str(s.port) for s in servers), CANARY,
                    LEASE_SECONDS))
        if self.world.kafka:
            text += ("\n[kafka main]\nbootstrap.servers = %s\n"
                     "message.max.bytes = %d\n"
                     % (self.world.kafka, KAFKA_MESSAGE_MAX))
        with open(self.config, "w", encoding="ascii") as file:
            file.write(text)
        os.chmod(self.config, 0o644)

    def start(self, kill_at=None):
        env = []
        if kill_at:
            env.append("OUTBOX_KILL_AT=" + kill_at)
        if self.world.faketime:
            env += ["LD_PRELOAD=" + self.world.faketime,
                    "FAKETIME_TIMESTAMP_FILE=" + self.clock,
                    "FAKETIME_DONT_FAKE_MONOTONIC=1",
                    "FAKETIME_NO_CACHE=1", "FAKETIME_DISABLE_SHM=1"]
        self.process = self.place.start(
            "relay", ["env", *env, self.world.program, "--config",
                      self.config], self.log)
        # Only now: the old one has ended, and somebody is watching.
        self.asked = bool(kill_at)

    def signal(self, number):
        if self.process.poll() is None:
            self.process.send_signal(number)

    def kill(self):
        self.asked = True
        self.signal(signal.SIGKILL)
        self.process.wait(10)

    def stop(self):
        """As it should be done, and not before it can be: the exit status."""
        self.asked = True
        wait_for("%s listens" % self.name, lambda: self.answers("/healthz")
                 or self.process.poll() is not None)
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        return self.process.wait(60)

    def answers(self, path):
        try:
            return self.place.http("relay", self.port, "GET", path)[0] == 200
        except OSError:
            return False

    def ready(self):
        return self.answers("/readyz")

    def sample(self):
        """What /proc says of it."""
        base = "/proc/%d" % self.process.pid
        try:
            with open(base + "/status", encoding="ascii") as file:
                rss = [line.split()[1] for line in file
                       if line.startswith("VmRSS:")]
            return {"kind": "process", "name": self.name,
                    "pid": self.process.pid, "rss_kb": int(rss[0]),
                    "files": len(os.listdir(base + "/fd"))}
        except (OSError, IndexError):
            return None


class Receiver:
    def __init__(self, world):
        self.world, self.place = world, world.place
        self.log = self.place.dir + "/received.jsonl"
        self.port_file = self.place.dir + "/receiver.port"
        self.port, self.process = 0, None

    def start(self):
        if os.path.exists(self.port_file):
            os.unlink(self.port_file)
        self.process = self.place.start("target", [
            "test/receiver/receiver.py", "--port-file", self.port_file,
            "--log", self.log, "--listen",
            "0.0.0.0" if self.place.net else "127.0.0.1",
            "--poison", "/picky", "--port", str(self.port)],
            self.place.dir + "/receiver.log")
        wait_for("the receiver listens",
                 lambda: os.path.exists(self.port_file))
        with open(self.port_file, encoding="ascii") as file:
            self.port = int(file.read())

    def kill(self):
        self.process.kill()
        self.process.wait(10)

    def url(self, path):
        return "http://%s:%d%s" % (self.place.address("target"), self.port,
                                   path)

    def script(self, path, *behaviour):
        try:
            self.place.http("target", self.port, "PUT", "/_script",
                            {"path": path, "behaviour": behaviour})
        except OSError as error:
            self.world.note("receiver: %s" % error)


class World:
    def __init__(self, place, seed, options):
        self.place, self.seed, self.options = place, seed, options
        self.sockets = place.scratch.make("s")
        self.stamps = seed % 2 == 0     # commit timestamps
        self.has_list = False
        self.faketime = options.faketime
        self.program = options.program
        self.lock = threading.Lock()
        self.started = time.time()
        self.files = {name: "%s/%s" % (place.dir, name) for name in (
            "events.jsonl", "watch.jsonl", "story.txt", "probes.jsonl")}
        self.handles = {name: open(path, "a", buffering=1, encoding="utf-8")
                        for name, path in self.files.items()}
        self.servers = [Server(self, 1), Server(self, 2)]
        self.primary, self.standby = self.servers
        self.receiver = Receiver(self)
        self.kafka = None
        self.kafka_dir = place.dir + "/kafka-server"
        self.relays = [Relay(self, "relay-a"), Relay(self, "relay-b")]
        self.driver = None
        self.probes = 0

    # -- logs

    def write(self, log, /, **line):
        with self.lock:
            self.handles[log].write(json.dumps(
                {"time": time.time(), **line}) + "\n")

    def note(self, text):
        """The story of the run, for whoever has to find the cause."""
        with self.lock:
            self.handles["story.txt"].write(
                "%8.2f %s\n" % (time.time() - self.started, text))

    def event(self, kind, name, began=None, **more):
        """For the oracle: what may explain what it finds."""
        now = time.time()
        self.write("events.jsonl", **{"time": began or now, "end": now,
                                      "kind": kind, "name": name, **more})

    def took(self, name, began, limit):
        seconds = time.monotonic() - began
        self.write("watch.jsonl", kind="took", name=name, limit=limit,
                   seconds=round(seconds, 2))

    # -- birth

    def start(self):
        self.primary.init()
        self.primary.start()
        self.standby.clone(self.primary)
        self.standby.start()
        self.receiver.start()
        if self.options.kafka:
            self.start_kafka()
        self.set_up()
        for relay in self.relays:
            relay.write_config()
            relay.start()
        wait_for("a relay is ready", lambda: any(
            relay.ready() for relay in self.relays))

    def set_up(self):
        connection = self.primary.connect()
        cursor = connection.cursor()
        cursor.execute("CREATE EXTENSION outbox")
        cursor.execute("CREATE ROLE relay LOGIN REPLICATION PASSWORD %s",
                       (CANARY,))
        cursor.execute("SELECT outbox_grant('relay', 'relay')")
        cursor.execute("CREATE TABLE filler (n bigint, t text)")
        routes = [(name, "http", self.receiver.url("/" + name), types)
                  for name, types in ROUTES.items()]
        if self.kafka:
            routes += [(name, "kafka", "main/" + name, types)
                       for name, types in KAFKA_ROUTES.items()]
        for name, kind, target, types in routes:
            cursor.execute("SELECT outbox_route_create(%s, %s, %s,"
                           " types => %s, options => %s)",
                           (name, kind, target, list(types),
                            json.dumps(OPTIONS)))
        connection.close()

    def start_kafka(self):
        self.place.scratch.make("kafka-server")
        self.kafka = self.place.call(
            ["test/kafka/start", self.kafka_dir,
             "broker.session.timeout.ms=3000",
             "broker.heartbeat.interval.ms=500",
             "message.max.bytes=%d" % KAFKA_MESSAGE_MAX,
             "log.message.timestamp.type=LogAppendTime"],
            "relay").split("\n")[-2]
        for name, settings in TOPICS.items():
            self.place.call(["test/kafka/topic", self.kafka, name, *settings],
                            "relay")

    def start_load(self):
        self.driver = self.place.start("server", [
            "test/oracle/driver.py", "--conninfo",
            "host=%s port=%s dbname=postgres user=postgres"
            " target_session_attrs=read-write connect_timeout=5" % (
                ",".join(self.sockets for _ in self.servers),
                ",".join(str(s.port) for s in self.servers)),
            "--log", self.place.dir + "/driver.jsonl", "--mix",
            "--sessions", "6", "--keys", "40", "--seconds", "1000000",
            "--rate", str(self.options.rate), "--seed", str(self.seed)],
            self.place.dir + "/driver.log")

    def stop_load(self):
        self.driver.terminate()
        return self.driver.wait(120)

    # -- what is asked of it

    def probe(self):
        """A message for all routes: its id, or None; logged as the driver's."""
        self.probes += 1
        name = "probe-%d" % self.probes
        body = ('{"probe": %d}' % self.probes).encode()
        line = {"nonce": name, "key": None, "seq": self.probes, "type": PROBE,
                "sha256": hashlib.sha256(body).hexdigest()}
        connection = None
        try:
            connection = self.primary.connect()
            cursor = connection.cursor()
            cursor.execute("BEGIN")
            cursor.execute("INSERT INTO driver_done VALUES (%s)", (name,))
            cursor.execute(
                "SELECT outbox_enqueue_bytes(%s, %s, 'text/plain')",
                (PROBE, psycopg2.Binary(body)))
            line["id"] = cursor.fetchone()[0]
            cursor.execute("COMMIT")
            self.write("probes.jsonl", state="committed", **line)
            return line["id"]
        except psycopg2.Error as error:
            self.note("probe: %s" % str(error).strip())
            if "id" in line:
                self.write("probes.jsonl", state="unknown", **line)
            return None
        finally:
            if connection:
                connection.close()

    def sent(self, number):
        return self.primary.one(
            "SELECT bool_and(status = 'SENT') FROM outbox.messages"
            " WHERE id = %s", number)

    def wait_until_it_moves(self, seconds):
        """A message enqueued now gets through on each route."""
        number = wait_for("a message can be enqueued", self.probe, seconds)
        wait_for("message %d is SENT" % number,
                 lambda: self.sent(number), seconds)

    def resume_routes(self, seconds):
        """The server that was told may be gone, and the word with it."""
        for name in ROUTES:
            wait_for("route %s is resumed" % name, lambda: self.primary.rows(
                "SELECT outbox_route_resume(%s)", name) is not None, seconds)

    def active_relay(self):
        """The one that delivers, or the first that runs."""
        for relay in self.relays:
            if relay.ready():
                return relay
        return self.relays[0]
