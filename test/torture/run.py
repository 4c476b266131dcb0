"""
test/torture/run.py

The course of a torture: build up, faults by the plan under the load, peace,
reconciliation, verdict.

SPDX-License-Identifier: PostgreSQL
"""

import glob
import os
import random
import shutil
import subprocess
import sys
import threading
import time
import traceback

import faults
import plan
import verdict
from place import HERE, Place, wait_for
from watch import Watch
from world import World

ROOT = os.path.realpath(os.path.join(HERE, "..", ".."))
FAKETIME = "/usr/lib/*/faketime/libfaketime.so.1"
# How long it may take until all is well after the worst.
RECOVER_SECONDS = 120
QUIET_SECONDS = 300

QUIET = """
SELECT string_agg(what || ' ' || n, ', ') FROM (
	SELECT 'backlog' AS what, count(*) AS n FROM outbox.backlog
	UNION ALL SELECT 'parked', count(*) FROM outbox.parked
	WHERE status NOT IN ('DEAD', 'CANCELLED')
	UNION ALL SELECT 'open', count(*) FROM outbox.message
	WHERE NOT id <@ (SELECT coalesce(range_agg(u), '{}')
					 FROM outbox.resolved, unnest(ids) AS u)) AS x
WHERE n > 0
"""


class Run:
    def __init__(self, options):
        self.options = options
        self.out = os.path.join(ROOT, "build", "torture", str(options.seed))
        shutil.rmtree(self.out, ignore_errors=True)
        os.makedirs(self.out)
        self.locks = {}
        self.failures = []
        self.done = {}          # fault -> how often
        self.world = self.place = None

    # -- birth and end

    def main(self):
        found = glob.glob(FAKETIME)
        self.options.faketime = found[0] if found else None
        self.place = Place(self.options.seed, self.options.net)
        try:
            self.build()
            return self.torture()
        except Exception:       # whatever it was, the logs are wanted
            traceback.print_exc()
            print("0 passed, 1 failed")
            return 1
        finally:
            for name in glob.glob(self.place.dir + "/*.*") + \
                    glob.glob(self.place.dir + "/server*/*.log"):
                if os.path.isfile(name):
                    shutil.copy(name, self.out + "/" + os.path.relpath(
                        name, self.place.dir).replace("/", "."))
            self.place.remove(self.options.keep)

    def build(self):
        scratch = self.place.scratch
        if self.options.kafka:
            subprocess.run([ROOT + "/test/kafka/fetch"], check=True,
                           stdout=subprocess.DEVNULL)
            scratch.add(ROOT + "/build/kafka", "kafka")
        log = self.out + "/build.log"
        if scratch.run(["make", "-s", "-C", "relay", "-j2", "BUILD=build-kill",
                        "PROGRAM=build-kill/outbox-relay", "CFLAGS=-O2 -g"
                        " -DOUTBOX_KILL_POINTS"], log) != 0:
            raise RuntimeError("the relay could not be built, see " + log)
        self.options.program = (scratch.tree
                                + "/relay/build-kill/outbox-relay")

    def faults(self):
        have = {"root"} if self.place.root else set()
        have |= {"net"} if self.place.net else set()
        have |= {"faketime"} if self.options.faketime else set()
        have |= {"kafka"} if self.options.kafka else set()
        possible, missing = faults.possible(have)
        for need in sorted({n for needs in missing.values() for n in needs}):
            print("# without %s: no %s" % (need, ", ".join(
                sorted(name for name, needs in missing.items()
                       if need in needs))), flush=True)
        chosen, unknown = plan.chosen(possible, self.options.only)
        if unknown:
            sys.exit("torture: no fault %s" % " ".join(unknown))
        return chosen

    # -- the faults

    def torture(self):
        options = self.options
        self.table = self.faults()
        steps = plan.draw(options.seed, options.minutes * 60, self.table)
        print("# SEED=%d MINUTES=%g, %d steps, %d kinds of faults"
              % (options.seed, options.minutes, len(steps), len(self.table)),
              flush=True)
        self.world = world = World(self.place, options.seed, options)
        world.start()
        world.start_load()
        watch = Watch(world)
        watch.start()
        self.run_steps(steps)
        self.heal()
        self.quiet(watch)
        watch.over = True
        watch.join()
        return verdict.pronounce(self)

    def run_steps(self, steps):
        began = time.monotonic()
        threads = []
        for step in steps:
            time.sleep(max(0, began + step.at - time.monotonic()))
            if self.world.driver.poll() is not None:
                self.fail("the driver ended")
            if self.failures:
                break
            if step.name == "calm":
                join(threads)
                threads = []
                self.calm()
                continue
            fault = self.table[step.name]
            self.take(fault.resources)
            threads.append(threading.Thread(
                target=self.one, args=(step, fault), name=step.name))
            threads[-1].start()
        join(threads)

    def take(self, resources):
        for name in sorted(resources):
            self.locks.setdefault(name, threading.Lock()).acquire()

    def one(self, step, fault):
        world = self.world
        dice = random.Random("%d %d" % (self.options.seed, step.number))
        began = time.time()
        world.note("%d %s" % (step.number, step.name))
        try:
            fault.call(world, dice)
        except Exception as error:
            self.fail("fault %d, %s: %s" % (step.number, step.name,
                                            traceback.format_exc()))
            world.note("%d %s: %s" % (step.number, step.name, error))
        finally:
            world.event(fault.kind, step.name, began)
            world.note("%d %s is over" % (step.number, step.name))
            self.done[step.name] = self.done.get(step.name, 0) + 1
            for name in fault.resources:
                self.locks[name].release()

    def fail(self, text):
        self.failures.append(text)
        self.world.note(text)
        print("# " + text.replace("\n", "\n# "), flush=True)

    # -- peace

    def calm(self):
        """All faults are over: does it deliver by itself?"""
        self.world.note("calm")
        began = time.monotonic()
        try:
            self.world.resume_routes(RECOVER_SECONDS)
            self.world.wait_until_it_moves(RECOVER_SECONDS)
        except TimeoutError as error:
            self.fail("it does not recover: %s" % error)
            verdict.diagnose(self.world)
        self.world.note("calm after %.1f s" % (time.monotonic() - began))

    def heal(self):
        for path in ("/alpha", "/beta", "/picky"):
            self.world.receiver.script(path)
        if self.world.stop_load() != 0:
            self.fail("the driver did not end well")
        self.calm()

    def quiet(self, watch):
        """Nothing is open any more; the slot passes what was there."""
        world, left = self.world, []
        try:
            wait_for("nothing is open", lambda: self.nothing_open(left),
                     QUIET_SECONDS)
            lsn = wait_for("the WAL's end is known", lambda: world.primary.one(
                "SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint"))
            world.write("watch.jsonl", kind="quiet", lsn=lsn)
            wait_for("the slot has passed the end",
                     lambda: (watch.look_at_slot() or 0) >= lsn, 100)
        except TimeoutError as error:
            self.fail("%s; left: %s" % (error, left))
            verdict.diagnose(self.world)
        watch.look_at_slot()

    def nothing_open(self, left):
        rows = self.world.primary.rows(QUIET)
        left[:] = rows[0] if rows else ["no answer"]
        return rows is not None and rows[0][0] is None


def join(threads):
    for thread in threads:
        thread.join()

