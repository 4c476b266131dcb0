"""
test/lib/mutate_unit.py

Mutations that unit tests have to find.  All is built once; a mutation
compiles its one file and links it in front of the archive, whose member of
the same name is then not taken.

SPDX-License-Identifier: PostgreSQL
"""

import os
import subprocess
import threading

import suites
from scratch import pg_config

SUITES = ("unit", "sink", "simulation")
TIMEOUT = 300


class Programs:
    """The archive and the test objects, for the tests of unit and sink."""

    name = "unit"
    flags = suites.SANITIZE.split()

    def __init__(self, scratch):
        self.run = suites.Run(scratch, self.name)
        self.scratch, self.lock = scratch, threading.Lock()
        self.objects = {}
        self.version = subprocess.check_output(
            ["make", "-s", "-C", suites.ROOT + "/relay", "print-VERSION"],
            text=True).strip()
        self.archive, log = self.build()
        if self.archive is None:
            raise RuntimeError("nothing could be built, see " + log)
        self.libraries = subprocess.check_output(
            ["pkg-config", "--libs", "libcurl", "rdkafka", "libevent", "inih",
             "jansson", "libsystemd"], text=True).split() + [
                 "-L" + pg_config("libdir"), "-lpq", "-lm", "-lpthread"]

    def build(self):
        return suites.build_archive(self.run, "cc", suites.SANITIZE)

    def compile(self, source, program, log):
        command = ["cc", *suites.CFLAGS, *self.flags, "-w",
                   '-DOUTBOX_VERSION="%s"' % self.version, "-Irelay", "-Irelay/core",
                   "-Idecoder", "-Iextension", "-Itest/unit",
                   "-I" + pg_config("includedir"), "-c", "-o", program, source]
        return self.scratch.run(command, log) == 0

    def test_object(self, test):
        """Compiled when it is first needed; None: it cannot be."""
        with self.lock:
            if test not in self.objects:
                name = os.path.join(self.scratch.dir, self.run.suite + "-"
                                    + test + ".o")
                good = self.compile("test/unit/%s.c" % test, name,
                                    self.run.log(test))
                self.objects[test] = name if good else None
            return self.objects[test]

    def link(self, program, objects, log):
        return self.scratch.run(
            ["cc", *self.flags, "-o", program, *objects, self.archive,
             *self.libraries], log) == 0


class Simulation(Programs):
    """The core with windows that vary, see sim_windows.h."""

    name = "simulation"
    flags = Programs.flags + ["-include", "test/unit/sim_windows.h"]

    def build(self):
        folder = self.scratch.make("simulation")
        log = self.run.log("build")
        sources = ["decoder/wire.c", "extension/murmur2.c"] + [
            os.path.relpath(name, self.scratch.tree)
            for pattern in ("relay/core/*.c", "test/unit/sim_*.c")
            for name in self.run.files(pattern, every=True)]
        objects = [os.path.join(folder, os.path.basename(name) + ".o")
                   for name in sources]
        good = self.run.each(
            lambda pair: self.compile(*pair, log), zip(sources, objects))
        archive = os.path.join(folder, "all.a")
        done = all(good) and self.scratch.run(
            ["ar", "rcs", archive, *objects], log) == 0
        return (archive if done else None), log


class UnitRunner:
    """Runs tests of test/unit on the code as it is and as it is mutated."""

    def __init__(self, scratch):
        self.scratch, self.lock, self.programs = scratch, threading.Lock(), {}

    def programs_for(self, suite):
        kind = Simulation if suite == "simulation" else Programs
        with self.lock:
            if kind not in self.programs:
                self.programs[kind] = kind(self.scratch)
            return self.programs[kind]

    def mutant(self, mutation, programs, place, log):
        """The object of the changed file; None: it does not compile."""
        path = os.path.join(place, "src", mutation.file)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(os.path.join(self.scratch.tree, mutation.file),
                  encoding="utf-8") as file:
            text = mutation.apply(file.read())
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        target = os.path.join(place, programs.run.suite + "-mutant.o")
        if not programs.compile(path, target, log):
            return None
        return target

    def test(self, mutation, red, log):
        """The exit status of the test, or "broken"; None: out of time."""
        programs = self.programs_for(red.suite)
        place = self.scratch.make("mutants/%s"
                                  % (mutation.name if mutation else "none"))
        objects = [programs.test_object(red.test)]
        if mutation is not None:
            objects.append(self.mutant(mutation, programs, place, log))
        program = os.path.join(place, "%s-%s" % (red.suite, red.test))
        if None in objects or not programs.link(program, objects, log):
            return "broken"
        try:
            return self.scratch.run([program, *red.arguments], log,
                                    timeout=TIMEOUT)
        finally:
            os.unlink(program)
