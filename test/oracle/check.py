#!/usr/bin/python3
"""
test/oracle/check.py

Compares what was enqueued with what arrived.  Shares no code with the
product: it knows the driver's log, the receivers' logs, what was done to
the system and what was seen of it from outside.

    check.py --driver LOG ... --received LOG ...
             [--path P] [--types T,T] [--unordered] [--status FILE]
             [--survived FILE] [--events FILE] [--watch FILE]
             [--max-duplicates N] [--id-header NAME] [--key-header NAME]
    check.py --watch FILE [--driver LOG ...] [--log FILE ...]
             [--server-log FILE ...] [--secret WORD ...]

Each --received file is one destination that must have got everything of
--types (all, if not given); --path takes only the requests of that path.

    I1  each committed message arrived (answered 2xx)
    I2  nothing that was rolled back arrived, nor what nobody enqueued
    I3  first deliveries of a key come in the order of their seq
    I4  body, key, type and headers are those that were enqueued; an id is
        never used for two committed messages
    I5  --status, lines "id STATUS": SENT if and only if it arrived
    I6  --watch: the slot is never confirmed past the lowest open commit, and
        not stuck when nothing is open; see watched.py
    I7  duplicates are at most --max-duplicates; with --events each belongs
        to something that was done to the system, see duplicates.py
    I8  --watch, --server-log, --log: nothing crashed, leaked or told a secret

--survived: the names of the driver's transactions that are in the database
at the end, one a line.  What the driver could not know is known by it; what
it saw committed may be missing only after a promotion in --events that loses
commits, and may have arrived or not then.

Prints the first counter-example of each rule with its story; exit status 1.

SPDX-License-Identifier: PostgreSQL
"""

import argparse
import json
import sys
from collections import defaultdict

import duplicates
import watched

TERMINAL = {"SENT", "DEAD", "CANCELLED"}
RULES = ("I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8")
# A crash may give an id again that no commit had used.
RANK = ("committed", "lost", "unknown", "rolled back")


def lines(path):
    """Whole lines only: the last one may be half written."""
    with open(path, encoding="utf-8") as file:
        for line in file:
            if line.endswith("\n") and line.strip():
                yield json.loads(line)


