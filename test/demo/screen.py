"""
test/demo/screen.py

What a person sees of the demo: one block that is drawn again on a terminal,
plain lines otherwise, and the reconciliation at the end.

SPDX-License-Identifier: PostgreSQL
"""

import time

WINDOW = 3.0        # seconds that the rates and latencies are taken over


def percentile(values, part):
    return values[min(len(values) - 1, int(len(values) * part))]


def latency(values):
    if not values:
        return "p50     -     p99     -    "
    return "p50 %6.1f ms p99 %6.1f ms" % (percentile(values, 0.5),
                                          percentile(values, 0.99))


class Screen:
    def __init__(self, terminal):
        self.terminal = terminal
        self.began = time.monotonic()
        self.drawn = 0
        self.orders, self.targets = None, []
        self.transactions = (self.began, 0)

    def say(self, sentence):
        self.drawn = 0
        print("%6.1f s  %s" % (time.monotonic() - self.began, sentence),
              flush=True)

    def watch(self, seconds, quiet=False):
        """Shows what goes on for so long."""
        until = time.monotonic() + seconds
        while True:
            left = until - time.monotonic()
            if left <= 0:
                break
            time.sleep(min(left, 0.25 if self.terminal else 1.0))
            self.orders.refresh()
            if not quiet:
                self.show()

    def rate(self):
        now, count = time.monotonic(), self.orders.transactions
        before, had = self.transactions
        if now - before >= 1:
            self.transactions = (now, count)
            self.shown_rate = (count - had) / (now - before)
        return getattr(self, "shown_rate", 0.0)

    def show(self):
        since = time.time() - WINDOW
        lines = ["%6.1f s  %5.0f transactions/s, %d so far, %d rolled back" % (
            time.monotonic() - self.began, self.rate(),
            self.orders.transactions, self.orders.rollbacks)]
        for target in self.targets:
            status = " ".join("%s %d" % pair
                              for pair in sorted(target.status.items()))
            lines.append("          %-6s %-5s delivered %6d  %s  %s" % (
                target.route, target.kind, len(target.arrived),
                latency(target.latencies(since)), status))
        if self.terminal and self.drawn:
            print("\033[%dA" % self.drawn, end="")
        for line in lines:
            print(line + ("\033[K" if self.terminal else ""))
        self.drawn = len(lines)
        print(end="", flush=True)


def recovery(target, restarted):
    """Seconds until all that was committed before the restart had come."""
    late = [target.arrived[n] for n, at in target.committed.items()
            if at <= restarted and n in target.arrived]
    return max(0.0, max(late, default=restarted) - restarted)


def reconcile(orders, targets, restarted, screen):
    """Prints the balance; True when it is right."""
    orders.refresh()
    orders.count()
    screen.say("reconciliation")
    good = orders.transactions > orders.rollbacks > 0
    for target in targets:
        missing, phantoms = target.missing(), target.phantoms()
        unsettled = len(target.committed) - target.status.get("SENT", 0)
        right = not missing and not phantoms and not unsettled
        good = good and right
        print("  %-6s %-5s committed %6d  delivered %6d  missing %d  "
              "rolled back %d, of these delivered %d  not SENT %d  "
              "duplicates %d  %s"
              % (target.route, target.kind, len(target.committed),
                 len(target.committed) - len(missing), len(missing),
                 len(target.rolled_back), len(phantoms), unsettled,
                 target.count - len(target.arrived),
                 "ok" if right else "WRONG"))
        print("         %s over all; after the kill all was caught up %.2f s"
              " after the restart" % (latency(target.latencies()),
                                      recovery(target, restarted)))
    print("  committed = delivered for each target: %s"
          % ("yes" if good else "NO"))
    return good
