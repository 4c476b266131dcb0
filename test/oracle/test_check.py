#!/usr/bin/python3
"""
test/oracle/test_check.py

The oracle itself: a good pair of logs passes, and each way to be broken is
seen by the rule that is for it.  TAP.

SPDX-License-Identifier: PostgreSQL
"""

import copy
import json
import os
import subprocess
import sys
import tempfile

CHECK = os.path.join(os.path.dirname(os.path.abspath(__file__)), "check.py")


def driven(number, key, seq, state="committed"):
    return {"txid": number, "key": key, "seq": seq, "id": number,
            "state": state, "type": "t", "sha256": "sum%d" % number, "time": 1}


def request(number, key, status=200):
    return {"n": number, "time": 2, "path": "/p", "length": 3,
            "headers": {"outbox-message-id": str(number), "outbox-message-key": key},
            "sha256": "sum%d" % number, "status": status}


SENT = [driven(1, "a", 1), driven(2, "a", 2), driven(3, "b", 1),
        driven(4, "b", 2, "rolled back"), driven(5, "b", 2, "unknown")]
GOT = [request(1, "a", 500), request(1, "a"), request(3, "b"),
       request(2, "a"), request(1, "a")]
STATUS = {1: "SENT", 2: "SENT", 3: "SENT"}


def swapped(got):
    got[1], got[3] = got[3], got[1]


def same_id(sent):
    sent[2]["id"] = 2


CASES = (
    # name, rule that must complain ("" none), change, more arguments
    ("good logs", "", None, ()),
    ("one lost", "I1", lambda s, g, t: g.pop(3), ()),
    ("one refused only", "I1", lambda s, g, t: g[3].update(status=500), ()),
    ("rolled back one arrived", "I2",
     lambda s, g, t: g.append(request(4, "b")), ()),
    ("rolled back one tried", "I2",
     lambda s, g, t: g.append(request(4, "b", 500)), ()),
    ("unknown one arrived", "", lambda s, g, t: g.append(request(5, "b")), ()),
    ("one from nowhere", "I2", lambda s, g, t: g.append(request(9, "b")), ()),
    ("order of a key", "I3", lambda s, g, t: (swapped(g), g.pop()), ()),
    ("order not asked for", "",
     lambda s, g, t: (swapped(g), g.pop()), ("--unordered",)),
    ("body changed", "I4", lambda s, g, t: g[2].update(sha256="no"), ()),
    ("key changed", "I4",
     lambda s, g, t: g[2]["headers"].update({"outbox-message-key": "x"}), ()),
    ("SENT, never arrived", "I5",
     lambda s, g, t: (t.update({4: "SENT"})), ()),
    ("arrived, DEAD", "I5", lambda s, g, t: t.update({3: "DEAD"}), ()),
    ("left as NEW", "I5", lambda s, g, t: t.update({3: "NEW"}), ()),
    ("an id twice", "I4", lambda s, g, t: same_id(s), ()),
    ("an id again after a rollback", "", lambda s, g, t: s.insert(
        0, driven(2, "z", 9, "rolled back")), ()),
    ("too many duplicates", "I7", None, ("--max-duplicates", "0")),
    ("duplicates allowed", "", None, ("--max-duplicates", "1")),
    ("nothing committed", "I1", lambda s, g, t: (s.clear(), g.clear(),
                                                 t.clear()), ()),
    ("another path", "I1", None, ("--path", "/q")),
    ("one without a key lost", "I1",
     lambda s, g, t: s.append(driven(6, None, 1)), ()),
    ("one without a key refused for good", "",
     lambda s, g, t: s.append(driven(6, None, 1)), ("--refused", "keyless")),
    ("one with a key lost all the same", "I1",
     lambda s, g, t: g.pop(3), ("--refused", "keyless")),
)


def named(sent):
    """The driver's lines with the names of their transactions, and LSNs."""
    for message in sent:
        message["nonce"] = "n%d" % message["id"]
        message["lsn"] = 100 * message["id"]
        message["headers"] = {"x-own": "v%d" % message["id"]}