class Oracle:
    def __init__(self, driven, args, events):
        self.args, self.driven, self.events = args, driven, events
        self.wrong = []
        if args.survived:
            self.learn_outcomes()
        self.by_id = defaultdict(list)
        for message in driven:
            self.by_id[str(message["id"])].append(message)
        for messages in self.by_id.values():
            messages.sort(key=lambda message: RANK.index(message["state"]))

    def complain(self, rule, sentence, story):
        """Keeps the first of each rule."""
        if rule not in [known for known, _, _ in self.wrong]:
            self.wrong.append((rule, sentence, story))

    def story(self, number, received):
        told = ["enqueued: %s" % json.dumps(m) for m in self.by_id[number]]
        told += ["received: %s" % json.dumps(
            {k: r.get(k) for k in ("n", "time", "answered", "path",
                                   "partition", "offset", "length", "status")})
            for r in received if r["id"] == number]
        return told

    # -- what became of each transaction

    def learn_outcomes(self):
        with open(self.args.survived, encoding="utf-8") as file:
            survived = {line.strip() for line in file}
        for message in self.driven:
            state = message["state"]
            if message.get("nonce") in survived:
                if state == "unknown":
                    message["state"] = "committed"
                elif state == "rolled back" and not message.get("undone"):
                    self.complain("I2", "%s was rolled back, but is in the"
                                  " database" % message["nonce"],
                                  [json.dumps(message)])
            elif state in ("committed", "unknown"):
                message["state"] = self.missing(message)

    def missing(self, message):
        """The state of what is not in the database."""
        if any(e["kind"] == "promotion" and e.get("loses")
               and e.get("end", e["time"]) >= message["time"]
               for e in self.events):
            return "lost"
        if message["state"] == "committed":
            self.complain("I1", "the server lost transaction %s"
                          % message["nonce"], [json.dumps(message)])
        return "rolled back"

    # -- what arrived

    def rule_ids(self):
        for number, messages in self.by_id.items():
            if [m["state"] for m in messages].count("committed") > 1:
                self.complain("I4", "id %s was given to %d messages"
                              % (number, len(messages)),
                              self.story(number, []))

    def expected(self):
        types = self.args.types and self.args.types.split(",")
        return [m for m in self.driven if m["state"] == "committed"
                and (not types or m["type"] in types)]

    def refused(self, message):
        """Its destination answers that it never wants it."""
        if self.args.refused == "keyless":
            return message["key"] is None
        return self.args.refused and message.get(self.args.refused)

    def rule_all_arrived(self, good, received):
        for message in self.expected():
            number = str(message["id"])
            if number not in good and not self.refused(message):
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
                key = message["key"]
                if key is None or message["state"] == "lost":
                    continue
                before = last.get(key)
                if before and before["seq"] > message["seq"]:
                    self.complain(
                        "I3", "key %s: seq %d arrived after seq %d"
                        % (key, message["seq"], before["seq"]),
                        self.story(str(before["id"]), received)
                        + self.story(str(message["id"]), received))
                last[key] = message

    def rule_same(self, received):
        for request in received:
            messages = self.by_id.get(request["id"], ())
            same = [m for m in messages if m["state"] != "rolled back"]
            for message in same[:1]:
                for what, got, sent in self.compared(request, message):
                    if got != sent:
                        self.complain("I4", "the %s of %s is %r, not %r" % (
                            what, request["id"], got, sent),
                            self.story(request["id"], received))

    def compared(self, request, message):
        headers = request["headers"]
        yield "body", request["sha256"], message["sha256"]
        key = request.get("key", headers.get(self.args.key_header))
        if key is not None or "nonce" in message:
            yield "key", key, message["key"]
        if "outbox-message-type" in headers:
            yield "type", headers["outbox-message-type"], message["type"]
        for name, value in message.get("headers", {}).items():
            yield "header " + name, headers.get(name), value

    def rule_duplicates(self, answered, good):
        extra = len(answered) - len(good)
        limit = self.args.max_duplicates
        if limit is not None and extra > limit:
            self.complain("I7", "%d duplicates, at most %d allowed"
                          % (extra, limit), [])
        if self.args.events:
            for sentence, story in duplicates.unexplained(
                    answered, self.events):
                self.complain("I7", sentence, story)
        return extra

    def rule_status(self, good):
        shown = set()
        with open(self.args.status, encoding="utf-8") as file:
            for number, status in (line.split() for line in file):
                shown.add(number)
                if status not in TERMINAL:
                    self.complain("I5", "%s is %s when all is quiet"
                                  % (number, status), self.story(number, []))
                elif number in self.by_id and \
                        (status == "SENT") != (number in good):
                    self.complain("I5", "%s is %s, but it %s" % (
                        number, status,
                        "arrived" if number in good else "never arrived"),
                        self.story(number, []))
        for message in self.expected() if self.args.types else ():
            if str(message["id"]) not in shown:
                self.complain("I5", "%s has no status" % message["id"],
                              self.story(str(message["id"]), []))

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
        extra = self.rule_duplicates(answered, good)
        if self.args.status:
            self.rule_status(good)
        return "%s: %d arrived, %d duplicates" % (name, len(good), extra)


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--driver", action="append", default=[])
    parser.add_argument("--received", action="append", default=[])
    parser.add_argument("--path")
    parser.add_argument("--types")
    parser.add_argument("--refused", help="field of the driver's lines that"
                        " are refused here; keyless: those without a key")
    parser.add_argument("--max-duplicates", type=int)
    parser.add_argument("--unordered", action="store_true")
    parser.add_argument("--status")
    parser.add_argument("--survived")
    parser.add_argument("--events")
    parser.add_argument("--watch")
    parser.add_argument("--log", action="append", default=[])
    parser.add_argument("--server-log", action="append", default=[])
    parser.add_argument("--secret", action="append", default=[])
    parser.add_argument("--max-rss-kb", type=int, default=160 * 1024)
    parser.add_argument("--max-files", type=int, default=300)
    parser.add_argument("--id-header", default="outbox-message-id")
    parser.add_argument("--key-header", default="outbox-message-key")
    return parser.parse_args()


def check_received(oracle, args):
    states = [message["state"] for message in oracle.driven]
    print(", ".join("%d %s" % (states.count(state), state) for state in RANK
                    if state in states))
    oracle.rule_ids()
    if "committed" not in states:
        oracle.complain("I1", "nothing was committed, nothing is proved", [])
    for path in args.received:
        print(oracle.check(path, list(lines(path))))


def main():
    args = arguments()
    driven = [message for path in args.driver for message in lines(path)]
    events = list(lines(args.events)) if args.events else []
    oracle = Oracle(driven, args, events)
    if args.received:
        check_received(oracle, args)
    if args.watch:
        for rule, sentence, story in watched.wrong(
                list(lines(args.watch)), driven, events, args):
            oracle.complain(rule, sentence, story)
    for rule, sentence, story in oracle.wrong:
        print("%s broken: %s" % (rule, sentence))
        for line in story[:12]:
            print("    " + line)
    sys.exit(1 if oracle.wrong else 0)


if __name__ == "__main__":
    main()
