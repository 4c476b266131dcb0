"""
test/lib/suites.py

The suites of test/run: what each one builds and starts, and how its tests
are counted.  A test file gives back a Result; nothing else is counted.

SPDX-License-Identifier: PostgreSQL
"""

import glob
import os
import re
import shutil
import subprocess
import time
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor

import callgrind
import memcheck
import model
import sanitized
from scratch import ROOT, Cluster, Scratch, pg_config, pgxs

Result = namedtuple("Result", "name passed failed log")

JOBS = int(os.environ.get("OUTBOX_JOBS", "2"))
SECONDS = int(os.environ.get("OUTBOX_FILE_SECONDS", "600"))
SANITIZE = "-fsanitize=address,undefined"
CFLAGS = ["-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Wshadow",
          "-g", "-O1", "-fno-omit-frame-pointer", "-fno-sanitize-recover=all"]


class Run:
    """One suite being run: its scratch, where its logs go."""

    def __init__(self, scratch, suite):
        self.scratch, self.suite = scratch, suite
        self.logs = os.path.join(os.environ.get("OUTBOX_TEST_LOGS")
                                 or os.path.join(ROOT, "build", "test"), suite)
        shutil.rmtree(self.logs, ignore_errors=True)
        os.makedirs(self.logs)

    def log(self, name):
        return os.path.join(self.logs, os.path.basename(name) + ".log")

    def files(self, pattern, every=False):
        found = sorted(glob.glob(os.path.join(self.scratch.tree, pattern)))
        wanted = "" if every else os.environ.get("FILTER", "")
        return [name for name in found if wanted in os.path.basename(name)]

    def each(self, call, names, jobs=JOBS):
        with ThreadPoolExecutor(jobs) as pool:
            return list(pool.map(call, names))

    def tap(self, name, command, **more):
        """Runs what prints TAP, itself or under prove."""
        log = self.log(name)
        status = self.scratch.run(command, log, **{"timeout": SECONDS, **more})
        return count_tap(name, log, status)


def read(log):
    with open(log, encoding="utf-8", errors="replace") as file:
        return file.read()


def count_tap(name, log, status):
    """A bad exit without a failed test is a failure too, so is no test."""
    text = read(log)
    good = len(re.findall(r"^ok\b", text, re.M))
    bad = len(re.findall(r"^not ok\b(?!.*# TODO)", text, re.M))
    nothing = good == 0 and not re.search(r"1\.\.0|^Result: NOTESTS", text, re.M)
    if bad == 0 and (status != 0 or nothing):
        bad = 1
    return Result(name, good, bad, log)


def count_regress(name, log, status):
    """pg_regress prints TAP since 16, "name ... ok" before."""
    text = read(log)
    good = len(re.findall(r"\.\.\. ok\b|^ok \d", text, re.M))
    bad = len(re.findall(r"\.\.\. (?:FAILED|failed)|^not ok \d", text, re.M))
    if bad == 0 and (status != 0 or good == 0):
        bad = 1
    return Result(name, good, bad, log)


def shell(run, command, log):
    return run.scratch.run(["sh", "-c", command], log) == 0


# -- C programs

def build_archive(run, compiler, sanitize):
    """
    The relay's objects, the decoder's pure ones and the helpers of the unit
    tests (every C file there that is not a test), as an archive to link.
    """
    archive = "relay/build-%s/all.a" % run.suite
    log = run.log("build")
    make = ("make -s -k -C relay -j2 objects BUILD=build-%s CC=%s"
            " CFLAGS='-O1 -g -fno-omit-frame-pointer"
            " -fno-sanitize-recover=all' SANITIZE='%s'"
            % (run.suite, compiler, sanitize))
    folder = "relay/build-" + run.suite
    more = ["decoder/options.c"] + [
        name for name in run.files("test/unit/*.c", every=True)
        if not os.path.basename(name).startswith(("test_", "sim_"))]
    compile_more = " && ".join(
        "%s %s %s -Irelay -Idecoder -Iextension -Itest/unit -c -o %s/%s.o %s"
        % (compiler, " ".join(CFLAGS), sanitize, folder,
           os.path.basename(name), name) for name in more)
    done = shell(run, "%s && %s && find %s -name '*.o' ! -name main.o"
                 " | xargs ar rcs %s" % (make, compile_more, folder, archive),
                 log)
    return (archive if done else None), log


