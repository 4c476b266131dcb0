"""
test/oracle/watched.py

Rules I6 and I8: what was seen from outside while the load ran.  A line of
--watch is one of

    {"time", "kind": "slot", "confirmed": LSN, "settled": LSN or null,
     "open": [[first, last], ...]}
        the slot's position; then outbox.relay's; then the ids without a
        resolved row in a newer snapshot
    {"time", "kind": "quiet", "lsn": LSN}
        nothing is open any more and the WAL ends here
    {"time", "kind": "process", "name", "pid", "rss_kb", "files"}
    {"time", "kind": "slots", "names": [...], "expected": [...]}
        in the end
    {"time", "kind": "process_end", "name", "status", "expected": bool}
    {"time", "kind": "took", "name", "seconds", "limit"}

LSNs are integers.  The driver's lsn of a message is one at or past the end
of its commit.

SPDX-License-Identifier: PostgreSQL
"""

import json
import re

# For how many seconds after its end something done to a slot is felt.
SLACK = 5

# What a server says when a process of it broke, as opposed to being told to.
CRASHED = re.compile(
    r"PANIC:|TRAP:|was terminated by signal|Segmentation|server process .*"
    r" exited with exit code|stack smashing|invalid memory alloc|"
    r"\] XX\d\d\d |AddressSanitizer|runtime error")
# The server's own way to say that a standby came too late.
HARMLESS = re.compile(r"requested WAL segment \w+ has already been removed")
# A full disk is a reason to stop, and the log says so; a backend that
# somebody killed is one to start the others anew.
EXCUSED = {"disk full": re.compile(r"No space left on device"),
           "backend kill": re.compile(r"terminated by signal 9")}


def rule_confirmed(samples, driven):
    """
    I6, first half.  A slot that was made anew, or moved by hand, is past
    messages that are read from the table; what was settled never is.
    """
    lsn = {m["id"]: m["lsn"] for m in driven
           if m.get("lsn") and m["state"] == "committed"}
    for sample in samples:
        if sample["kind"] != "slot":
            continue
        bound = min(sample["confirmed"], sample.get("settled") or 0)
        for first, last in sample["open"]:
            for number in range(first, last + 1):
                end = lsn.get(number)
                if end is not None and end <= bound:
                    yield ("I6", "the slot is confirmed at %d, past message"
                           " %d, which is not resolved and ended at %d"
                           % (bound, number, end),
                           [json.dumps(m) for m in driven
                            if m["id"] == number])


def rule_settled(samples, events):
    """I6: what is confirmed was settled first, but for a slot of others."""
    moved = [e for e in events if e["name"].startswith(("slot_", "promote"))]
    trusted = 0
    for sample in samples:
        if sample["kind"] != "slot":
            continue
        if sample["confirmed"] <= (sample.get("settled") or 0):
            trusted = sample["time"]
        elif trusted and not any(
                e["time"] <= sample["time"] and e["end"] + SLACK >= trusted
                for e in moved):
            yield ("I6", "the slot is confirmed at %d, and only %s was"
                   " settled" % (sample["confirmed"], sample["settled"]),
                   [json.dumps(sample)])


def rule_not_stuck(samples):
    """I6, second half: after each quiet the slot passes what was there."""
    quiet = None
    for sample in samples:
        if sample["kind"] == "quiet":
            if quiet:
                yield stuck(quiet)
            quiet = sample
        elif sample["kind"] == "slot" and quiet and \
                sample["confirmed"] >= quiet["lsn"]:
            quiet = None
    if quiet:
        yield stuck(quiet)


def stuck(quiet):
    return ("I6", "nothing was open at %d, and the slot never passed it"
            % quiet["lsn"], [json.dumps(quiet)])


def rule_processes(samples, args):
    """I8: memory and descriptors are bounded, nothing ends by itself."""
    for sample in samples:
        if sample["kind"] == "process":
            if sample["rss_kb"] > args.max_rss_kb:
                yield ("I8", "%s takes %d kB of memory, at most %d expected"
                       % (sample["name"], sample["rss_kb"], args.max_rss_kb),
                       [json.dumps(sample)])
            if sample["files"] > args.max_files:
                yield ("I8", "%s has %d open files, at most %d expected"
                       % (sample["name"], sample["files"], args.max_files),
                       [json.dumps(sample)])
        elif sample["kind"] == "process_end" and not sample["expected"]:
            yield ("I8", "%s ended by itself: %s"
                   % (sample["name"], sample["status"]), [json.dumps(sample)])
        elif sample["kind"] == "took" and \
                sample["seconds"] > sample["limit"]:
            yield ("I8", "%s took %s s, at most %s expected" % (
                sample["name"], sample["seconds"], sample["limit"]),
                   [json.dumps(sample)])
        elif sample["kind"] == "slots" and \
                sorted(sample["names"]) != sorted(sample["expected"]):
            yield ("I8", "slots left over: %s instead of %s" % (
                sample["names"], sample["expected"]), [json.dumps(sample)])


def rule_logs(args, events):
    kinds = {event["kind"] for event in events}
    excused = [EXCUSED[kind] for kind in EXCUSED if kind in kinds]
    excused.append(HARMLESS)
    for path in args.server_log:
        with open(path, encoding="utf-8", errors="replace") as file:
            text = file.read().splitlines()
        for number, line in enumerate(text):
            near = "\n".join(text[max(0, number - 5):number + 1])
            if CRASHED.search(line) and \
                    not any(known.search(near) for known in excused):
                yield ("I8", "%s:%d: %s" % (path, number + 1, line),
                       text[number:number + 8])
    for path in args.log + args.server_log:
        with open(path, encoding="utf-8", errors="replace") as file:
            for number, line in enumerate(file, 1):
                for secret in args.secret:
                    if secret in line:
                        yield ("I8", "a secret is in %s:%d" % (path, number),
                               [line.strip()[:300]])


def wrong(samples, driven, events, args):
    """(rule, sentence, story) of all that is wrong."""
    yield from rule_confirmed(samples, driven)
    yield from rule_settled(samples, events)
    yield from rule_not_stuck(samples)
    yield from rule_processes(samples, args)
    yield from rule_logs(args, events)
