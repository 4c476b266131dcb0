"""
test/lib/mutate_report.py

Keeps what was found, and tells it in doc/proof-mutations.md.

SPDX-License-Identifier: PostgreSQL
"""

import json
import os

import mutants
from scratch import ROOT

RESULTS = os.path.join(ROOT, "test", "mutate", "results.json")
PAGE = os.path.join(ROOT, "doc", "proof-mutations.md")

HEAD = """# Mutations

Made by `make mutate` from `test/mutate/`: the product is broken in one place
after the other, and each of the tests named beside the break must turn red.
Of %d mutations %d were red when they were last run, %d were not.

"""

FOOT = """
## To add one

A mutation is a few lines in one of the tables `test/mutate/*.txt`; the form
is told at the top of `test/mutate/run`. Name the cheapest test that should
see it, then:

    make mutate ONLY=name

When it survives, the missing test is the point: write it, and see that it is
red with the mutation and green without. A change that cannot be seen from
outside (an equivalent one) is not a mutation; leave it out.
`make mutate SUITE=unit` runs those that a suite is to find; the number
behind `test_simulation` is how many schedules it may take. Mutations of the
server parts are installed into a copy of PostgreSQL's folders, never into the
system's.
"""


def load():
    if not os.path.exists(RESULTS):
        return {}
    with open(RESULTS, encoding="utf-8") as file:
        return {entry["name"]: entry for entry in json.load(file)}


def keep(found):
    results = load()
    for f in found:
        results[f.name] = f._asdict()
    mutations = mutants.read_all()
    kept = [results[m.name] for m in mutations if m.name in results]
    with open(RESULTS, "w", encoding="utf-8") as file:
        json.dump(kept, file, indent=1)
        file.write("\n")
    write_page(mutations, {entry["name"]: entry for entry in kept})


def cell(text):
    return text.replace("|", "\\|")


def write_page(mutations, results):
    red = sum(entry["verdict"] == "red" for entry in results.values())
    text = HEAD % (len(results), red, len(results) - red)
    for table in sorted({m.table for m in mutations}):
        text += "\n## %s\n\n| name | file | broken | found by |\n" \
                "|---|---|---|---|\n" % table.capitalize()
        for m in mutations:
            entry = results.get(m.name)
            if m.table != table:
                continue
            by = "not run yet" if entry is None else entry["by"]
            if entry is not None and entry["verdict"] != "red":
                by = "**%s** %s" % (entry["verdict"], by)
            text += "| %s | `%s` | %s | %s |\n" % (
                m.name, m.file, cell(m.why), cell(by))
    with open(PAGE, "w", encoding="utf-8") as file:
        file.write(text.replace("\n\n\n", "\n\n") + FOOT)
