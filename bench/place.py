"""
bench/place.py

Where a measurement runs: the demo's system (test/demo/demo) with a server
that no checkpoint disturbs, the programs of this folder and a relay whose
port is known.

SPDX-License-Identifier: PostgreSQL
"""

import glob
import importlib.machinery
import importlib.util
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

import psycopg2

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)


def load(name, path):
    """A Python program without .py in its name, as a module."""
    sys.path.insert(0, os.path.dirname(path))
    loader = importlib.machinery.SourceFileLoader(name, path)
    module = importlib.util.module_from_spec(
        importlib.util.spec_from_loader(name, loader))
    loader.exec_module(module)
    return module


sys.dont_write_bytecode = True
demo = load("demo", ROOT + "/test/demo/demo")

SERVER = """
shared_buffers = 512MB
max_wal_size = 16GB
checkpoint_timeout = 1h
autovacuum = off
max_connections = 100
log_line_prefix = '[%a] '
"""

CONFIG = """[relay]
name = bench
listen = 127.0.0.1:{port}
[database]
conninfo = host={socket} dbname=postgres user=postgres
slot = outbox
[http]
allow_targets = 127.0.0.0/8
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Place(demo.System):
    """A fresh server with the extension; all else on demand."""

    def __init__(self):
        super().__init__()
        self.scratch.add(HERE + "/build", "bench")
        self.port = self.url = None
        self.cluster = demo.Cluster(self.scratch, self.path("start.log"),
                                    fsync="on")
        with open(self.cluster.data + "/postgresql.conf", "a",
                  encoding="utf-8") as conf:
            conf.write(SERVER)
        self.cluster.command("pg_ctl", "-D", self.cluster.data, "-w", "-m",
                             "fast", "-l", self.cluster.dir + "/server.log",
                             "restart")
        self.conninfo = ("host=%s dbname=postgres user=postgres"
                         % self.cluster.dir)
        self.connection = psycopg2.connect(self.conninfo,
                                           application_name="bench")
        self.connection.autocommit = True
        self.sql("CREATE EXTENSION outbox")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()
        self.stop()

    # -- SQL

    def sql(self, text, *values):
        """The rows, if there are any."""
        cursor = self.connection.cursor()
        cursor.execute(text, values or None)
        return cursor.fetchall() if cursor.description else []

    def value(self, text, *values):
        return self.sql(text, *values)[0][0]

    def lsn(self):
        return self.value("SELECT pg_current_wal_insert_lsn() - '0/0'")

    def setting(self, name, value):
        self.sql("ALTER SYSTEM SET %s = %%s" % name, value)
        self.sql("SELECT pg_reload_conf()")

    # -- programs

    def output(self, *command):
        """What a program printed; it runs as the server's user."""
        user = self.scratch.user
        as_user = {"user": user.pw_uid, "group": user.pw_gid,
                   "extra_groups": []} if user else {}
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, cwd=self.dir, check=False,
            env={**self.scratch.env, **self.cluster.env}, **as_user)
        if done.returncode != 0:
            raise RuntimeError("%s failed: %s" % (
                command[0], done.stderr.strip()[-500:]))
        return done.stdout

    def program(self, name, *arguments):
        path = os.path.join(self.scratch.dir, "bench", name)
        return self.output(path, *map(str, arguments))

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        return self.path(name)

    def pgbench(self, script, *arguments):
        """(transactions a second, transactions)"""
        pgbench = os.path.join(self.scratch.bindir, "pgbench")
        out = self.output(pgbench, "-n", "-M", "prepared", "-f", script,
                          *map(str, arguments))
        rate = re.search(r"^tps = ([\d.]+)", out, re.M)
        if not rate:
            raise RuntimeError("pgbench ended no transaction; give it longer"
                               " by BENCH_MINUTES")
        return (float(rate.group(1)),
                int(re.search(r"processed: (\d+)", out).group(1)))

    # -- destinations

    def start_responder(self):
        self.spawn("responder",
                   os.path.join(self.scratch.dir, "bench", "responder"),
                   self.path("port"), self.path("arrivals"))
        demo.wait_for("the responder listens",
                      lambda: os.path.exists(self.path("port")))
        with open(self.path("port"), encoding="ascii") as file:
            self.url = "http://127.0.0.1:%s" % file.read().strip()

    def responder(self, what):
        """(requests, first, last) since the last "log", in seconds."""
        with urllib.request.urlopen(self.url + "/" + what) as answer:
            count, first, last = map(int, answer.read().split())
        return count, first / 1e6, last / 1e6

    def arrivals(self):
        """id -> seconds, of what came since the last time."""
        self.responder("log")
        with open(self.path("arrivals"), encoding="ascii") as file:
            pairs = [line.split() for line in file]
        return {int(number): int(us) / 1e6 for number, us in pairs}

    def make_topic(self, name):
        if self.scratch.run([self.copy("test/kafka/topic"), self.bootstrap,
                             name], self.path("kafka-start.log")) != 0:
            raise RuntimeError("the topic was not made")

    def make_route(self, kind, name="bench"):
        if kind == "http":
            self.start_responder()
            target = self.url + "/bench"
        else:
            self.start_kafka()
            self.make_topic(name)
            target = "demo/" + name
        self.sql("SELECT outbox_route_create(%s, %s, %s)", name, kind, target)

    # -- the relay

    def write_config(self):
        self.port = free_port()
        text = CONFIG.format(port=self.port, socket=self.cluster.dir)
        if self.bootstrap:
            text += "[kafka demo]\nbootstrap.servers = %s\n" % self.bootstrap
        self.write("relay.ini", text)

    def run_relay(self):
        self.write_config()
        self.start_relay()
        demo.wait_for("the relay is ready", self.ready)

    def ready(self):
        demo.alive(self)
        try:
            with urllib.request.urlopen("http://127.0.0.1:%d/readyz"
                                        % self.port) as answer:
                return answer.read() == b"ready: running\n"
        except OSError:
            return False

    def end_relay(self):
        self.relay.terminate()
        if self.relay.wait(30) != 0:
            raise RuntimeError("the relay ended badly")

    def metrics(self):
        with urllib.request.urlopen("http://127.0.0.1:%d/metrics"
                                    % self.port) as answer:
            return answer.read().decode()

    def relay_status(self, name):
        """VmRSS or VmHWM, in megabytes."""
        with open("/proc/%d/status" % self.relay.pid, encoding="ascii") as file:
            return int(re.search(name + r":\s+(\d+) kB",
                                 file.read()).group(1)) / 1024

    def relay_cpu(self):
        """Seconds of processor time so far, all threads."""
        total = 0
        for name in glob.glob("/proc/%d/task/*/schedstat" % self.relay.pid):
            with open(name, encoding="ascii") as file:
                total += int(file.read().split()[0])
        return total / 1e9

    def resolved(self):
        """Deliveries that are settled; 0 while one is in the backlog or parked."""
        # Asked often, by the side of what is measured: the ids themselves,
        # in the same rows, would have to be unpacked each time.
        return self.value("""
            SELECT CASE WHEN EXISTS (SELECT FROM outbox.backlog)
                OR EXISTS (SELECT FROM outbox.parked) THEN 0 ELSE (
                    SELECT coalesce(sum(value::bigint), 0)::bigint
                    FROM outbox.resolved, jsonb_each_text(sent)) END""")

    def wait_resolved(self, count, seconds=120):
        """The time at which the last of them was seen to be settled."""
        began = time.monotonic()
        first = done = self.resolved()
        while done < count:
            demo.alive(self)
            passed = time.monotonic() - began
            if passed > seconds:
                raise RuntimeError("only %d of %d messages were settled"
                                   % (done, count))
            # Asking costs: once there is a rate, wait for half of what is left.
            left = (passed * (count - done) / (done - first)
                    if done > first else 0)
            time.sleep(min(max(left / 2, 0.01), 0.25))
            done = self.resolved()
        return time.time()

    def last_id(self):
        return self.value("SELECT last_value FROM outbox.message_id_seq")

    def pass_slot(self):
        """Nothing that was settled will be decoded again."""
        # Each checkpoint notes what is running; decoding may begin at the last
        # but one of these notes that a relay has confirmed, which it does
        # with a delivery.
        before = self.value("SELECT pg_current_wal_insert_lsn()")

        def passed():
            self.sql("CHECKPOINT")
            self.sql("SELECT outbox_enqueue('bench', '{}')")
            self.wait_resolved(self.last_id())
            return self.value("SELECT restart_lsn >= %s FROM"
                              " pg_replication_slots WHERE slot_name = 'outbox'",
                              before)
        demo.wait_for("the slot passes what is settled", passed)

    def keep_logs(self):
        """What the programs said, beside the build, when something failed."""
        kept = os.path.join(ROOT, "build", "bench")
        os.makedirs(kept, exist_ok=True)
        for name in os.listdir(self.dir):
            if name.endswith(".log"):
                shutil.copy(self.path(name), kept)
        return kept
