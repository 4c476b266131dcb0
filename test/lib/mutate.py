"""
test/lib/mutate.py

Runs the mutations that are wanted, and tells what became of each.

SPDX-License-Identifier: PostgreSQL
"""

import os
import re
import shutil
import sys
import threading
import time
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor

import mutants
import mutate_report
from mutate_server import ServerRunner
from mutate_unit import SUITES as UNIT_SUITES, UnitRunner
from scratch import ROOT, Scratch
from suites import JOBS, read

LOGS = os.path.join(ROOT, "build", "mutate")

# verdict: red, survived, stale, broken, unclear, red before
Found = namedtuple("Found", "name verdict by seconds")

SIGNS = (
    (r"^not ok \d+ - (.*)", "%s"),
    (r"^# seed \d+(?: after \d+ steps)?: ([^;\n]*)", "%s"),
    (r"Assertion `(.*)' failed", "assert(%s)"),
    (r"ERROR: AddressSanitizer: ([\w-]+)", "AddressSanitizer: %s"),
    (r"ERROR: (LeakSanitizer: .*)", "%s"),
    (r"runtime error: (.*)", "%s"),
    (r"^test (\S+) +\.\.\. FAILED", "%s differs from what is expected"),
    (r"(timed out waiting until .*)", "%s"),
)


def sign_of(log):
    """
    What the log says first about the failure; a seed's word before all.  None:
    the test broke off, or was stopped, and has shown nothing.
    """
    text = read(log)
    story = re.search(SIGNS[1][0], text, re.M)
    if story:
        return story.group(1).strip()
    found = []
    for pattern, form in SIGNS:
        match = re.search(pattern, text, re.M)
        if match:
            found.append((match.start(), form % match.group(1).strip()))
    return min(found)[1] if found else None


class Work:
    """The copies in which the tests run, made when first needed."""

    def __init__(self):
        self.scratch, self.lock = Scratch(), threading.Lock()
        self.units, self.servers = UnitRunner(self.scratch), None

    def log(self, mutation, red):
        name = "%s.%s-%s.log" % (mutation.name if mutation else "none",
                                 red.suite, red.test)
        path = os.path.join(LOGS, name)
        if os.path.exists(path):
            os.unlink(path)
        return path

    def is_unit(self, mutation):
        return all(suite in UNIT_SUITES for suite in mutation.suites())

    def test(self, mutation, red):
        """(status, log): 0 green, "broken" not built, else red."""
        log = self.log(mutation, red)
        if red.suite in UNIT_SUITES:
            return self.units.test(mutation, red, log), log
        if self.servers is None:
            self.servers = ServerRunner(LOGS)
        return self.servers.test(mutation, red, log), log

    def remove(self):
        self.scratch.remove()
        if self.servers is not None:
            self.servers.remove()


def judge(work, mutation):
    """Every test named must be red."""
    began = time.monotonic()
    signs = []
    verdict = "red"
    try:
        for red in mutation.red:
            status, log = work.test(mutation, red)
            sign = sign_of(log)
            if status == "broken":
                verdict = "broken"
            elif status == 0:
                verdict = "survived"
            elif sign is None:
                verdict = "unclear"
            else:
                signs.append("%s: %s" % (red.test, sign))
            if verdict != "red":
                signs = ["%s, see %s" % (red, os.path.relpath(log, ROOT))]
                break
    except mutants.Stale as error:
        verdict, signs = "stale", [str(error)]
    found = Found(mutation.name, verdict, "; ".join(signs),
                  round(time.monotonic() - began, 1))
    with work.lock:
        print("%-9s %-28s %6.1f s  %s" % (verdict, found.name, found.seconds,
                                          found.by), flush=True)
        mutate_report.keep([found])
    return found


def green(work, red):
    """Whether the test is green on the code as it is."""
    status, log = work.test(None, red)
    if status != 0:
        print("%-9s %s without any mutation, see %s"
              % ("red", red, os.path.relpath(log, ROOT)), flush=True)
    return status == 0


def run_some(work, mutations, jobs):
    """First their tests without any; one that is red is no proof."""
    tests = {str(red): red for m in mutations for red in m.red}
    with ThreadPoolExecutor(jobs) as pool:
        names = sorted(tests)
        good = dict(zip(names, pool.map(
            lambda name: green(work, tests[name]), names)))
        found = list(pool.map(
            lambda m: judge(work, m),
            [m for m in mutations if all(good[str(r)] for r in m.red)]))
    done = {f.name for f in found}
    return found + [
        Found(m.name, "red before", "; ".join(str(r) for r in m.red), 0)
        for m in mutations if m.name not in done]


def run_all(work, mutations):
    """Those of unit tests side by side, the others one after the other."""
    units = [m for m in mutations if work.is_unit(m)]
    return run_some(work, units, JOBS) + run_some(
        work, [m for m in mutations if m not in units], 1)


def main(arguments):
    mutations = mutants.chosen(mutants.read_all(), os.environ.get("ONLY", ""),
                               os.environ.get("SUITE", ""))
    if "--list" in arguments:
        for m in mutations:
            print("%-28s %-28s %s" % (m.name, m.file,
                                      ", ".join(str(r) for r in m.red)))
        return 0
    shutil.rmtree(LOGS, ignore_errors=True)
    os.makedirs(LOGS)
    os.environ["OUTBOX_TEST_LOGS"] = os.path.join(LOGS, "build")
    work = Work()
    try:
        found = run_all(work, mutations)
    except RuntimeError as error:
        sys.exit("test/mutate/run: %s" % error)
    finally:
        work.remove()
    mutate_report.keep(found)
    red = sum(f.verdict == "red" for f in found)
    print("%d passed, %d failed" % (red, len(found) - red))
    return 0 if found and red == len(found) else 1