def with_headers(got):
    for line in got:
        line["headers"]["x-own"] = "v" + line["headers"]["outbox-message-id"]
        line["headers"]["outbox-message-type"] = "t"


def event(kind, begin, end=None, **more):
    return {"time": begin, "end": end or begin, "kind": kind,
            "name": "x", **more}


def slot(time, confirmed, settled, *still_open):
    return {"time": time, "kind": "slot", "confirmed": confirmed,
            "settled": settled, "open": list(still_open)}


def twice(got, first, again):
    """1 is answered at one time and comes again at another."""
    got[1].update(time=first, answered=first)
    got[4].update(time=again, answered=again)


CRASH = {"events": [event("crash", 50, 60)]}
PROCESS = {"time": 1, "kind": "process", "name": "r", "pid": 1,
           "rss_kb": 20000, "files": 30}
GONE = ["n1", "n2"]     # without n3: its commit is missing

# What is done to the system and what is seen of it.
WIDER = (
    # name, rule, change of the logs, files beside them
    ("names and headers", "", None, {}),
    ("a header is another one", "I4",
     lambda s, g: g[2]["headers"].update({"x-own": "no"}), {}),
    ("a header is missing", "I4",
     lambda s, g: g[2]["headers"].pop("x-own"), {}),
    ("the type is another one", "I4", lambda s, g: g[2]["headers"].update(
        {"outbox-message-type": "u"}), {}),
    ("the key is missing", "I4",
     lambda s, g: g[2]["headers"].pop("outbox-message-key"), {}),
    ("unknown, but there: never arrived", "I1", None,
     {"survived": ["n1", "n2", "n3", "n5"]}),
    ("unknown, and not there: arrived", "I2",
     lambda s, g: g.append(dict(request(5, "b"))),
     {"survived": ["n1", "n2", "n3"]}),
    ("rolled back, but there", "I2", None,
     {"survived": ["n1", "n2", "n3", "n4"]}),
    ("a savepoint of what is there", "", lambda s, g: s[3].update(undone=True),
     {"survived": ["n1", "n2", "n3", "n4"]}),
    ("the server lost a commit", "I1", None, {"survived": GONE}),
    ("a promotion lost a commit", "", None,
     {"survived": GONE, "events": [event("promotion", 5, loses=True)] +
      [event("crash", 0, 60)]}),
    ("a promotion that must not lose", "I1", None,
     {"survived": GONE, "events": [event("promotion", 5, loses=False)]}),
    ("a promotion before it", "I1", None,
     {"survived": GONE, "events": [event("promotion", 0.5, loses=True)]}),
    ("again after a crash, in a log that goes by partition", "",
     lambda s, g: twice(g, 80, 45), CRASH),
    ("again after a crash", "", lambda s, g: twice(g, 45, 70), CRASH),
    ("again, and nothing happened", "I7", lambda s, g: twice(g, 45, 48),
     CRASH),
    ("again long after the crash is over", "I7",
     lambda s, g: twice(g, 80, 90), CRASH),
    ("settled long before the crash", "I7", lambda s, g: twice(g, 20, 70),
     CRASH),
    ("again after a clean restart", "I7", lambda s, g: twice(g, 45, 70),
     {"events": [event("clean", 50, 60)]}),
    ("again after a crash of another", "I7", lambda s, g: twice(g, 45, 70),
     {"events": [event("crash", 50, 60, path="/q")]}),
    ("too many of one crash", "I7", lambda s, g: twice(g, 45, 70),
     {"events": [event("crash", 50, 60, window=0)]}),
    ("quiet slot", "", None, {"watch": [slot(1, 150, 150, [2, 3])]}),
    ("confirmed past an open one", "I6", None,
     {"watch": [slot(1, 200, 250, [2, 3])]}),
    ("a rolled back one is not open", "", None,
     {"watch": [slot(1, 900, 950, [4, 4])]}),
    ("a new slot is past it", "", None,
     {"watch": [slot(1, 100, 150), slot(9, 900, 150, [2, 3])],
      "events": [dict(event("crash", 0, 60), name="slot_drop")]}),
    ("confirmed, not settled", "I6", None,
     {"watch": [slot(1, 100, 150), slot(9, 900, 150)],
      "events": [event("crash", 0, 60)]}),
    ("passed the end", "", None, {"watch": [
        {"time": 1, "kind": "quiet", "lsn": 300}, slot(2, 300, 300)]}),
    ("stuck", "I6", None, {"watch": [
        {"time": 1, "kind": "quiet", "lsn": 300}, slot(2, 299, 300)]}),
    ("a process in good health", "", None, {"watch": [PROCESS]}),
    ("too much memory", "I8", None,
     {"watch": [dict(PROCESS, rss_kb=10 ** 6)]}),
    ("too many files", "I8", None, {"watch": [dict(PROCESS, files=1000)]}),
    ("ended by itself", "I8", None, {"watch": [
        {"time": 1, "kind": "process_end", "name": "r", "status": 1,
         "expected": False}]}),
    ("took too long", "I8", None, {"watch": [
        {"time": 1, "kind": "took", "name": "stop", "seconds": 9,
         "limit": 5}]}),
    ("a slot left over", "I8", None, {"watch": [
        {"time": 1, "kind": "slots", "names": ["outbox", "more"],
         "expected": ["outbox"]}]}),
    ("a good server log", "", None,
     {"server-log": ["ERROR:  canceling statement"]}),
    ("a panic", "I8", None, {"server-log": ["PANIC:  no such thing"]}),
    ("a backend crashed", "I8", None, {"server-log": [
        "server process (PID 1) was terminated by signal 11"]}),
    ("an internal error", "I8", None,
     {"server-log": ["[7] XX000 x ERROR:  could not find it"]}),
    ("a standby that comes too late", "", None, {"server-log": [
        "] XX000 ERROR:  requested WAL segment 0A has already been removed"]}),
    ("a full disk, made by us", "", None,
     {"server-log": ["x: No space left on device", "PANIC:  no such thing"],
      "events": [event("disk full", 1), event("crash", 0, 60)]}),
    ("a full disk, not made by us", "I8", None, {"server-log": [
        "PANIC:  could not write: No space left on device"]}),
    ("a secret", "I8", None, {"log": ["password=s3cret"]}),
    ("no secret", "", None, {"log": ["password=***"]}),
)


