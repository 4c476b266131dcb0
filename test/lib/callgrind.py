"""
test/lib/callgrind.py

Instructions for a message, counted by valgrind's callgrind and compared with
those recorded in test/callgrind/counts: a guard against what makes the hot
functions slower, on a machine however noisy.

They depend on the compiler, the server's build, the C library, valgrind and
the processor's kind of vector instructions; where those are others than the
recorded ones nothing is compared, and the reason is printed.

CALLGRIND_RECORD=yes make verify SUITE=callgrind writes the file anew, for a
change that is meant: the commit shows what it did.

SPDX-License-Identifier: PostgreSQL
"""

import glob
import os
import platform
import re
import shutil
import subprocess

from scratch import ROOT, Cluster, pg_config

COUNTS = os.path.join(ROOT, "test", "callgrind", "counts")
TOLERANCE = 0.03
VALGRIND = ["valgrind", "--tool=callgrind", "--quiet"]


# -- what the figures depend on

def first_line(*command):
    try:
        return subprocess.check_output(command, text=True,
                                       env={**os.environ, "LC_ALL": "C"}
                                       ).splitlines()[0]
    except (OSError, subprocess.CalledProcessError):
        return "none"


def vectors():
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
        flags = re.search(r"^(?:flags|Features)\s*: (.*)$", file.read(), re.M)
    have = flags.group(1).split() if flags else []
    return " ".join(name for name in ("sse4_2", "avx2", "erms") if name in have)


def facts():
    return {
        "compiler": first_line("cc", "--version"),
        "server": pg_config("version"),
        "C library": " ".join(platform.libc_ver()),
        "valgrind": first_line("valgrind", "--version"),
        "processor": "%s %s" % (platform.machine(), vectors()),
    }


# -- the file

def read_counts():
    """({fact: value}, {section: instructions}), both empty without one."""
    known, counts = {}, {}
    if os.path.exists(COUNTS):
        with open(COUNTS, encoding="utf-8") as file:
            for line in file:
                fact = re.match(r"# ([\w ]+): (.*)", line)
                count = re.match(r"\s*(\d+)\s+(.*)", line)
                if fact:
                    known[fact.group(1)] = fact.group(2)
                elif count:
                    counts[count.group(2)] = int(count.group(1))
    return known, counts


def write_counts(counts):
    with open(COUNTS, "w", encoding="utf-8") as file:
        file.write("# Instructions for a message, counted by make verify"
                   " SUITE=callgrind.\n# CALLGRIND_RECORD=yes with it"
                   " records them anew.  Compared only with the same\n")
        file.writelines("# %s: %s\n" % pair for pair in facts().items())
        file.writelines("%8d  %s\n" % (count, name)
                        for name, count in counts.items())


# -- callgrind

