"""
test/torture/faults.py

What is done to the system.  A fault is a function of the world and its dice
that does its worst, puts everything back and returns.  The table at the end
says what each needs, what else may not happen meanwhile, and what it may
excuse: duplicates ("crash"), or nothing ("clean").

SPDX-License-Identifier: PostgreSQL
"""

import os
import signal
import time
from collections import namedtuple

import disaster
from place import wait_for

Fault = namedtuple("Fault", "call weight resources kind needs")

KILL_POINTS = ("started", "stream_started", "snapshot_read", "frame_read",
               "submitted", "answered", "settle_sent", "settled",
               "confirmed")


def pause(dice, least, most):
    time.sleep(least + (most - least) * dice.random())


# -- the relay

def relay_kill(world, dice):
    relay = world.active_relay()
    relay.kill()
    pause(dice, 0, 3)
    relay.start()


def relay_kill_at(world, dice):
    """At one of the points that the crash matrix knows."""
    relay = world.active_relay()
    point = "%s:%d" % (dice.choice(KILL_POINTS), dice.choice((1, 1, 3, 20)))
    world.note("  at " + point)
    relay.kill()
    relay.start(point)
    deadline = time.monotonic() + 8
    while relay.process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    relay.kill()
    relay.start()


def relay_kill_both(world, dice):
    for relay in world.relays:
        relay.kill()
    pause(dice, 1, 10)
    for relay in world.relays:
        relay.start()


def relay_restart(world, dice):
    relay = world.active_relay()
    began = time.monotonic()
    status = relay.stop()
    world.write("watch.jsonl", kind="process_end", name=relay.name,
                status=status, expected=status == 0)
    world.took("orderly stop of a relay", began, 30)
    pause(dice, 0, 2)
    relay.start()


def relay_freeze(world, dice):
    """Past its lease: the other one takes over, then it wakes up."""
    frozen = world.active_relay()
    other = [r for r in world.relays if r is not frozen][0]
    frozen.signal(signal.SIGSTOP)
    try:
        wait_for("the other relay is ready", other.ready, 12)
        pause(dice, 0, 2)
    except TimeoutError:
        world.note("  nobody took over in time")
    frozen.signal(signal.SIGCONT)


def clock_step(world, dice):
    step = dice.choice((-86400, -3600, -60, 60, 3600, 86400))
    world.note("  by %d s" % step)
    for relay in world.relays:
        relay.set_clock(step)
    pause(dice, 2, 8)
    for relay in world.relays:
        relay.set_clock(0)


# -- connections and the slot

TERMINATE = ("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
             " WHERE usename = 'relay'")


def terminate(world, dice):
    for _ in range(dice.randint(1, 4)):
        world.primary.one(TERMINATE)
        pause(dice, 0, 0.5)


def terminate_storm(world, dice):
    """Twenty times a second."""
    for _ in range(20 * dice.randint(2, 6)):
        world.primary.one(TERMINATE)
        time.sleep(0.05)


def with_slot_free(world, sql):
    """Neither relay may be back before it is done."""
    for relay in world.relays:
        relay.signal(signal.SIGSTOP)
    try:
        world.primary.one("SELECT pg_terminate_backend(active_pid, 5000)"
                          " FROM pg_replication_slots WHERE active")
        for line in sql:
            world.primary.one(line)
    finally:
        for relay in world.relays:
            relay.signal(signal.SIGCONT)


DROP = "SELECT pg_drop_replication_slot('outbox')"
MAKE = "SELECT pg_create_logical_replication_slot('outbox', 'outbox_decoder')"


def slot_drop(world, _):
    with_slot_free(world, [DROP])


def slot_remake(world, _):
    with_slot_free(world, [DROP, "SET lock_timeout = '5s'; " + MAKE])


def slot_advance(world, _):
    with_slot_free(world, ["SELECT pg_replication_slot_advance('outbox',"
                           " pg_current_wal_flush_lsn())"])


def slot_invalidate(world, dice):
    """By its size, while nobody reads it."""
    primary = world.primary
    for relay in world.relays:
        relay.signal(signal.SIGSTOP)
    try:
        primary.one("SELECT pg_terminate_backend(active_pid, 5000)"
                    " FROM pg_replication_slots WHERE active")
        primary.set(max_slot_wal_keep_size="1MB", wal_keep_size="0")
        for _ in range(dice.randint(3, 5)):
            primary.one("SELECT pg_switch_wal()")
            primary.one("INSERT INTO filler VALUES (0, '') RETURNING n")
        primary.rows("CHECKPOINT")
        world.note("  %s" % primary.one(
            "SELECT wal_status FROM pg_replication_slots"
            " WHERE slot_name = 'outbox'"))
        primary.set(max_slot_wal_keep_size=None, wal_keep_size=None)
    finally:
        for relay in world.relays:
            relay.signal(signal.SIGCONT)


# -- the ways between them

def cut(wire, least, most):
    def fault(world, dice):
        side = dice.choice(("both", "both", "left", "right"))
        world.note("  " + side)
        world.place.wires[wire].set(cut=side)
        pause(dice, least, most)
        world.place.wires[wire].set()
    return fault


def slow(wire):
    def fault(world, dice):
        state = {"delay_ms": dice.randint(1, 120),
                 "jitter_ms": dice.randint(0, 60),
                 "loss": dice.choice((0, 0.005, 0.02, 0.05))}
        world.note("  %s" % state)
        world.place.wires[wire].set(**state)
        pause(dice, 3, 12)
        world.place.wires[wire].set()
    return fault


