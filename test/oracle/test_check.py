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
)


def write(path, rows):
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
        file.write('{"half')


def broken_rules(folder, change, more):
    sent, got, status = copy.deepcopy((SENT, GOT, STATUS))
    if change:
        change(sent, got, status)
    write(folder + "/d", sent)
    write(folder + "/r", got)
    with open(folder + "/s", "w", encoding="utf-8") as file:
        file.writelines("%s %s\n" % row for row in status.items())
    result = subprocess.run(
        [CHECK, "--driver", folder + "/d", "--received", folder + "/r",
         "--status", folder + "/s", *more],
        stdout=subprocess.PIPE, text=True, check=False)
    rules = {line[:2] for line in result.stdout.splitlines()
             if line[2:9] == " broken"}
    return result.returncode, rules


def main():
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, rule, change, more) in enumerate(CASES, 1):
            status, rules = broken_rules(folder, change, more)
            good = (rule in rules and status == 1) if rule else \
                (not rules and status == 0)
            print("%sok %d - %s" % ("" if good else "not ", number, name))
            if not good:
                failed += 1
                print("# exit %d, rules %s" % (status, sorted(rules)))
    print("1..%d" % len(CASES))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
