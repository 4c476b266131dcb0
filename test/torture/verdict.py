"""
test/torture/verdict.py

After the torture: what is in the tables and the logs, and what the oracle
says to it.

SPDX-License-Identifier: PostgreSQL
"""

import os
import subprocess
import sys

import world as names
from place import HERE  # it finds what is in test/lib

import proof

CHECK = os.path.join(HERE, "..", "oracle", "check.py")
FAST = 2        # SIGINT


class Verdict:
    def __init__(self, run):
        self.run, self.world, self.place = run, run.world, run.place
        self.passed = self.failed = 0
        self.driven = ["--driver", self.place.dir + "/driver.jsonl",
                       "--driver", self.world.files["probes.jsonl"]]
        self.counts = {}

    def ok(self, good, what):
        self.passed += bool(good)
        self.failed += not good
        print("%sok %d - %s" % ("" if good else "not ",
                                self.passed + self.failed, what), flush=True)

    # -- what is in the tables

    def collect(self):
        primary, folder = self.world.primary, self.place.dir
        with open(folder + "/survived.txt", "w", encoding="utf-8") as file:
            for (name,) in primary.rows("SELECT name FROM driver_done"):
                file.write(name + "\n")
        files = {}
        for number, route, status in primary.rows(
                "SELECT id, route, status FROM outbox.messages"
                " WHERE route IS NOT NULL"):
            if route not in files:
                files[route] = open("%s/status-%s.txt" % (folder, route), "w",
                                    encoding="utf-8")
            files[route].write("%d %s\n" % (number, status))
        for file in files.values():
            file.close()
        self.world.write(
            "watch.jsonl", kind="slots", expected=["outbox"],
            names=[row[0] for row in primary.rows(
                "SELECT slot_name FROM pg_replication_slots")])
        return files

    def stop(self):
        for relay in self.world.relays:
            status = relay.stop()
            self.world.write("watch.jsonl", kind="process_end",
                             name=relay.name, status=status,
                             expected=status == 0)
        for name in names.KAFKA_ROUTES if self.world.kafka else ():
            self.place.call([
                "test/receiver/kafka_log.py", "--bootstrap", self.world.kafka,
                "--topic", name, "--log",
                "%s/%s.jsonl" % (self.place.dir, name)], "relay")
        for server in (self.world.standby, self.world.primary):
            server.stop(FAST)

    # -- the oracle

    def ask(self, what, *arguments):
        done = subprocess.run([sys.executable, CHECK, *arguments],
                              stdout=subprocess.PIPE, text=True, check=False)
        name = "%s/oracle-%s.txt" % (self.place.dir, what)
        with open(name, "w", encoding="utf-8") as file:
            file.write(done.stdout)
        lines = done.stdout.splitlines()
        wrong = {line[:2] for line in lines if line[2:9] == " broken"}
        for line in lines[what not in ("alpha", "watched"):]:
            print("# " + line)
        return wrong, done.returncode

    def routes(self):
        """Name -> what the oracle has to know of it."""
        found = {name: (self.world.receiver.log, "/" + name, types, [])
                 for name, types in names.ROUTES.items()}
        found["picky"][-1].extend(["--refused", "poison"])
        if self.world.kafka:
            found |= {name: ("%s/%s.jsonl" % (self.place.dir, name), name,
                             types, [])
                      for name, types in names.KAFKA_ROUTES.items()}
            found["compact"][-1].extend(["--refused", "keyless"])
        return found

    def check_routes(self):
        for route, (log, path, types, more) in self.routes().items():
            wrong, status = self.ask(
                route, *self.driven, "--received", log, "--path", path,
                "--types", ",".join(types),
                "--survived", self.place.dir + "/survived.txt",
                "--status", "%s/status-%s.txt" % (self.place.dir, route),
                "--events", self.world.files["events.jsonl"], *more)
            for rule in ("I1", "I2", "I3", "I4", "I5", "I7"):
                self.ok(rule not in wrong and status in (0, 1),
                        "%s on %s" % (rule, route))

    def check_watched(self):
        folder = self.place.dir
        logs = [relay.log for relay in self.world.relays]
        logs += [folder + "/receiver.log", self.world.receiver.log]
        logs += ["%s/metrics-%s.txt" % (folder, relay.name)
                 for relay in self.world.relays]
        more = [word for log in logs for word in ("--log", log)]
        more += [word for server in self.world.servers
                 for word in ("--server-log", server.log)]
        wrong, status = self.ask(
            "watched", *self.driven, "--watch",
            self.world.files["watch.jsonl"], "--events",
            self.world.files["events.jsonl"], "--survived",
            folder + "/survived.txt", "--secret", names.CANARY, *more)
        for rule in ("I6", "I8"):
            self.ok(rule not in wrong and status in (0, 1), rule)

    def save_metrics(self):
        """Also looked through for secrets."""
        for relay in self.world.relays:
            with open("%s/metrics-%s.txt" % (self.place.dir, relay.name), "w",
                      encoding="utf-8") as file:
                try:
                    file.write(self.place.http("relay", relay.port, "GET",
                                               "/metrics")[1])
                    with open("/proc/%d/cmdline" % relay.process.pid,
                              encoding="utf-8") as line:
                        file.write(line.read() + "\n")
                except OSError as error:
                    file.write("%s\n" % error)


