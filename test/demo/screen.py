"""
test/demo/screen.py

What a person sees of the demo: one block that is drawn again on a terminal,
plain lines otherwise, and the reconciliation at the end.  No line is meant to
be longer than WIDTH, and none of the block is longer than the terminal.

SPDX-License-Identifier: PostgreSQL
"""

import shutil
import time

WIDTH = 79
WINDOW = 3.0        # seconds that the latencies are taken over
STALE = 2.0         # seconds; status counts that are older say so
INDENT = 10


def percentile(values, part):
    return values[min(len(values) - 1, int(len(values) * part))]


def latency(values, part):
    return "%.1f" % percentile(values, part) if values else "-"


def row(target, values):
    """One target in the block, as HEAD has it."""
    others = " ".join("%s %d" % pair for pair in sorted(target.status.items())
                      if pair[0] not in ("NEW", "SENT"))
    line = " " * INDENT + "%-7s%-6s%9d%9s%9s%8d%8d  %s" % (
        target.route, target.kind, len(target.arrived),
        latency(values, 0.5), latency(values, 0.99),
        target.status.get("NEW", 0), target.status.get("SENT", 0), others)
    return line.rstrip()


HEAD = " " * INDENT + "%-7s%-6s%9s%9s%9s%8s%8s" % (
    "route", "kind", "delivered", "p50 ms", "p99 ms", "NEW", "SENT")


class Screen:
    def __init__(self, terminal):
        self.terminal = terminal
        self.began = None       # when the first order came
        self.drawn = 0
        self.orders = None
        self.counted = (0.0, 0)     # when, how many transactions
        self.rate = ""

    def clock(self):
        return ("%6.1f s" % (time.monotonic() - self.began)
                if self.began else "").ljust(INDENT)

    def say(self, sentence):
        self.drawn = 0
        print(self.clock() + sentence, flush=True)

    def start(self, orders):
        """The clock starts, with the first order."""
        self.orders, self.began = orders, time.monotonic()
        self.counted = (self.began, 0)
        self.say("orders come; p50 and p99: commit to arrival, last %d s"
                 % WINDOW)

    def watch(self, seconds, quiet=False):
        """Shows what goes on for so long."""
        until = time.monotonic() + seconds
        while True:
            left = until - time.monotonic()
            if left <= 0:
                break
            time.sleep(min(left, 0.25 if self.terminal else 1.0))
            self.orders.read_logs()
            if not quiet:
                self.show()

    def progress(self):
        now, count = time.monotonic(), self.orders.transactions
        before, had = self.counted
        if now - before >= 1:
            self.counted = (now, count)
            self.rate = "%.0f transactions/s, " % ((count - had)
                                                   / (now - before))
        rate = self.rate if self.orders.running() else ""
        age = self.orders.counts.age()
        return "%s%d transactions so far, %d rolled back%s" % (
            rate, count, self.orders.rollbacks,
            ", status %.0f s old" % age if age > STALE else "")

    def show(self):
        since = time.time() - WINDOW
        lines = [self.clock() + self.progress(), HEAD]
        lines += [row(target, target.latencies(since))
                  for target in self.orders.targets]
        if self.terminal:
            width = min(WIDTH, shutil.get_terminal_size().columns)
            lines = ["\033[K" + line[:width] for line in lines]
            if self.drawn:
                print("\033[%dA" % self.drawn, end="")
        print("\n".join(lines), flush=True)
        self.drawn = len(lines)


def recovery(target, restarted):
    """Seconds until all that was committed before the restart had come."""
    late = [target.arrived[n] for n, at in target.committed.items()
            if at <= restarted and n in target.arrived]
    return max(0.0, max(late, default=restarted) - restarted)


def balance(target, restarted):
    """What the reconciliation says of a target: label, figure, must be 0."""
    missing, took = len(target.missing()), target.latencies()
    again = sum(at >= restarted for at in target.again)
    return [
        ("committed", len(target.committed), False),
        ("delivered", len(target.committed) - missing, False),
        ("missing", missing, True),
        ("not SENT in the database",
         len(target.committed) - target.status.get("SENT", 0), True),
        ("rolled back", len(target.rolled_back), False),
        ("delivered, yet not committed", len(target.phantoms()), True),
        ("sent again after the kill (1)", again, False),
        ("sent again otherwise (1)", len(target.again) - again, False),
        ("p50 ms, commit to arrival", latency(took, 0.5), False),
        ("p99 ms, including the outage", latency(took, 0.99), False),
        ("caught up after the restart, s",
         "%.2f" % recovery(target, restarted), False),
    ]


def reconcile(orders, targets, restarted, screen):
    """Prints the balance; True when it is right."""
    orders.counts.finish()
    orders.read_logs()
    screen.say("reconciliation")
    verdict = "OK: all that was committed was delivered, and nothing else"
    if not orders.transactions > orders.rollbacks > 0:
        verdict = "WRONG: too few orders to tell"
    print("\n" + " " * 38 + "".join(
        "%18s" % ("%s (%s)" % (t.route, t.kind)) for t in targets))
    for cells in zip(*(balance(target, restarted) for target in targets)):
        wrong = any(must and figure != 0 for _, figure, must in cells)
        if wrong:
            verdict = "WRONG: see the lines with a !"
        print("  %-36s" % cells[0][0] + "".join(
            "%18s" % figure for _, figure, _ in cells)
            + (" !" if wrong else ""))
    print("  (1) at least once: the same message, the same Outbox-Message-Id\n")
    bold = "\033[1m%s\033[0m" if screen.terminal else "%s"
    print(bold % verdict, flush=True)
    return verdict.startswith("OK")
