"""
test/lib/scratch.py

Where the tests run: a copy of the tree in a folder of its own, as a user
that may run a PostgreSQL server, and a private cluster in it.

SPDX-License-Identifier: PostgreSQL
"""

import glob
import os
import pwd
import shutil
import signal
import subprocess
import tempfile

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
PG_CONFIG = os.environ.get("PG_CONFIG", "pg_config")
LEFT_OUT = shutil.ignore_patterns(
    ".git", "build", "build-*", "tmp_check", "__pycache__", "*.o", "*.bc")


def pg_config(name):
    return subprocess.check_output([PG_CONFIG, "--" + name],
                                   text=True).strip()


def pgxs(path):
    return os.path.join(os.path.dirname(pg_config("pgxs")), "..", "..", path)


class Scratch:
    """dir: the folder; tree: the copy; start, run: commands in it."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="outbox-test-")
        self.tree = os.path.join(self.dir, "tree")
        self.user = None
        self.bindir = pg_config("bindir")
        shutil.copytree(ROOT, self.tree, ignore=LEFT_OUT, symlinks=True)
        os.chmod(self.dir, 0o755)
        if os.geteuid() == 0:
            self.user = pwd.getpwnam("postgres")
            self.own(self.dir)
        self.env = self.environment()

    def own(self, path):
        for folder, _, files in os.walk(path):
            for name in [folder] + [os.path.join(folder, f) for f in files]:
                os.chown(name, self.user.pw_uid, self.user.pw_gid,
                         follow_symlinks=False)

    def environment(self):
        env = {k: v for k, v in os.environ.items()
               if not k.startswith(("PG", "MAKE", "MFLAGS"))}
        env.update(
            PATH=self.bindir + ":" + env.get("PATH", "/usr/bin:/bin"),
            LC_ALL="C.UTF-8",
            TMPDIR=self.make("tmp"),
            PG_CONFIG=PG_CONFIG,
            OUTBOX_ROOT=self.tree,
            OUTBOX_KAFKA_JARS=os.path.join(self.dir, "kafka"),
            PG_REGRESS=os.path.realpath(pgxs("src/test/regress/pg_regress")),
            PERL5LIB=self.tree + "/test/lib:"
            + os.path.realpath(pgxs("src/test/perl")),
        )
        if self.user:
            env.update(HOME=self.dir, USER="postgres", LOGNAME="postgres")
        return env

    def program(self, name):
        """One of the server's, which Debian keeps off the PATH."""
        return os.path.join(self.bindir, name)

    def make(self, name):
        """A sub-folder that the tests may write to."""
        path = os.path.join(self.dir, name)
        os.makedirs(path, exist_ok=True)
        if self.user:
            os.chown(path, self.user.pw_uid, self.user.pw_gid)
        return path

    def add(self, path, name):
        """Copies a folder from outside to dir/name, unless it is there."""
        target = os.path.join(self.dir, name)
        if not os.path.exists(target) or not os.listdir(target):
            shutil.copytree(path, target, dirs_exist_ok=True)
            if self.user:
                self.own(target)
        return target

    def run(self, command, log, timeout=600, env=None, cwd=None,
            leave=False, stdin=os.devnull):
        """
        The exit status; output goes to the file; None: out of time.  What
        the command started ends with it, unless it is to be left.
        """
        as_user = {}
        if self.user:
            as_user = {"user": self.user.pw_uid, "group": self.user.pw_gid,
                       "extra_groups": os.getgrouplist("postgres",
                                                       self.user.pw_gid)}
        with open(log, "ab") as out, open(stdin, "rb") as given:
            child = subprocess.Popen(
                command, stdin=given, stdout=out, stderr=out,
                cwd=cwd or self.tree, env={**self.env, **(env or {})},
                start_new_session=True, **as_user)
            try:
                return child.wait(timeout)
            except subprocess.TimeoutExpired:
                out.write(b"\n# stopped: it took longer than %d s\n" % timeout)
                return None
            finally:
                if not leave:
                    end_group(child)

    def remove(self, name=""):
        """Ends the servers left behind there, then all of it is gone."""
        folder = os.path.join(self.dir, name)
        for pidfile in glob.glob(folder + "/**/postmaster.pid",
                                 recursive=True):
            self.run([self.program("pg_ctl"), "-D", os.path.dirname(pidfile),
                      "-m", "immediate", "stop"], os.devnull)
        shutil.rmtree(folder, ignore_errors=True)


def end_group(child):
    """Ends what is left of the child and what it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(child.pid, number)
            child.wait(10)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


class Cluster:
    """A private server, reachable by a socket in its folder only."""

    SETTINGS = """
listen_addresses = ''
unix_socket_directories = '%s'
wal_level = logical
max_prepared_transactions = 20
max_replication_slots = 20
"""

    def __init__(self, scratch, log, fsync="off", program=None):
        self.scratch, self.log = scratch, log
        self.dir = scratch.make("server")
        self.data = os.path.join(self.dir, "data")
        self.command("initdb", "-D", self.data, "-A", "trust", "-N",
                     "-U", "postgres", "--no-locale", "-E", "UTF8")
        settings = self.SETTINGS % self.dir + "fsync = %s\n" % fsync
        if scratch.run([scratch.program("postgres"), "-D", self.data, "-C",
                        "output_plugin_libraries"], os.devnull) == 0:
            settings += ("output_plugin_libraries ="
                         " 'pgoutput, test_decoding, outbox_decoder'\n")
        with open(self.data + "/postgresql.conf", "a",
                  encoding="utf-8") as conf:
            conf.write(settings)
        self.command("pg_ctl", "-D", self.data, "-w", "-t", "300", "-l",
                     self.dir + "/server.log", "-p",
                     program or scratch.program("postgres"), "start")
        self.env = {"PGHOST": self.dir, "PGUSER": "postgres",
                    "PGDATABASE": "postgres"}

    def command(self, name, *arguments, **more):
        status = self.scratch.run([self.scratch.program(name), *arguments],
                                  self.log, **more)
        if status != 0:
            raise RuntimeError("%s failed, see %s" % (name, self.log))

    def psql(self, database, sql):
        self.command("psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d",
                     database, "-c", sql, env=self.env)

    def stop(self):
        self.scratch.run([self.scratch.program("pg_ctl"), "-D", self.data,
                          "-m", "immediate", "stop"], self.log)
        shutil.rmtree(self.dir, ignore_errors=True)