def diagnose(world):
    """What somebody would ask who has to find the cause."""
    for sql in ("SELECT * FROM outbox_relay_status()",
                "SELECT * FROM outbox_status()",
                "SELECT * FROM outbox.relay",
                "SELECT * FROM pg_replication_slots",
                "SELECT pid, usename, state, wait_event, xact_start,"
                " left(query, 100) FROM pg_stat_activity",
                "SELECT * FROM pg_prepared_xacts",
                "SELECT message_id, route_id, key_hash, status, retry_count,"
                " next_retry_time, last_error FROM outbox.parked"
                " ORDER BY run, pos LIMIT 20",
                "SELECT route_id, seq, run, pos, cardinality(ids), done"
                " FROM outbox.backlog ORDER BY seq LIMIT 20",
                "SELECT id, route, status, create_time FROM outbox.messages"
                " WHERE status NOT IN ('SENT', 'DEAD') ORDER BY id LIMIT 40"):
        world.note(sql)
        for row in world.primary.rows(sql) or ():
            world.note("  " + " | ".join(str(value) for value in row))
    for relay in world.relays:
        for path in ("/readyz", "/metrics"):
            try:
                world.note("%s %s\n%s" % (relay.name, path, world.place.http(
                    "relay", relay.port, "GET", path)[1]))
            except OSError as error:
                world.note("%s: %s" % (relay.name, error))


def record(run, verdict):
    proof.record({
        "what": "torture", "seed": run.options.seed,
        "minutes": run.options.minutes, "passed": verdict.passed,
        "failed": verdict.failed,
        "messages": count(run.place.dir + "/driver.jsonl"),
        "faults": dict(sorted(run.done.items())),
        "kafka": run.options.kafka, "net": run.place.net})


def count(path):
    with open(path, "rb") as file:
        return sum(1 for _ in file)


def pronounce(run):
    verdict = Verdict(run)
    for text in run.failures:
        verdict.ok(False, text.split("\n")[0])
    verdict.ok(not run.failures, "it recovers, and ends quiet")
    verdict.save_metrics()
    verdict.collect()
    verdict.stop()
    verdict.check_routes()
    verdict.check_watched()
    record(run, verdict)
    print("1..%d" % (verdict.passed + verdict.failed))
    print("# faults: %s" % ", ".join(
        "%s %d" % item for item in sorted(run.done.items())))
    print("%d passed, %d failed" % (verdict.passed, verdict.failed))
    return 1 if verdict.failed else 0
