"""
bench/measure.py

Runs two things in turn and compares them; what a result looks like.

A result file is {"facts", "case", "title", "note", "rows"}.  A row is
{"what", "conditions", "unit", "ours": [..], "peer": [..] or null,
"peer_name", "better": "more" | "less", "target"}; its figures are as they
were taken, in the order of the rounds.

SPDX-License-Identifier: PostgreSQL
"""

import ctypes
import json
import os
import re
import statistics
import subprocess
import time

HERE = os.path.dirname(os.path.abspath(__file__))
RESULTS = os.path.join(HERE, "results")


def alternate(rounds, ours, peer):
    """(figures of ours, figures of peer), who goes first changing."""
    figures = ([], [])
    for number in range(rounds):
        order = ((0, ours), (1, peer))
        for which, call in order if number % 2 == 0 else reversed(order):
            figures[which].append(call())
    return figures


def row(what, conditions, unit, ours, peer=None, **more):
    """more: peer_name, better, target."""
    return {"what": what, "conditions": conditions, "unit": unit,
            "ours": ours, "peer": peer, **{"better": "more", **more}}


def busy():
    """Seconds that all processors of the machine have worked so far."""
    with open("/proc/stat", encoding="ascii") as file:
        ticks = [int(n) for n in file.readline().split()[1:9]]
    user, nice, system, _idle, _iowait, irq, softirq, _steal = ticks
    return ((user + nice + system + irq + softirq)
            / os.sysconf("SC_CLK_TCK"))


def percentile(values, share):
    """The least value that so many are not above."""
    values = sorted(values)
    return values[min(len(values) - 1, int(share * len(values)))]


def histogram(text, name, **labels):
    """{upper bound: how many up to it} of a Prometheus histogram."""
    wanted = "".join(r'(?=[^}]*\b%s="%s")' % pair for pair in labels.items())
    found = re.findall(r'^%s_bucket\{%s[^}]*le="([^"]+)"[^}]*\} (\d+)'
                       % (name, wanted), text, re.M)
    return {float(bound): int(count) for bound, count in found}


def quantile(before, after, share):
    """Of what came between two histograms, linear within a bucket; ms."""
    counts = {bound: after[bound] - before.get(bound, 0) for bound in after}
    rank = share * max(counts.values())
    low, below = 0.0, 0
    for bound, count in sorted(counts.items()):
        if count >= rank:
            if bound == float("inf"):
                break
            part = (rank - below) / (count - below)
            return (low + (bound - low) * part) * 1000
        low, below = bound, count
    return low * 1000


def ratio(entry):
    """
    The ratio of the medians, above 1 when ours does more (or needs more),
    and the least and greatest of the rounds.
    """
    rounds = [ours / peer for ours, peer in zip(entry["ours"], entry["peer"])]
    return (statistics.median(entry["ours"]) / statistics.median(entry["peer"]),
            min(rounds), max(rounds))


# -- facts

def version(*command):
    try:
        return subprocess.check_output(command, text=True,
                                       stderr=subprocess.DEVNULL).strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def library_version(name, function):
    call = getattr(ctypes.CDLL(name), function)
    call.restype = ctypes.c_char_p
    return call().decode()


def curl_version():
    return library_version("libcurl.so.4", "curl_version").split()[0]


def processor():
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
        found = re.search(r"^model name\s*: (.*)$", file.read(), re.M)
    return found.group(1) if found else "unknown"


def memory_gb():
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2 ** 30


def facts():
    """Of the machine and the programs; nothing that names the machine."""
    commit = version("git", "-C", HERE, "rev-parse", "--short", "HEAD")
    return {
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "commit": commit,
        "cores": len(os.sched_getaffinity(0)),
        "processor": processor(),
        "memory": "%.0f GB" % memory_gb(),
        "kernel": os.uname().release,
        "load before": "%.1f" % os.getloadavg()[0],
        "PostgreSQL": version(os.environ.get("PG_CONFIG", "pg_config"),
                              "--version").split()[1],
        "libcurl": curl_version().split("/")[1],
        "librdkafka": library_version("librdkafka.so.1",
                                      "rd_kafka_version_str"),
    }


def save(case, title, note, rows, before):
    os.makedirs(RESULTS, exist_ok=True)
    path = os.path.join(RESULTS, case + ".json")
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump({"case": case, "title": title, "note": note,
                   "facts": before, "rows": rows}, file, indent=1)
        file.write("\n")
    os.rename(path + ".new", path)
