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

# The sizes with which the simulation finds more, see test_simulation.c.
SMALL = (" -DROUTE_LANE_MAX=6 -DROUTE_ROWS_MAX=8 -DWINDOW_ITEMS=4"
         " -DWINDOW_ITEMS_SHORT=2 -DTAIL_SEGMENT=3 -DENGINE_POUR_IDS=5"
         " -DROUTE_FETCH_MAX=4 -DENGINE_SETTLE_FACTS=8")
DEFINES = {"unit": "", "sink": "", "small": SMALL}
TIMEOUT = 300


class Programs:
    """The archive and the test objects of one set of defines."""

    def __init__(self, scratch, defines):
        self.run = suites.Run(scratch, "unit" if not defines else "small")
        self.scratch, self.lock = scratch, threading.Lock()
        self.flags = (suites.SANITIZE + defines).split()
        self.objects = {}
        self.archive, self.log = suites.build_archive(
            self.run, "cc", suites.SANITIZE + defines)
        if self.archive is None:
            raise RuntimeError("nothing could be built, see " + self.log)
        self.libraries = subprocess.check_output(
            ["pkg-config", "--libs", "libcurl", "rdkafka", "libevent", "inih",
             "jansson", "libsystemd"], text=True).split() + [
                 "-L" + pg_config("libdir"), "-lpq", "-lm", "-lpthread"]

    def compile(self, source, program, log, includes=()):
        command = ["cc", *suites.CFLAGS, *self.flags, "-w",
                   '-DOUTBOX_VERSION="0"', *includes, "-Irelay",
                   "-Irelay/core", "-Idecoder", "-Iextension", "-Itest/unit",
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


class UnitRunner:
    """Runs tests of test/unit on the code as it is and as it is mutated."""

    def __init__(self, scratch):
        self.scratch, self.lock, self.programs = scratch, threading.Lock(), {}

    def programs_for(self, suite):
        defines = DEFINES[suite]
        with self.lock:
            if defines not in self.programs:
                self.programs[defines] = Programs(self.scratch, defines)
            return self.programs[defines]

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