def compile_test(run, compiler, sanitize, source, archive):
    program = os.path.join(run.scratch.dir,
                           os.path.basename(source)[:-len(".c")])
    libraries = subprocess.check_output(
        ["pkg-config", "--libs", "libcurl", "rdkafka", "libevent", "inih",
         "jansson", "libsystemd"], text=True).split()
    version = subprocess.check_output(
        ["make", "-s", "-C", ROOT + "/relay", "print-VERSION"], text=True)
    command = [compiler, *CFLAGS, sanitize,
               '-DOUTBOX_VERSION="%s"' % version.strip(),
               "-Irelay", "-Idecoder", "-Iextension", "-Itest/unit",
               "-I" + pg_config("includedir"), "-o", program, source, archive,
               *libraries, "-L" + pg_config("libdir"), "-lpq", "-lm",
               "-lpthread"]
    return program if run.scratch.run(command, run.log(source)) == 0 else None


def run_programs(run, sources, compiler, sanitize, arguments, build_sanitize):
    archive, log = build_archive(run, compiler, build_sanitize)
    if archive is None:
        return [Result("build", 0, 1, log)]

    def one(source):
        program = compile_test(run, compiler, sanitize, source, archive)
        if program is None:
            return Result(source, 0, 1, run.log(source))
        return arguments(source, program)

    return run.each(one, sources)


def suite_unit(run, sink=False):
    sources = [name for name in run.files("test/unit/test_*.c")
               if os.path.basename(name).startswith("test_sink") == sink
               and os.path.basename(name) != "test_simulation.c"]
    if not sources:
        return []
    return run_programs(
        run, sources, "cc", SANITIZE,
        lambda source, program: run.tap(source, [program], timeout=300),
        SANITIZE)


def suite_sink(run):
    return suite_unit(run, sink=True)


SIMULATION_PART = 50000


