"""
test/lib/mutants.py

The tables of test/mutate/: what a mutation is, read and applied.  See
test/mutate/run for the form of a table.

SPDX-License-Identifier: PostgreSQL
"""

import fnmatch
import glob
import os
import re

from scratch import ROOT

HEAD = re.compile(r"^== (\S+) +(\S+)$")
RED = re.compile(r"^red: (\w+) (\S+)(?: (.+))?$")


class Stale(Exception):
    """The code that is to be changed is not there, or more than once."""


class Red:
    """A test that has to fail: suite, text in its file's name, arguments."""

    def __init__(self, suite, test, arguments):
        self.suite, self.test = suite, test
        self.arguments = (arguments or "").split()

    def __str__(self):
        return " ".join([self.suite, self.test, *self.arguments])


class Hunk:
    """where: text after which to look, "" from the top; old -> new."""

    def __init__(self, where):
        self.where, self.old, self.new = where, "", ""

    def add(self, line):
        if line[0] != "+":
            self.old += line[1:] + "\n"
        if line[0] != "-":
            self.new += line[1:] + "\n"

    def apply(self, text):
        start = text.find(self.where)
        if start < 0:
            raise Stale('"%s" is not there' % self.where)
        at = text.find(self.old, start)
        if at < 0:
            raise Stale("not there:\n" + self.old)
        if not self.where and text.find(self.old, at + 1) >= 0:
            raise Stale("there more than once:\n" + self.old)
        return text[:at] + self.new + text[at + len(self.old):]


class Mutation:
    """name, file, table, why, and the tests that must turn red."""

    def __init__(self, name, file, table):
        self.name, self.file, self.table = name, file, table
        self.why, self.red, self.hunks = "", [], []

    def suites(self):
        return [red.suite for red in self.red]

    def apply(self, text):
        """The text of the file, changed."""
        for hunk in self.hunks:
            text = hunk.apply(text)
        return text

    def check(self):
        if not self.why or not self.red or not self.hunks:
            raise ValueError("%s: %s lacks a sentence, a test or a change"
                             % (self.table, self.name))


def read_line(mutation, line):
    red = RED.match(line)
    if red:
        mutation.red.append(Red(*red.groups()))
    elif line.startswith("@@"):
        mutation.hunks.append(Hunk(line[2:].strip()))
    elif line[0] in " +-":
        if not mutation.hunks:
            mutation.hunks.append(Hunk(""))
        mutation.hunks[-1].add(line)
    else:
        mutation.why += (" " if mutation.why else "") + line.strip()


def read_table(path):
    table = os.path.splitext(os.path.basename(path))[0]
    found = []
    with open(path, encoding="utf-8") as file:
        for line in file.read().splitlines():
            head = HEAD.match(line)
            if head:
                found.append(Mutation(*head.groups(), table))
            elif line and not (line.startswith("#") and not found):
                read_line(found[-1], line)
    return found


def read_all():
    found = []
    for path in sorted(glob.glob(ROOT + "/test/mutate/*.txt")):
        found += read_table(path)
    names = [m.name for m in found]
    for mutation in found:
        mutation.check()
        if names.count(mutation.name) > 1:
            raise ValueError("two mutations are named " + mutation.name)
    return found


def chosen(mutations, only, suite):
    """only: names or patterns, suite: whose tests are of it; "" for all."""
    patterns = only.replace(",", " ").split()
    return [m for m in mutations
            if (not patterns or any(fnmatch.fnmatchcase(m.name, pattern)
                                    for pattern in patterns))
            and (not suite or suite in m.suites())]