def total(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return int(re.search(r"^totals: (\d+)", file.read(), re.M).group(1))


def inclusive(path, functions):
    """Of these functions and all that they call."""
    out = subprocess.check_output(
        ["callgrind_annotate", "--inclusive=yes", "--threshold=100", path],
        text=True, errors="replace", stderr=subprocess.DEVNULL)
    found = re.findall(r"^\s*([\d,]+) \(.*:(\w+) \[", out, re.M)
    return sum(int(count.replace(",", "")) for count, name in found
               if name in functions)


def read_sections(folder, marks):
    """
    {name: instructions for a message}: the n-th file has what was counted
    before the n-th mark, "name / messages / functions".
    """
    counts = {}
    for number, mark in enumerate(marks, 1):
        if not mark:
            continue
        name, messages, *functions = mark.split(" / ")
        path = "%s/out.%d" % (folder, number)
        count = (inclusive(path, functions[0].split()) if functions
                 else total(path))
        counts[name] = round(count / int(messages))
    return counts


def count_program(run, name, mark, command, **more):
    """The folder of what was counted between the calls of mark."""
    folder = run.scratch.make("callgrind-" + name)
    log = run.log(name)
    status = run.scratch.run(
        VALGRIND + ["--dump-before=" + mark,
                    "--callgrind-out-file=%s/out" % folder] + command,
        log, **more)
    if status != 0:
        raise RuntimeError("%s failed under valgrind, see %s" % (name, log))
    return folder


def count_server(run):
    """A backend without a postmaster: nobody else takes part."""
    log = run.log("setup")
    cluster = Cluster(run.scratch, log)
    try:
        cluster.psql("postgres", "CREATE EXTENSION outbox")
        cluster.command("pg_ctl", "-D", cluster.data, "-w", "stop")
        path = os.path.join(run.scratch.tree, "test/callgrind/server.sql")
        with open(path, encoding="utf-8") as file:
            marks = re.findall(r"^SELECT outbox_shard\('(.*)'\);", file.read(),
                               re.M)
        folder = count_program(
            run, "server", "outbox_shard",
            [run.scratch.program("postgres"), "--single", "-j", "-D",
             cluster.data, "postgres"], stdin=path)
        return read_sections(folder, marks)
    finally:
        cluster.stop()


def build_relay(run):
    """The relay's objects as they are shipped, and the driver."""
    program = os.path.join(run.scratch.dir, "relay-driver")
    command = (
        "make -s -C relay -j2 objects BUILD=build-callgrind"
        " && cc -std=c11 -O2 -g -Wall -Wextra -Werror -D_GNU_SOURCE -Irelay"
        " -Idecoder -Iextension -I%s -o %s test/callgrind/relay.c"
        " $(find relay/build-callgrind -name '*.o' ! -name main.o)"
        " $(pkg-config --libs libcurl rdkafka libevent jansson libsystemd)"
        " -L%s -lpq -lm" % (pg_config("includedir"), program,
                            pg_config("libdir")))
    if run.scratch.run(["sh", "-c", command], run.log("build")) != 0:
        raise RuntimeError("the relay was not built, see %s"
                           % run.log("build"))
    return program


def count_relay(run):
    folder = count_program(run, "relay", "mark", [build_relay(run)])
    with open(run.log("relay"), encoding="utf-8") as file:
        marks = file.read().splitlines()
    return read_sections(folder, marks)


# -- the comparison

def compare(name, count, recorded):
    """A line of TAP."""
    if recorded is None:
        return "not ok - %s: %d instructions, none recorded" % (name, count)
    change = count / recorded - 1
    return "%s - %s: %d instructions a message, recorded %d (%+.1f %%)" % (
        "ok" if abs(change) <= TOLERANCE else "not ok", name, count, recorded,
        100 * change)


def why_not():
    """Why nothing can be compared here, or nothing."""
    if shutil.which("valgrind") is None:
        return "valgrind is not installed"
    known = read_counts()[0]
    other = ["%s is %s, recorded with %s" % (name, value, known.get(name))
             for name, value in facts().items() if known.get(name) != value]
    return "; ".join(other)


def count_all(run):
    """The lines of TAP, all recorded sections among them."""
    recording = os.environ.get("CALLGRIND_RECORD") == "yes"
    reason = "" if recording else why_not()
    if reason:
        print("  callgrind compares nothing: " + reason)
        return ["ok 1 # SKIP " + reason, "1..1"]
    counts = {**count_server(run), **count_relay(run)}
    if recording:
        write_counts(counts)
    recorded = read_counts()[1]
    lines = [compare(name, count, recorded.get(name))
             for name, count in counts.items()]
    lines += ["not ok - %s: recorded, but not counted any more" % name
              for name in recorded if name not in counts]
    for path in glob.glob(run.scratch.dir + "/callgrind-*/out.*"):
        shutil.copy(path, os.path.join(run.logs, "%s.%s" % (
            os.path.basename(os.path.dirname(path)),
            os.path.basename(path))))
    return lines + ["1..%d" % len(lines)]
