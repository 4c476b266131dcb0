"""
test/lib/proof.py

The faults of test/proof.rows, what long runs have shown (results.json), and
the page that is made of both.

SPDX-License-Identifier: PostgreSQL
"""

import datetime
import json
import os
import re
from collections import namedtuple

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
ROWS = os.path.join(ROOT, "test", "proof.rows")
RESULTS = os.path.join(ROOT, "test", "torture", "results.json")
PAGE = os.path.join(ROOT, "doc", "proof.md")
# Of each kind of torture and each row of the soak.
KEPT = 10

Row = namedtuple("Row", "number text tests but soak")

HEAD = """# Faults, and the tests that show what becomes of the messages

Made by `test/proof --write` from `test/proof.rows`. These are the faults that
are known from the trackers of other systems of this kind. A test under load
ends with a reckoning by `test/oracle/check.py`, which shares no code with the
product: all that was committed has arrived and is SENT, nothing that was rolled
back, in the order of its key, with the bytes that were enqueued.

The tests are below `test/`. Where a line says "full scale", `make verify` runs
less of it, and `make soak` as much as is said there. What the tests are worth is
told in [proof-mutations.md](proof-mutations.md), what is open in
[open.md](open.md).

| | what goes wrong, and what must hold | shown by |
|---|---|---|
"""

RUNS = """
## Long runs

Random faults under a random load (`make torture`) and the rows above at full
scale (`make soak`), the last of each kind; `test/torture/results.json` has
the details.

| | what | minutes | messages | passed | failed |
|---|---|---|---|---|---|
"""


def rows():
    with open(ROWS, encoding="utf-8") as file:
        blocks = re.split(r"^== ", file.read(), flags=re.M)[1:]
    found = []
    for block in blocks:
        number, text, *fields = block.strip().split("\n")
        more = dict(field.split(": ", 1) for field in fields)
        found.append(Row(int(number), text, more.pop("tests", "").split(),
                         more.pop("but", None), more.pop("soak", "").split()))
        if more:
            raise ValueError("row %s has a field %s" % (number, list(more)))
    return found


# -- what long runs have shown

def results():
    if not os.path.exists(RESULTS):
        return []
    with open(RESULTS, encoding="utf-8") as file:
        return json.load(file)


def record(entry):
    """A line more, and the page with it; the oldest of its kind goes."""
    def kind(one):
        return one["what"], one.get("row")

    entry = {"date": datetime.date.today().isoformat(), **entry}
    kept = [one for one in results() if kind(one) == kind(entry)]
    gone = kept[:max(0, len(kept) + 1 - KEPT)]
    lines = [one for one in results() if one not in gone] + [entry]
    with open(RESULTS + ".new", "w", encoding="utf-8") as file:
        file.write("[\n%s\n]\n" % ",\n".join(
            json.dumps(line, sort_keys=True) for line in lines))
    os.rename(RESULTS + ".new", RESULTS)
    write()


def told(entry):
    if entry["what"] == "torture":
        return "torture, seed %d, %d faults%s" % (
            entry["seed"], sum(entry["faults"].values()),
            ", with Kafka" if entry["kafka"] else "")
    return "soak, row %d, %g of full scale" % (entry["row"], entry["scale"])


# -- the page

def shown_by(row):
    parts = ["`%s`" % name for name in row.tests]
    if row.soak:
        parts.append("full scale: " + ", ".join(
            "`%s`" % word for word in row.soak))
    if row.but:
        parts.append(("not: " if row.tests else "out of scope so far: ")
                     + row.but)
    return "<br>".join(parts)


def page():
    lines = ["| %d | %s | %s |\n" % (row.number, row.text, shown_by(row))
             for row in rows()]
    runs = ["| %s | %s | %g | %s | %d | %d |\n" % (
        one["date"], told(one), one["minutes"], one.get("messages", ""),
        one["passed"], one["failed"]) for one in reversed(results())]
    return HEAD + "".join(lines) + RUNS + "".join(runs)


def write():
    with open(PAGE, "w", encoding="utf-8") as file:
        file.write(page())


# -- what must hold

def checks():
    """(whether it is so, what): for test/docs."""
    found = rows()
    absent = [name for row in found for name in row.tests
              if not os.path.isfile(os.path.join(ROOT, "test", name))]
    bare = [str(row.number) for row in found if not row.tests and not row.but]
    numbers = [row.number for row in found]
    try:
        with open(PAGE, encoding="utf-8") as file:
            current = file.read() == page()
    except FileNotFoundError:
        current = False
    return [
        (current, "doc/proof.md is what test/proof --write makes"),
        (numbers == list(range(1, len(found) + 1)) and len(found) >= 50,
         "test/proof.rows has every row, in order"),
        (not bare, "every row in scope has a test %s" % " ".join(bare)),
        (not absent, "every test that a row names is there %s"
         % " ".join(absent))]
