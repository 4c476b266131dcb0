"""
test/torture/server.py

A PostgreSQL server of the torture, whose WAL and slots are on file systems
of their own that can be full.

SPDX-License-Identifier: PostgreSQL
"""

import os
import shutil
import subprocess

import psycopg2
from place import wait_for

SERVER = """
listen_addresses = '%(address)s'
port = %(port)d
cluster_name = '%(name)s'
unix_socket_directories = '%(sockets)s'
wal_level = logical
max_wal_senders = 20
max_replication_slots = 10
max_prepared_transactions = 50
max_connections = 60
shared_buffers = 64MB
max_wal_size = 256MB
wal_keep_size = 128MB
wal_sender_timeout = 5s
wal_receiver_timeout = 5s
wal_retrieve_retry_interval = 1s
autovacuum_naptime = 2s
log_line_prefix = '%%m [%%p] %%e %%q%%a '
log_checkpoints = off
log_min_error_statement = panic
fsync = %(fsync)s
track_commit_timestamp = %(stamps)s
logical_decoding_work_mem = 1MB
"""
HBA = """local all all trust
local replication all trust
host all relay samenet scram-sha-256
host replication relay samenet scram-sha-256
host all relay all scram-sha-256
host replication relay all scram-sha-256
"""


class Server:
    """One PostgreSQL server; files of its own that can be full."""

    def __init__(self, world, number):
        self.world, self.place = world, world.place
        self.name = "server%d" % number
        self.dir = self.place.scratch.make(self.name)
        self.data = self.dir + "/data"
        self.log = self.dir + "/server.log"
        self.port = self.place.free_port("server")
        self.process = None
        self.mounted = []
        self.extra = {}         # settings beside the usual ones
        self.said = None

    def program(self, name):
        return self.place.scratch.program(name)

    def conninfo(self, more=""):
        return "host=%s port=%d dbname=postgres user=postgres %s" % (
            self.world.sockets, self.port, more)

    def settings(self):
        text = SERVER % {
            "name": self.name, "address": self.place.address("server"), "port": self.port,
            "sockets": self.world.sockets,
            "fsync": "on" if self.place.root else "off",
            "stamps": "on" if self.world.stamps else "off"}
        if self.world.has_list:
            text += ("output_plugin_libraries ="
                     " 'pgoutput, test_decoding, outbox_decoder'\n")
        text += "".join("%s = '%s'\n" % item for item in self.extra.items())
        with open(self.data + "/torture.conf", "w", encoding="ascii") as file:
            file.write(text)
        os.chmod(self.data + "/torture.conf", 0o644)

    def init(self):
        self.mount_wal()
        self.place.call([self.program("initdb"), "-D", self.data, "-A",
                         "trust", "-U", "postgres", "--no-locale", "-E",
                         "UTF8", "-X", self.dir + "/wal/pg_wal"])
        self.world.has_list = subprocess.run(
            [self.program("postgres"), "-D", self.data, "-C",
             "output_plugin_libraries"], stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, check=False,
            **({"user": "postgres"} if self.place.root else {})
        ).returncode == 0
        self.settings()
        with open(self.data + "/postgresql.conf", "a",
                  encoding="ascii") as file:
            file.write("include 'torture.conf'\n")
        with open(self.data + "/pg_hba.conf", "w", encoding="ascii") as file:
            file.write(HBA)
        self.mount_spill()

    def clone(self, primary):
        """A standby of that one, made anew."""
        self.mount_wal()
        self.place.call([
            self.program("pg_basebackup"), "-D", self.data, "-d",
            primary.conninfo(), "-c", "fast", "-R", "-X", "stream",
            "--waldir", self.dir + "/wal/pg_wal"])
        self.settings()
        self.mount_spill()

    def mount_wal(self):
        path = self.dir + "/wal"
        self.place.mount(path, 1024)
        if self.place.root:
            self.mounted.append(path)

    def mount_spill(self):
        path = self.data + "/pg_replslot"
        self.place.mount(path, 256)
        if self.place.root:
            self.mounted.append(path)

    def remove(self):
        for path in reversed(self.mounted):
            self.place.unmount(path)
        self.mounted = []
        shutil.rmtree(self.data, ignore_errors=True)
        shutil.rmtree(self.dir + "/wal", ignore_errors=True)

    def start(self):
        self.process = self.place.start(
            "server", [self.program("postgres"), "-D", self.data], self.log)
        self.wait_until_up()

    def wait_until_up(self, seconds=90):
        def up():
            if self.process.poll() is not None:
                raise RuntimeError("%s ended, see %s" % (self.name, self.log))
            return self.one("SELECT 1") == 1
        wait_for(self.name + " answers", up, seconds)
        self.said = None

    def stop(self, how):
        """how: SIGTERM smart, SIGINT fast, SIGQUIT immediate."""
        self.process.send_signal(how)
        self.process.wait(120)

    def set(self, **settings):
        """None: as it was.  Holds when the server says so."""
        for name, value in settings.items():
            self.extra[name] = value
            if value is None:
                del self.extra[name]
        self.settings()
        self.one("SELECT pg_reload_conf()")

    def running(self):
        return self.process is not None and self.process.poll() is None

    def promote(self):
        self.one("SELECT pg_promote(true, 60)")

    def connect(self, **more):
        connection = psycopg2.connect(
            self.conninfo("connect_timeout=5 application_name=torture"),
            **more)
        connection.autocommit = True
        return connection

    def rows(self, sql, *values):
        """Rows; None when the server does not answer."""
        try:
            connection = self.connect()
            try:
                cursor = connection.cursor()
                cursor.execute(sql, values or None)
                return cursor.fetchall() if cursor.description else []
            finally:
                connection.close()
        except psycopg2.Error as error:
            text = "%s: %s" % (self.name, str(error).strip())
            if text != self.said:
                self.world.note(text)
            self.said = text
            return None

    def one(self, sql, *values):
        rows = self.rows(sql, *values)
        return rows[0][0] if rows else None