def write(path, rows):
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
        file.write('{"half')


def ask(folder, sent, got, *more):
    """The exit status, and the rules that are said to be broken."""
    write(folder + "/d", sent)
    write(folder + "/r", got)
    result = subprocess.run(
        [CHECK, "--driver", folder + "/d", "--received", folder + "/r", *more],
        stdout=subprocess.PIPE, text=True, check=False)
    return result.returncode, {line[:2] for line in result.stdout.splitlines()
                               if line[2:9] == " broken"}


def plain_case(folder, change, more):
    sent, got, status = copy.deepcopy((SENT, GOT, STATUS))
    if change:
        change(sent, got, status)
    with open(folder + "/s", "w", encoding="utf-8") as file:
        file.writelines("%s %s\n" % row for row in status.items())
    return ask(folder, sent, got, "--status", folder + "/s", *more)


def wider_case(folder, change, files):
    sent, got = copy.deepcopy((SENT, GOT))
    named(sent)
    with_headers(got)
    if change:
        change(sent, got)
    arguments = ["--secret", "s3cret"]
    files = {"watch": [], **files}
    for name, rows in files.items():
        path = folder + "/" + name
        with open(path, "w", encoding="utf-8") as file:
            file.writelines((row if isinstance(row, str) else json.dumps(row))
                            + "\n" for row in rows)
        arguments += ["--" + name, path]
    return ask(folder, sent, got, *arguments)


def main():
    failed = number = 0
    with tempfile.TemporaryDirectory() as folder:
        for call, cases in ((plain_case, CASES), (wider_case, WIDER)):
            for name, rule, change, more in cases:
                number += 1
                status, rules = call(folder, change, more)
                good = (rule in rules and status == 1) if rule else \
                    (not rules and status == 0)
                print("%sok %d - %s" % ("" if good else "not ", number, name))
                if not good:
                    failed += 1
                    print("# exit %d, rules %s" % (status, sorted(rules)))
    print("1..%d" % number)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
