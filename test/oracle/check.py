#!/usr/bin/python3
"""
test/oracle/check.py

Compares what was enqueued with what arrived.  Shares no code with the
product: it knows the driver's log and the receivers' logs only.

    check.py --driver LOG ... --received LOG ...
             [--path P] [--max-duplicates N] [--unordered] [--status FILE]
             [--id-header NAME]

Each --received file is one destination that must have got everything; --path
takes only the requests of that path.  Checked, as far as logs can tell:

    I1  each committed message arrived (answered 2xx)
    I2  nothing that was rolled back arrived, nor what nobody enqueued
    I3  first deliveries of a key come in the order of their seq
    I4  body and key are those that were enqueued
    I5  --status, lines "id STATUS": SENT if and only if it arrived
    I6  an id is never used for two committed messages
    I7  duplicates are at most --max-duplicates

Prints the first counter-example of each rule with its story; exit status 1.

SPDX-License-Identifier: PostgreSQL
"""

import argparse
import json
import sys
from collections import defaultdict

TERMINAL = {"SENT", "DEAD", "CANCELLED"}


def lines(path):
    """Whole lines only: the last one may be half written."""
    with open(path, encoding="utf-8") as file:
        for line in file:
            if line.endswith("\n") and line.strip():
                yield json.loads(line)


class Oracle:
    def __init__(self, driven, args):
        self.args = args
        self.driven = driven
        self.by_id = defaultdict(list)
        for message in driven:
            self.by_id[str(message["id"])].append(message)
        # A crash may give an id again that no commit had used.
        rank = ("committed", "unknown", "rolled back")
        for messages in self.by_id.values():
            messages.sort(key=lambda message: rank.index(message["state"]))
        self.wrong = []

    def complain(self, rule, sentence, story):
        """Keeps the first of each rule."""
        if rule not in [known for known, _, _ in self.wrong]:
            self.wrong.append((rule, sentence, story))

    def story(self, number, received):
        told = ["enqueued: %s" % json.dumps(m) for m in self.by_id[number]]
        told += ["received: %s" % json.dumps(
            {k: r.get(k) for k in ("n", "time", "path", "partition", "offset",
                                   "length", "status")})
            for r in received if r["id"] == number]
        return told

    def rule_ids(self):
        for number, messages in self.by_id.items():
            if [m["state"] for m in messages].count("committed") > 1:
                self.complain("I6", "id %s was given to %d messages"
                              % (number, len(messages)),
                              self.story(number, []))

    def rule_all_arrived(self, good, received):
        for message in self.driven:
            number = str(message["id"])
            if message["state"] == "committed" and number not in good:
                self.complain("I1", "committed message %s never arrived"
                              % number, self.story(number, received))

    def rule_no_phantom(self, received):
        for request in received:
            messages = self.by_id.get(request["id"])
            if not messages:
                self.complain("I2", "%s arrived, but nobody enqueued it"
                              % request["id"], [json.dumps(request)])
            elif all(m["state"] == "rolled back" for m in messages):
                self.complain("I2", "rolled back message %s arrived"
                              % request["id"],
                              self.story(request["id"], received))

    def rule_order(self, firsts, received):
        last = {}
        for request in firsts:
            for message in self.by_id.get(request["id"], ())[:1]:
                key = (message["type"], message["key"])
                before = last.get(key)
                if before and before["seq"] > message["seq"]:
                    self.complain(
                        "I3", "key %s: seq %d arrived after seq %d"
                        % (message["key"], message["seq"], before["seq"]),
                        self.story(str(before["id"]), received)
                        + self.story(str(message["id"]), received))
                last[key] = message

    def rule_same(self, received):
        for request in received:
            for message in self.by_id.get(request["id"], ())[:1]:
                if request["sha256"] != message["sha256"]:
                    self.complain("I4", "the body of %s is another one"
                                  % request["id"],
                                  self.story(request["id"], received))
                key = request.get("key",
                                  request["headers"].get(self.args.key_header))
                if key is not None and key != message["key"]:
                    self.complain("I4", "the key of %s is %r, not %r"
                                  % (request["id"], key, message["key"]),
                                  self.story(request["id"], received))

    def rule_duplicates(self, good, count):
        extra = count - len(good)
        limit = self.args.max_duplicates
        if limit is not None and extra > limit:
            self.complain("I7", "%d duplicates, at most %d allowed"
                          % (extra, limit), [])
        return extra

    def rule_status(self, good):
        with open(self.args.status, encoding="utf-8") as file:
            for number, status in (line.split() for line in file):
                if status not in TERMINAL:
                    self.complain("I5", "%s is %s when all is quiet"
                                  % (number, status), self.story(number, []))
                elif number in self.by_id and \
                        (status == "SENT") != (number in good):
                    self.complain("I5", "%s is %s, but it %s" % (
                        number, status,
                        "arrived" if number in good else "never arrived"),
                        self.story(number, []))

    def check(self, name, requests):
        """One destination."""
        received = []
        for request in requests:
            if self.args.path and request["path"] != self.args.path:
                continue
            request["id"] = request["headers"].get(self.args.id_header, "?")
            received.append(request)
        answered = [r for r in received if 200 <= r["status"] < 300]
        firsts, good = [], set()
        for request in answered:
            if request["id"] not in good:
                good.add(request["id"])
                firsts.append(request)
        self.rule_all_arrived(good, received)
        self.rule_no_phantom(received)
        if not self.args.unordered:
            self.rule_order(firsts, received)
        self.rule_same(received)
        extra = self.rule_duplicates(good, len(answered))
        if self.args.status:
            self.rule_status(good)
        return "%s: %d arrived, %d duplicates" % (name, len(good), extra)


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--driver", action="append", required=True)
    parser.add_argument("--received", action="append", required=True)
    parser.add_argument("--path")
    parser.add_argument("--max-duplicates", type=int)
    parser.add_argument("--unordered", action="store_true")
    parser.add_argument("--status")
    parser.add_argument("--id-header", default="outbox-message-id")
    parser.add_argument("--key-header", default="outbox-message-key")
    return parser.parse_args()


def main():
    args = arguments()
    driven = [message for path in args.driver for message in lines(path)]
    oracle = Oracle(driven, args)
    oracle.rule_ids()
    states = [message["state"] for message in driven]
    print("%d committed, %d rolled back, %d unknown" % (
        states.count("committed"), states.count("rolled back"),
        states.count("unknown")))
    if "committed" not in states:
        oracle.complain("I1", "nothing was committed, nothing is proved", [])
    for path in args.received:
        print(oracle.check(path, list(lines(path))))
    for rule, sentence, story in oracle.wrong:
        print("%s broken: %s" % (rule, sentence))
        for line in story[:12]:
            print("    " + line)
    sys.exit(1 if oracle.wrong else 0)


if __name__ == "__main__":
    main()