def suite_simulation(run):
    """In parts; a fiftieth of them once more with the sanitizers."""
    count = int(os.environ.get("SIMULATION", "1000000"))
    first = int(os.environ.get("SIMULATION_FIRST", "1"))
    log = run.log("build")
    for name, sanitize in (("fast", "no"), ("checked", "yes")):
        if run.scratch.run(
                ["test/simulate", "build", run.scratch.dir + "/" + name], log,
                env={"SANITIZE": sanitize}) != 0:
            return [Result("build", 0, 1, log)]
    parts = [("checked", first, max(count // 50, 1))] + [
        ("fast", first + done, min(SIMULATION_PART, count - done))
        for done in range(0, count, SIMULATION_PART)]

    def simulate(part):
        name, start, most = part
        return run.tap("%s-%d" % (name, start),
                       [run.scratch.dir + "/" + name, str(most), str(start)],
                       env={"ASAN_OPTIONS": "abort_on_error=1"}, timeout=1800)

    return run.each(simulate, parts)


def suite_fuzz(run):
    seconds = int(os.environ.get("FUZZ_SECONDS", "30"))
    kept = os.environ.get("FUZZ_CORPUS")

    def fuzz(source, program):
        name = os.path.basename(source)[len("fuzz_"):-len(".c")]
        found = run.scratch.make("found-" + name)
        bad = run.scratch.make("bad-" + name)
        seeds = os.path.join(run.scratch.tree, "test/fuzz/corpus", name)
        if kept and os.path.isdir(os.path.join(kept, name)):
            run.scratch.add(os.path.join(kept, name), "found-" + name)
        status = run.scratch.run(
            [program, "-max_total_time=%d" % seconds, "-rss_limit_mb=1024",
             "-max_len=70000", "-timeout=10", "-verbosity=0",
             "-artifact_prefix=" + bad + "/", found]
            + ([seeds] if os.path.isdir(seeds) else []),
            run.log(source), timeout=seconds + 120)
        shutil.copytree(bad, run.logs, dirs_exist_ok=True)
        if kept:
            shutil.copytree(found, os.path.join(kept, name),
                            dirs_exist_ok=True)
        return Result(source, int(status == 0), int(status != 0),
                      run.log(source))

    sources = run.files("test/fuzz/fuzz_*.c")
    if not sources:
        return []
    return run_programs(run, sources, "clang-14",
                        "-fsanitize=fuzzer,address,undefined", fuzz,
                        "-fsanitize=fuzzer-no-link,address,undefined")


# -- scripts

def suite_lint(run):
    # Not in the copy: git knows which files are ours.
    log = run.log("lint")
    with open(log, "w", encoding="utf-8") as out:
        status = subprocess.call([ROOT + "/test/lint"], stdout=out, stderr=out)
    return [count_tap("lint", log, status)]


def suite_coverage(run):
    return [run.tap("coverage", ["test/coverage"])]


def suite_model(run):
    """The small configs, and every rule switched off."""
    results = []

    def tell(kind, what, good, _, log):
        name = what.name if kind == "config" else " ".join(what)
        results.append(Result(name, int(good), int(not good), log))

    model.check_all(run.logs, tell, model.QUICK)
    return results


def suite_shell(run):
    files = run.files("test/shell/run_*.sh") + run.files("test/oracle/test_*.py")
    return run.each(lambda name: run.tap(name, [name]), files)


def build_relay(run):
    """The relay with its kill points; None when it could not be built."""
    program = "build-kill/outbox-relay"
    how = ("kill" if sanitized.WANTED else "BUILD=build-kill PROGRAM=%s"
           " CFLAGS='-O2 -g -DOUTBOX_KILL_POINTS'" % program)
    built = shell(run, "make -s -C relay -j2 " + how, run.log("build"))
    return os.path.join(run.scratch.tree, "relay", program) if built else None


def append_regress_log(place, base, log):
    """What PostgreSQL::Test keeps from prove: why a test died."""
    ended = [line for line in read(log).splitlines()[-3:]
             if line.startswith("# stopped:")]
    for name in glob.glob("%s/**/regress_log_%s" % (place, base),
                          recursive=True):
        with open(log, "a", encoding="utf-8") as out:
            out.writelines(line + "\n" for line in
                           read(name).splitlines()[-40:] + ended)


def prove(run, files, jobs, **more):
    relay = build_relay(run)
    broken = [] if relay else [Result("build", 0, 1, run.log("build"))]

    def one(name):
        base = os.path.basename(name)[:-len(".pl")]
        place = run.scratch.make("t/" + base)
        result = run.tap(name, ["prove", "-v", "--nocolor", name],
                         env={"OUTBOX_RELAY": relay or "false", "TESTDIR": place,
                              "TESTDATADIR": place + "/data",
                              "TESTLOGDIR": place + "/log",
                              **sanitized.environment(place)},
                         cwd=place, **more)
        result = sanitized.add_reports(place, result)
        if result.failed == 0:
            shutil.rmtree(place, ignore_errors=True)
        else:
            append_regress_log(place, base, result.log)
            shutil.copytree(place, os.path.join(run.logs, base),
                            dirs_exist_ok=True, symlinks=True,
                            ignore=shutil.ignore_patterns("pgdata", "s.PGSQL*",
                                                          ".s.*", "*.sock"))
        return result

    return broken + run.each(one, files, jobs)


def suite_relay(run):
    return prove(run, run.files("test/t/*.pl"), JOBS)


def suite_core(run):
    return prove(run, run.files("test/core/*.pl"), 1, timeout=3 * 3600)


def suite_docs(run):
    relay = build_relay(run)
    if relay is None:
        return [Result("build", 0, 1, run.log("build"))]
    return [run.tap("docs", ["test/docs"], env={"OUTBOX_RELAY": relay})]


def suite_kafka(run):
    files = run.files("test/t_kafka/*.pl")
    if not files:
        return []
    log = run.log("fetch")
    with open(log, "w", encoding="utf-8") as out:
        fetched = subprocess.call([ROOT + "/test/kafka/fetch"],
                                  stdout=out, stderr=out)
    if fetched != 0:
        return [Result("fetching Kafka", 0, 1, log)]
    run.scratch.add(ROOT + "/build/kafka", "kafka")
    return prove(run, files, 1)


# -- in a server

def in_cluster(call):
    def suite(run):
        log = run.log("server")
        checked = memcheck.WANTED
        cluster = Cluster(run.scratch, log, program=memcheck.server(
            run.scratch) if checked else None)
        try:
            results = call(run, cluster)
        finally:
            shutil.copy(cluster.dir + "/server.log", run.logs)
            cluster.stop()
        return results + ([memcheck_result(run)] if checked else [])
    suite.__doc__ = call.__doc__
    return suite


def memcheck_result(run):
    log = run.log("memcheck")
    found, others = memcheck.reports(run.scratch)
    with open(log, "w", encoding="utf-8") as out:
        out.writelines("not ok - memcheck reports\n%s\n" % report
                       for report in found)
        out.write("# %d reports about the server alone\n" % others)
    return Result("memcheck", int(not found), len(found), log)


def regress(run, cluster, program, folder, more):
    place = os.path.join(run.scratch.tree, "test", folder)
    output = run.scratch.make(folder)
    log = run.log(folder)
    status = run.scratch.run(
        [os.path.realpath(pgxs(program)), "--host=" + cluster.dir,
         "--user=postgres", "--inputdir=" + place, "--outputdir=" + output,
         "--bindir=" + run.scratch.bindir,
         "--schedule=" + place + "/schedule", *more],
        log, timeout=900)
    for name in glob.glob(output + "/**/regression.diffs", recursive=True):
        with open(log, "a", encoding="utf-8") as out:
            out.write(read(name))
    return [count_regress(folder, log, status)]


@in_cluster
def suite_sql(run, cluster):
    return regress(run, cluster, "src/test/regress/pg_regress", "sql",
                   ["--dbname=outbox_regress"])


@in_cluster
def suite_isolation(run, cluster):
    return regress(run, cluster, "src/test/isolation/pg_isolation_regress",
                   "isolation", ["--dbname=outbox_isolation",
                                 "--load-extension=outbox"])


@in_cluster
def suite_pgtap(run, cluster):
    def one(name):
        database = "t_" + re.sub(r"\W", "_", os.path.basename(name)[:-4])
        cluster.psql("postgres", 'CREATE DATABASE "%s"' % database)
        # One that is about making the extension makes it itself.
        for extension in ("pgtap", "outbox"):
            if "CREATE EXTENSION " + extension not in read(name):
                cluster.psql(database, "CREATE EXTENSION " + extension)
        return run.tap(name, ["pg_prove", "-v", "--nocolor", "-d", database,
                              name], env=cluster.env)

    return run.each(one, run.files("test/pgtap/*.sql"), 1)


def suite_callgrind(run):
    log = run.log("callgrind")
    with open(log, "w", encoding="utf-8") as out:
        out.writelines(line + "\n" for line in callgrind.count_all(run))
    return [count_tap("callgrind", log, 0)]


# Each suite with the folder whose presence says that it has tests.
SUITES = {
    "lint": (suite_lint, "test"),
    "docs": (suite_docs, "doc"),
    "unit": (suite_unit, "test/unit"),
    "simulation": (suite_simulation, "test/unit"),
    "coverage": (suite_coverage, "test/unit"),
    "fuzz": (suite_fuzz, "test/fuzz"),
    "model": (suite_model, "doc/model"),
    "shell": (suite_shell, "test/shell"),
    "sql": (suite_sql, "test/sql/sql"),
    "pgtap": (suite_pgtap, "test/pgtap"),
    "isolation": (suite_isolation, "test/isolation/specs"),
    "relay": (suite_relay, "test/t"),
    "kafka": (suite_kafka, "test/t_kafka"),
    "sink": (suite_sink, "test/unit"),
    "callgrind": (suite_callgrind, "test/callgrind"),
    "core": (suite_core, "test/core"),
}
# Needs a server that has its own tests with it.
ONLY_BY_NAME = ["core"]


def show_failed(result):
    lines = read(result.log).splitlines() if os.path.exists(result.log) else []
    bad = [line for line in lines if line.startswith("not ok")]
    print("  FAILED %s, see %s" % (os.path.basename(result.name),
                                   os.path.relpath(result.log, ROOT)))
    for line in bad[:20] + ["..."] + lines[-40:]:
        print("    " + line)


def run_suite(scratch, suite):
    call, folder = SUITES[suite]
    if not os.path.isdir(os.path.join(ROOT, folder)):
        print("%-10s no tests" % suite, flush=True)
        return 0, 0
    began = time.monotonic()
    run = Run(scratch, suite)
    try:
        results = call(run)
    except RuntimeError as error:
        print("  %s" % error)
        results = [Result(suite, 0, 1, run.log("server"))]
    if not results and not os.environ.get("FILTER"):
        results = [Result("no tests in " + folder, 0, 1, run.log("none"))]
    good = sum(result.passed for result in results)
    bad = sum(result.failed for result in results)
    print("%-10s %5d passed %3d failed  %6.1f s"
          % (suite, good, bad, time.monotonic() - began), flush=True)
    for result in results:
        if result.failed:
            show_failed(result)
    return good, bad


def main(names):
    unknown = [name for name in names if name not in SUITES]
    if unknown:
        print("test/run: no suite %s; there are: %s"
              % (unknown[0], " ".join(SUITES)))
        return 2
    scratch = Scratch()
    good = bad = 0
    try:
        for name in names or [n for n in SUITES if n not in ONLY_BY_NAME]:
            counts = run_suite(scratch, name)
            good, bad = good + counts[0], bad + counts[1]
    finally:
        scratch.remove()
    print("%d passed, %d failed" % (good, bad))
    return 0 if bad == 0 and good > 0 else 1
