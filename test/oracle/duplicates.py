"""
test/oracle/duplicates.py

Rule I7: a message that was answered comes again only when something happened
between its answer and the settle that would have recorded it.

An event that may cause duplicates is a line of --events

    {"time": began, "end": ended, "kind": "crash", "name": TEXT,
     "path": PATH or absent for all, "window": N}

and each delivery past the first needs one: the event began before it came,
and ended after the delivery before it was answered, but the answer was not
so long before the event that it had certainly been settled.  window: how
many one event may cause at one destination.  An orderly restart of the relay
is no such event.

SPDX-License-Identifier: PostgreSQL
"""

import json
from collections import Counter

# What was answered so long before an event has been settled, also on a slow
# machine; and what an event does to a connection is felt for a while.
SETTLED_SECONDS = 15
FELT_SECONDS = 5
# A settle of 4,000 facts that is out, the next that is collected, and more.
WINDOW = 10000


def cause(before, request, events):
    """The index of the latest event that explains this delivery, or None."""
    best = None
    answered = before.get("answered", before["time"])
    for index, event in enumerate(events):
        if event["kind"] != "crash" or \
                event.get("path", request["path"]) != request["path"]:
            continue
        begin = event["time"]
        end = event.get("end", begin) + FELT_SECONDS
        if begin <= request["time"] and end >= answered and \
                begin - answered <= SETTLED_SECONDS:
            best = index
    return best


def unexplained(answered, events):
    """(sentence, story) of what is wrong."""
    last, count = {}, Counter()
    # the log of a topic goes by partition
    for request in sorted(answered, key=lambda r: r["time"]):
        before = last.get(request["id"])
        last[request["id"]] = request
        if before is None:
            continue
        index = cause(before, request, events)
        if index is None:
            yield ("%s came again, and nothing had happened" % request["id"],
                   [json.dumps(before), json.dumps(request)])
            continue
        count[index] += 1
        event = events[index]
        if count[index] == event.get("window", WINDOW) + 1:
            yield ("more than %d duplicates of one event"
                   % event.get("window", WINDOW), [json.dumps(event)])
