"""
test/torture/disaster.py

Faults of the servers: they die, are stopped, fill up, change places.  Rows
of the table are those of faults.py.

SPDX-License-Identifier: PostgreSQL
"""

import os
import signal
import time

from place import wait_for

FAST, IMMEDIATE = signal.SIGINT, signal.SIGQUIT


def pause(dice, least, most):
    time.sleep(least + (most - least) * dice.random())


def server_crash(world, dice):
    world.primary.stop(IMMEDIATE)
    pause(dice, 0, 4)
    world.primary.start()


def server_fast(world, dice):
    """An orderly stop with everything running: it waits for nobody."""
    began = time.monotonic()
    world.primary.stop(FAST)
    world.took("fast stop of the server", began, 20)
    pause(dice, 0, 2)
    world.primary.start()


def backend_kill(world, dice):
    """One backend is killed, and the server starts all others anew."""
    pid = world.primary.one(
        "SELECT pid FROM pg_stat_activity WHERE backend_type IN"
        " ('client backend', 'walsender') AND pid <> pg_backend_pid()"
        " ORDER BY random() LIMIT 1")
    if pid:
        world.event("backend kill", "backend_kill")
        os.kill(pid, signal.SIGKILL)
    pause(dice, 0.5, 2)
    world.primary.wait_until_up()


def standby_restart(world, dice):
    world.standby.stop(dice.choice((FAST, IMMEDIATE)))
    pause(dice, 0, 3)
    world.standby.start()


# -- full disks

def fill(path):
    """Takes all that is left; gives the file to remove."""
    name = path + "/ballast"
    with open(name, "wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * (1 << 20))
        except OSError:
            pass
    return name


def disk_full_wal(world, dice):
    """The WAL cannot grow; the server may end, and is started again."""
    primary = world.primary
    world.event("disk full", "disk_full_wal")
    ballast = fill(primary.dir + "/wal")
    deadline = time.monotonic() + 2 + 8 * dice.random()
    while time.monotonic() < deadline:
        primary.rows("INSERT INTO filler SELECT 0, repeat('x', 500)"
                     " FROM generate_series(1, 20000)")
        time.sleep(0.1)
    os.unlink(ballast)
    revive(world, primary)


def disk_full_spill(world, dice):
    """What the walsender writes beside the WAL: spill and slot state."""
    primary = world.primary
    world.event("disk full", "disk_full_spill")
    ballast = fill(primary.data + "/pg_replslot")
    primary.one("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE usename = 'relay'")
    primary.rows("INSERT INTO filler SELECT 0, repeat('x', 100)"
                 " FROM generate_series(1, 100000)")
    primary.rows("CHECKPOINT")
    pause(dice, 1, 6)
    os.unlink(ballast)
    revive(world, primary)


def revive(world, server):
    """It answers again, by itself or started by us."""
    def answers():
        if not server.running():
            world.note("  %s had ended" % server.name)
            server.start()
        return server.one("SELECT 1") == 1
    wait_for(server.name + " answers", answers, 90)


# -- the standby takes over

def streams(world):
    return world.primary.one(
        "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"
        " AND application_name = %s", world.standby.name) == 1


def ensure_standby(world):
    """A standby whose WAL is gone from the primary is made anew."""
    try:
        wait_for("the standby streams", lambda: streams(world), 10)
    except TimeoutError:
        world.note("  %s is made anew" % world.standby.name)
        if world.standby.running():
            world.standby.stop(IMMEDIATE)
        world.standby.remove()
        world.standby.clone(world.primary)
        world.standby.start()
        wait_for("the standby streams", lambda: streams(world), 60)


def swap(world):
    """The standby is the primary now, a new standby is made of the old."""
    old, new = world.primary, world.standby
    new.promote()
    world.primary, world.standby = new, old
    wait_for(new.name + " is the primary", lambda: new.one(
        "SELECT NOT pg_is_in_recovery()"), 60)
    old.remove()
    old.extra = {}
    old.clone(new)
    old.start()


def promote_async(world, dice):
    """What the standby had not got is lost; the event says so."""
    old, new = world.primary, world.standby
    ensure_standby(world)
    began = time.time()
    if dice.random() < 0.6:
        # Let it fall behind: more is lost.
        pid = old.one("SELECT pid FROM pg_stat_replication"
                      " WHERE application_name = %s", new.name)
        if pid:
            world.event("backend kill", "promote_async")
            os.kill(pid, signal.SIGSTOP)
        pause(dice, 0.5, 3)
    old.stop(IMMEDIATE)
    swap(world)
    world.event("promotion", "promote_async", began, loses=True)


def promote_sync(world, dice):
    """No commit that was answered may be lost."""
    ensure_standby(world)
    old = world.primary
    old.set(synchronous_standby_names=world.standby.name)
    try:
        wait_for("the standby is synchronous", lambda: old.one(
            "SELECT count(*) FROM pg_stat_replication"
            " WHERE sync_state = 'sync'") == 1, 60)
    except TimeoutError:
        old.set(synchronous_standby_names=None)
        raise
    pause(dice, 1, 4)
    began = time.time()
    old.stop(IMMEDIATE)
    swap(world)
    world.event("promotion", "promote_sync", began, loses=False)


# -- what is no fault at all

def other_wal(world, dice):
    """WAL that is none of our business, in one transaction."""
    world.primary.rows(
        "INSERT INTO filler SELECT i, repeat(md5(i::text), 10)"
        " FROM generate_series(1, %s) AS i", dice.randint(20000, 100000))
    world.primary.rows("TRUNCATE filler")


def maintenance(world, dice):
    leaf = "outbox.message_0_%d" % dice.randint(0, 7)
    world.primary.rows(dice.choice((
        "CHECKPOINT", "VACUUM " + leaf, "ANALYZE " + leaf,
        "REINDEX TABLE CONCURRENTLY " + leaf,
        "VACUUM FULL outbox.attempt", "REINDEX TABLE outbox.resolved",
        "VACUUM outbox.relay")))


TABLE = {
    "server_crash": (server_crash, 4, {"server", "sessions"}, "crash", ()),
    "server_fast": (server_fast, 3, {"server", "sessions"}, "crash", ()),
    "backend_kill": (backend_kill, 2, {"server", "sessions"}, "crash", ()),
    "standby_restart": (standby_restart, 1, {"server"}, "clean", ()),
    "disk_full_wal": (disk_full_wal, 2, {"server", "sessions"}, "crash",
                      ("root",)),
    "disk_full_spill": (disk_full_spill, 2, {"server", "sessions"}, "crash",
                        ("root",)),
    "promote_async": (promote_async, 2, {"server", "sessions"}, "crash", ()),
    "promote_sync": (promote_sync, 2, {"server", "sessions"}, "crash", ()),
    "other_wal": (other_wal, 2, {"filler"}, "clean", ()),
    "maintenance": (maintenance, 2, {"filler"}, "clean", ()),
}
