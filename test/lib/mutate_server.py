"""
test/lib/mutate_server.py

Mutations that tests with a server have to find.  The server's folders are
copied, the extension and the decoder are installed into the copy: the
programs of PostgreSQL find their files relative to where they are.  A
mutation changes its file in the copied tree, which is built and installed
again; then the suite runs, only the file that is named; then all is put back.

SPDX-License-Identifier: PostgreSQL
"""

import os
import shutil

import scratch
import suites

FOLDERS = ("bindir", "pkglibdir", "sharedir", "includedir",
           "includedir-server")


def stage(place):
    """Copies the server's folders; the pg_config in the copy."""
    program = os.path.join(scratch.pg_config("bindir"), "pg_config")
    for name in FOLDERS:
        folder = scratch.pg_config(name)
        if not os.path.isdir(place + folder):
            shutil.copytree(folder, place + folder,
                            ignore=shutil.ignore_patterns("bitcode", "man"))
    return place + program


class ServerRunner:
    """Has a tree and a server of its own."""

    def __init__(self, logs):
        self.logs, self.changed = logs, None
        self.scratch = scratch.Scratch()
        scratch.PG_CONFIG = stage(self.scratch.dir + "/pg")
        if self.scratch.user:
            self.scratch.own(self.scratch.dir + "/pg")
        self.scratch.bindir = scratch.pg_config("bindir")
        self.scratch.env = self.scratch.environment()

    def build(self, log):
        """Whether the server parts are built and installed."""
        for part in ("extension", "decoder"):
            if self.scratch.run(
                    ["make", "-s", "-C", part, "WERROR=",
                     "PG_CONFIG=" + scratch.PG_CONFIG, "install"], log) != 0:
                return False
        return True

    def write(self, name, text):
        path = os.path.join(self.scratch.tree, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def put_back(self):
        """The file that was changed is as it was."""
        if self.changed is not None:
            self.write(*self.changed)
            self.changed = None

    def change(self, mutation):
        with open(os.path.join(self.scratch.tree, mutation.file),
                  encoding="utf-8") as file:
            text = file.read()
        changed = mutation.apply(text)
        self.changed = (mutation.file, text)
        self.write(mutation.file, changed)

    def test(self, mutation, red, log):
        """0: green, "broken": it cannot be built, else red."""
        if mutation is not None:
            self.change(mutation)
        try:
            if not self.build(log):
                return "broken"
            return self.run(red, log)
        finally:
            self.put_back()

    def run(self, red, log):
        os.environ["FILTER"] = red.test
        run = suites.Run(self.scratch, red.suite)
        try:
            results = suites.SUITES[red.suite][0](run)
        except RuntimeError as error:
            results = [suites.Result(str(error), 0, 1, run.log("server"))]
        finally:
            del os.environ["FILTER"]
            # What a red one left would break the next run of the same file.
            self.scratch.remove("t")
        with open(log, "a", encoding="utf-8") as out:
            for result in results:
                if os.path.exists(result.log):
                    out.write(suites.read(result.log))
        names = [os.path.basename(result.name) for result in results]
        if not results or "build" in names:
            return "broken"
        return 0 if all(r.failed == 0 for r in results) else 1

    def remove(self):
        self.scratch.remove()
