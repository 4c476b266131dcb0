#!/usr/bin/python3
"""
test/torture/link.py

A wire between two network namespaces that delays, loses or carries nothing,
as told.  It is a program because not every kernel has netem.

    link.py --left NAMESPACE,ADDRESS --right NAMESPACE,ADDRESS --seed N

Makes a tun device in each, and carries packets between them.  Each line of
standard input is what the wire is from then on, as JSON; what is left out
is as good as new:

    {"delay_ms": 40, "jitter_ms": 10, "loss": 0.02, "cut": "both"}

cut: "both", or "left" or "right" for what that side sends.  Each line is
answered by a line once it holds.  Ends with its input.

SPDX-License-Identifier: PostgreSQL
"""

import argparse
import ctypes
import fcntl
import heapq
import json
import os
import random
import selectors
import struct
import subprocess
import sys
import time

CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
MTU = 9000


def enter(namespace):
    """This thread's sockets and devices are that namespace's from now on."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/run/netns/" + namespace, "rb") as file:
        if libc.setns(file.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "could not enter " + namespace)


def tun(namespace, address, name):
    enter(namespace)
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF,
                struct.pack("16sH", name.encode(), IFF_TUN | IFF_NO_PI))
    for command in ("addr add %s/24 dev %s" % (address, name),
                    "link set %s mtu %d txqueuelen 5000 up" % (name, MTU)):
        subprocess.run(["ip", *command.split()], check=True)
    return device


class Side:
    def __init__(self, name, device):
        self.name, self.device = name, device
        self.other = None


class Wire:
    def __init__(self, seed):
        self.dice = random.Random(seed)
        self.set({})
        self.queue = []         # (when, number, device, packet)
        self.number = 0

    def set(self, state):
        self.delay = state.get("delay_ms", 0) / 1000.0
        self.jitter = state.get("jitter_ms", 0) / 1000.0
        self.loss = state.get("loss", 0)
        self.cut = state.get("cut")

    def take(self, side, packet):
        if self.cut in ("both", side.name) or \
                (self.loss and self.dice.random() < self.loss):
            return
        if not self.delay and not self.queue:
            send(side.other.device, packet)
            return
        when = time.monotonic() + self.delay
        if self.jitter:
            when += self.jitter * self.dice.random()
        self.number += 1
        heapq.heappush(self.queue, (when, self.number, side.other.device,
                                    packet))

    def run_due(self):
        """Sends what is due; seconds until the next, None: nothing waits."""
        while self.queue:
            left = self.queue[0][0] - time.monotonic()
            if left > 0:
                return left
            _, _, device, packet = heapq.heappop(self.queue)
            send(device, packet)
        return None


def send(device, packet):
    try:
        os.write(device, packet)
    except OSError:
        pass                    # a full queue loses packets, as wires do


def carry(wire, sides):
    selector = selectors.DefaultSelector()
    for side in sides:
        selector.register(side.device, selectors.EVENT_READ, side)
    selector.register(sys.stdin.fileno(), selectors.EVENT_READ, None)
    rest = b""
    while True:
        for key, _ in selector.select(wire.run_due()):
            if key.data is not None:
                read_packets(wire, key.data)
                continue
            piece = os.read(sys.stdin.fileno(), 65536)
            if not piece:
                return
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                wire.set(json.loads(line))
                print("ok", flush=True)


def read_packets(wire, side):
    for _ in range(64):
        try:
            wire.take(side, os.read(side.device, 65536))
        except BlockingIOError:
            return


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--left", required=True)
    parser.add_argument("--right", required=True)
    parser.add_argument("--name", default="wire")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    sides = [Side(name, tun(*where.split(","), args.name))
             for name, where in (("left", args.left), ("right", args.right))]
    sides[0].other, sides[1].other = sides[1], sides[0]
    print("up", flush=True)
    carry(Wire(args.seed), sides)


if __name__ == "__main__":
    main()
