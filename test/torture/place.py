"""
test/torture/place.py

Where the torture happens: a folder, a user that may run a server, and, for
root, network namespaces with wires between them and file systems that can be
full.  All of it is gone at the end.

SPDX-License-Identifier: PostgreSQL
"""

import ctypes
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))

from scratch import Scratch  # noqa: E402

CLONE_NEWNET = 0x40000000
# name of a namespace -> its addresses on the wires
ADDRESSES = {
    "server": {"dbwire": "10.91.1.1"},
    "relay": {"dbwire": "10.91.1.2", "targetwire": "10.91.2.2"},
    "target": {"targetwire": "10.91.2.1"},
}


class Wire:
    """test/torture/link.py between the relay and one of the others."""

    def __init__(self, place, name, left, right, seed):
        self.process = subprocess.Popen(
            [sys.executable, HERE + "/link.py", "--name", name, "--seed",
             str(seed)]
            + ["--left", "%s,%s" % (place.netns(left), ADDRESSES[left][name])]
            + ["--right", "%s,%s" % (place.netns(right),
                                     ADDRESSES[right][name])],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            bufsize=1)
        self.process.stdout.readline()

    def set(self, **state):
        self.process.stdin.write(json.dumps(state) + "\n")
        self.process.stdout.readline()


class Place:
    def __init__(self, seed, want_net):
        self.scratch = Scratch()
        self.dir = self.scratch.dir
        self.root = os.geteuid() == 0
        self.net = self.root and want_net
        self.mounts, self.wires, self.children = [], {}, []
        self.stamp = os.path.basename(self.dir) + "-"
        if self.net:
            self.make_net(seed)

    # -- network

    def netns(self, name):
        return self.stamp + name

    def make_net(self, seed):
        for name in ADDRESSES:
            subprocess.run(["ip", "netns", "add", self.netns(name)],
                           check=True)
            subprocess.run(["ip", "-n", self.netns(name), "link", "set", "lo",
                            "up"], check=True)
        for name, other in (("dbwire", "server"), ("targetwire", "target")):
            self.wires[name] = Wire(self, name, "relay", other, seed)

    def address(self, name):
        """Where the others reach it."""
        if not self.net:
            return "127.0.0.1"
        wire = "dbwire" if name == "server" else "targetwire"
        return ADDRESSES[name][wire]

    def inside(self, name, call):
        """call() in a thread of that namespace: its result."""
        if not self.net:
            return call()
        result = []

        def work():
            libc = ctypes.CDLL(None, use_errno=True)
            with open("/run/netns/" + self.netns(name), "rb") as file:
                if libc.setns(file.fileno(), CLONE_NEWNET) != 0:
                    raise OSError(ctypes.get_errno(), "setns")
            try:
                result.append((True, call()))
            except OSError as error:
                result.append((False, error))

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        good, value = result[0]
        if not good:
            raise value
        return value

    def http(self, name, port, method, path, content=None):
        """Status and body of a request to 127.0.0.1 in that namespace."""
        def call():
            connection = http.client.HTTPConnection("127.0.0.1", port,
                                                    timeout=10)
            try:
                connection.request(method, path, content and
                                   json.dumps(content))
                answer = connection.getresponse()
                return answer.status, answer.read().decode()
            finally:
                connection.close()
        return self.inside(name, call)

    def free_port(self, name):
        def call():
            with socket.socket() as made:
                made.bind(("127.0.0.1", 0))
                return made.getsockname()[1]
        return self.inside(name, call)

    # -- processes and file systems

    def start(self, name, command, log, env=None):
        """A child in that namespace, as the user who may."""
        prefix = []
        if self.net:
            prefix += ["nsenter", "--net=/run/netns/" + self.netns(name)]
        if self.root:
            prefix += ["setpriv", "--reuid=postgres", "--regid=postgres",
                       "--init-groups"]
        with open(log, "ab") as out:
            child = subprocess.Popen(
                prefix + command, stdin=subprocess.DEVNULL, stdout=out,
                stderr=out, cwd=self.scratch.tree, start_new_session=True,
                env={**self.scratch.env, **(env or {})})
        self.children.append(child)
        return child

    def call(self, command, name="server", timeout=300):
        """To its end; what it printed."""
        prefix = []
        if self.net:
            prefix += ["nsenter", "--net=/run/netns/" + self.netns(name)]
        if self.root:
            prefix += ["setpriv", "--reuid=postgres", "--regid=postgres",
                       "--init-groups"]
        done = subprocess.run(
            prefix + command, stdin=subprocess.DEVNULL, timeout=timeout,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env=self.scratch.env, cwd=self.scratch.tree, check=False)
        if done.returncode != 0:
            raise RuntimeError("%s: %s" % (" ".join(command), done.stdout))
        return done.stdout

    def mount(self, path, megabytes):
        """A file system of that size, for root; else a folder."""
        os.makedirs(path, exist_ok=True)
        if self.root:
            subprocess.run(["mount", "-t", "tmpfs", "-o",
                            "size=%dm,mode=0700" % megabytes, "none", path],
                           check=True)
            self.mounts.append(path)
            os.chown(path, self.scratch.user.pw_uid, self.scratch.user.pw_gid)

    def unmount(self, path):
        subprocess.run(["umount", "-l", path], check=False)
        self.mounts.remove(path)

    def remove(self, keep):
        for child in self.children:
            if child.poll() is None:
                child.kill()
        for child in self.children:
            child.wait(10)
        for wire in self.wires.values():
            wire.process.stdin.close()
            wire.process.wait(10)
        for path in list(self.mounts):
            self.unmount(path)
        if self.net:
            for name in ADDRESSES:
                subprocess.run(["ip", "netns", "del", self.netns(name)],
                               check=False)
        if not keep:
            shutil.rmtree(self.dir, ignore_errors=True)


def wait_for(sentence, condition, seconds=60):
    """The true value the condition gives in the end."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError("timed out waiting until " + sentence)
        time.sleep(0.05)