# -- destinations

ANSWERS = ("503", "503", "429:retry-after=1", "500", "408", "reset", "close",
           "garbage", "hang", "slow:0.4", "drip:0.01", "big:3000000", "200",
           "302:location=http%3a//127.0.0.1/")


def misbehave(world, dice):
    """For as many requests as it takes."""
    path = "/" + dice.choice(("alpha", "beta"))
    what = [dice.choice(ANSWERS[:-1])
            for _ in range(dice.randint(3, 40))]
    world.note("  %s %s" % (path, " ".join(what)))
    world.receiver.script(path, *what)
    pause(dice, 0, 6)


def refuse_all(world, dice):
    """Until it is well again: the circuit opens, the backlog fills."""
    path = "/" + dice.choice(("alpha", "beta"))
    what = dice.choice(("503*", "hang*", "reset*", "slow:2.5*"))
    world.note("  %s %s" % (path, what))
    world.receiver.script(path, what)
    pause(dice, 3, 12)
    world.receiver.script(path)


def receiver_kill(world, dice):
    world.receiver.kill()
    pause(dice, 0, 5)
    world.receiver.start()


def route_pause(world, dice):
    name = dice.choice(("alpha", "beta", "picky"))
    world.primary.one("SELECT outbox_route_pause(%s)", name)
    pause(dice, 1, 8)
    # It has to be said until somebody has heard it.
    wait_for("the route is resumed", lambda: world.primary.rows(
        "SELECT outbox_route_resume(%s)", name) is not None, 120)


def route_alter(world, dice):
    name = dice.choice(("alpha", "beta", "picky"))
    options = '{"concurrency": %d, "timeout_ms": %d}' % (
        dice.choice((1, 2, 16, 64)), dice.choice((2500, 3000, 5000)))
    world.note("  %s %s" % (name, options))
    world.primary.one("SELECT outbox_route_alter(%s, options => %s)",
                      name, options)


# -- the broker

def kafka_freeze(world, dice):
    with open(world.kafka_dir + "/pid", encoding="ascii") as file:
        pid = int(file.read())
    os.kill(pid, signal.SIGSTOP)
    pause(dice, 1, 15)
    os.kill(pid, signal.SIGCONT)


def kafka_restart(world, dice):
    world.place.call(["test/kafka/stop", world.kafka_dir,
                      dice.choice(("KILL", "TERM"))], "relay")
    pause(dice, 0, 5)
    world.place.call(["test/kafka/start", world.kafka_dir], "relay")


# -- the table

# name -> weight, what it has to itself, what it excuses, what it needs
FAULTS = {
    "relay_kill": Fault(relay_kill, 6, {"relay"}, "crash", ()),
    "relay_kill_at": Fault(relay_kill_at, 5, {"relay"}, "crash", ()),
    "relay_kill_both": Fault(relay_kill_both, 3, {"relay"}, "crash", ()),
    "relay_restart": Fault(relay_restart, 5, {"relay"}, "clean", ()),
    "relay_freeze": Fault(relay_freeze, 3, {"relay"}, "crash", ()),
    "clock_step": Fault(clock_step, 3, {"clock"}, "clean", ("faketime",)),
    "terminate": Fault(terminate, 4, {"sessions"}, "crash", ()),
    "terminate_storm": Fault(terminate_storm, 2, {"sessions"}, "crash", ()),
    "slot_drop": Fault(slot_drop, 2, {"relay", "server"}, "crash", ()),
    "slot_remake": Fault(slot_remake, 2, {"relay", "server"}, "crash", ()),
    "slot_advance": Fault(slot_advance, 2, {"relay", "server"}, "crash", ()),
    "slot_invalidate": Fault(slot_invalidate, 2, {"relay", "server"}, "crash",
                             ()),
    "db_cut": Fault(cut("dbwire", 0.5, 12), 4, {"dbwire"}, "crash", ("net",)),
    "db_slow": Fault(slow("dbwire"), 4, {"dbwire"}, "crash", ("net",)),
    "target_cut": Fault(cut("targetwire", 0.5, 8), 3, {"targetwire"}, "crash",
                        ("net",)),
    "target_slow": Fault(slow("targetwire"), 3, {"targetwire"}, "crash",
                         ("net",)),
    "misbehave": Fault(misbehave, 8, {"target"}, "clean", ()),
    "refuse_all": Fault(refuse_all, 4, {"target"}, "clean", ()),
    "receiver_kill": Fault(receiver_kill, 2, {"target"}, "crash", ()),
    "kafka_freeze": Fault(kafka_freeze, 2, {"kafka"}, "crash", ("kafka",)),
    "kafka_restart": Fault(kafka_restart, 2, {"kafka"}, "crash", ("kafka",)),
    "route_pause": Fault(route_pause, 3, {"routes"}, "clean", ()),
    "route_alter": Fault(route_alter, 2, {"routes"}, "clean", ()),
}
FAULTS.update({name: Fault(*row) for name, row in disaster.TABLE.items()})


def possible(have):
    """Those that can be made here; and what is missing for the others."""
    missing = {name: [need for need in fault.needs if need not in have]
               for name, fault in FAULTS.items()}
    return ({name: FAULTS[name] for name in FAULTS if not missing[name]},
            {name: what for name, what in missing.items() if what})
