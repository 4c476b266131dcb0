#!/usr/bin/python3
"""
test/receiver/receiver.py

An HTTP endpoint that writes down what it was sent and misbehaves as told.
It shares no code with the relay: its log is what the oracle believes.

    receiver.py --port-file FILE --log FILE [--body none|full] [--port N]
                [--listen ADDRESS] [--poison PATH]

The port is the kernel's choice and is written to --port-file once the
socket listens.  The log has one line of JSON for each request, written
when its answer is (or when it is clear that there will be none):

    {"n", "time", "answered", "path", "method", "headers": {lower-case: value},
     "length", "sha256", "body" or "base64" (with --body full), "status"}

status 0: no answer was given.

--poison: requests to that path with a header X-Poison get 422, whatever the
script says.

Control, not logged:
    PUT /_script {"path": P, "behaviour": [B, ...]}   replaces P's script
    PUT /_release {"path": P}                         answers what P holds
    GET /_state                                       counts by path

Each request to P uses up the next entry; with none left it is "200".  An
entry that ends in "*" is never used up.  The script of "P#KEY" is for those
requests to P that have this Outbox-Message-Key.  Entries:

    STATUS[:retry-after=V][:location=V][:body=TEXT]   e.g. 429:retry-after=3
    hang            takes the request, never answers
    hold            answers 200 when released
    reset           resets the connection without an answer
    close           closes it without an answer
    slow:SECONDS    200 after so long
    drip:SECONDS    200, one byte each so many seconds
    big:BYTES       200 with a body of that size
    garbage         something that is not HTTP

SPDX-License-Identifier: PostgreSQL
"""

import argparse
import asyncio
import base64
import hashlib
import json
import os
import signal
import socket
import struct
import time
from collections import defaultdict, deque

REASON = {200: "OK", 100: "Continue", 404: "Not Found"}


class Journal:
    """The log: one JSON line a request, complete lines only."""

    def __init__(self, path, keep_body):
        self.file = open(path, "a", buffering=1, encoding="utf-8")
        self.keep_body = keep_body

    def write(self, request, status):
        line = {
            "n": request.number,
            "time": request.time,
            "answered": time.time(),
            "method": request.method,
            "path": request.path,
            "headers": request.headers,
            "length": len(request.body),
            "sha256": hashlib.sha256(request.body).hexdigest(),
            "status": status,
        }
        if self.keep_body:
            try:
                line["body"] = request.body.decode("utf-8")
            except UnicodeDecodeError:
                line["base64"] = base64.b64encode(request.body).decode()
        self.file.write(json.dumps(line, separators=(",", ":")) + "\n")


class Script:
    """What is to happen to the requests of each path."""

    def __init__(self, poison):
        self.poison = poison
        self.todo = defaultdict(deque)
        self.held = defaultdict(list)
        self.seen = defaultdict(int)

    def set(self, path, behaviour):
        self.todo[path] = deque(behaviour)

    def next(self, path, headers):
        of_key = path + "#" + headers.get("outbox-message-key", "")
        if of_key in self.todo:
            path = of_key
        self.seen[path] += 1
        if path == self.poison and "x-poison" in headers:
            return "422"
        todo = self.todo[path] if path in self.todo else None
        if not todo:
            return "200"
        if todo[0].endswith("*"):
            return todo[0][:-1]
        return todo.popleft()

    def release(self, path):
        for connection, request in self.held.pop(path, []):
            connection.answer(request, 200)

    def state(self):
        return {
            path: {
                "seen": self.seen[path],
                "held": len(self.held.get(path, ())),
                "script": list(self.todo.get(path, ())),
            }
            for path in set(self.seen) | set(self.todo)
        }


class Request:
    number = 0

    def __init__(self, head, body):
        lines = head.decode("latin-1").split("\r\n")
        self.method, self.path, _ = lines[0].split(" ", 2)
        self.headers = {}
        for line in lines[1:]:
            name, value = line.split(":", 1)
            name, value = name.strip().lower(), value.strip()
            # The bytes of a header are UTF-8 by agreement.
            value = value.encode("latin-1").decode("utf-8", "replace")
            if name in self.headers:
                value = self.headers[name] + ", " + value
            self.headers[name] = value
        self.body = body
        self.time = time.time()

    def count(self):
        Request.number += 1
        self.number = Request.number


class Connection(asyncio.Protocol):
    def __init__(self, script, journal, loop):
        self.script, self.journal, self.loop = script, journal, loop
        self.buffer = bytearray()
        self.busy = False       # a request has not been answered yet
        self.continued = False  # 100 Continue was sent for this one
        self.transport = None

    def connection_made(self, transport):
        self.transport = transport
        transport.get_extra_info("socket").setsockopt(
            socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data):
        self.buffer += data
        self.work()

    def work(self):
        while not self.busy and not self.transport.is_closing():
            request = self.take()
            if request is None:
                return
            self.serve(request)

    def take(self):
        """The next whole request out of the buffer, or None."""
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return None
        head = bytes(self.buffer[:end])
        request = Request(head, b"")
        length = int(request.headers.get("content-length", "0"))
        if len(self.buffer) < end + 4 + length:
            if "expect" in request.headers and not self.continued:
                self.continued = True
                self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            return None
        request.body = bytes(self.buffer[end + 4:end + 4 + length])
        del self.buffer[:end + 4 + length]
        self.continued = False
        return request

    def serve(self, request):
        if request.path.startswith("/_"):
            self.control(request)
            return
        request.count()
        self.busy = True
        word, _, rest = self.script.next(
            request.path, request.headers).partition(":")
        if word.isdigit():
            self.answer(request, int(word), *options(rest))
        else:
            getattr(self, "do_" + word)(request, rest)

    def control(self, request):
        answer = {}
        what = json.loads(request.body) if request.body else {}
        if request.path == "/_script":
            self.script.set(what["path"], what["behaviour"])
        elif request.path == "/_release":
            self.script.release(what["path"])
        elif request.path == "/_state":
            answer = self.script.state()
        self.send(200, json.dumps(answer).encode())

    # -- behaviours

    def do_hang(self, request, _):
        self.journal.write(request, 0)

    def do_hold(self, request, _):
        self.script.held[request.path].append((self, request))

    def do_reset(self, request, _):
        self.journal.write(request, 0)
        self.transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def do_close(self, request, _):
        self.journal.write(request, 0)
        self.transport.close()

    def do_slow(self, request, seconds):
        self.loop.call_later(float(seconds), self.answer, request, 200)

    def do_drip(self, request, seconds):
        self.drip(request, deque(message(200, b"ok")), float(seconds))

    def drip(self, request, left, seconds):
        if not self.transport.is_closing():
            self.transport.write(bytes([left.popleft()]))
        if self.transport.is_closing() or not left:
            self.journal.write(request, 0 if left else 200)
            self.ready()
            return
        self.loop.call_later(seconds, self.drip, request, left, seconds)

    def do_big(self, request, size):
        self.answer(request, 200, (), b"x" * int(size))

    def do_garbage(self, request, _):
        self.journal.write(request, 0)
        self.transport.write(b"\x00\xffnot HTTP at all\r\n\r\n")
        self.transport.close()

    # -- answers

    def answer(self, request, status, headers=(), body=b"ok"):
        if self.transport.is_closing():
            status = 0
        self.journal.write(request, status)
        if status:
            self.send(status, body, headers)
        self.ready()

    def send(self, status, body, headers=()):
        self.transport.write(message(status, body, headers))

    def ready(self):
        self.busy = False
        self.work()


def options(text):
    """"retry-after=3:body=no" as headers and a body."""
    headers, body = [], b"ok"
    for part in filter(None, text.split(":")):
        name, _, value = part.partition("=")
        if name == "body":
            body = value.encode()
        else:
            headers.append((name, value.replace("%3a", ":")))
    return headers, body


def message(status, body, headers=()):
    lines = ["HTTP/1.1 %d %s" % (status, REASON.get(status, "Scripted"))]
    lines += ["%s: %s" % header for header in headers]
    if status != 204:
        lines.append("Content-Length: %d" % len(body))
    else:
        body = b""
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


async def run(args):
    loop = asyncio.get_running_loop()
    script = Script(args.poison)
    journal = Journal(args.log, args.body == "full")
    server = await loop.create_server(
        lambda: Connection(script, journal, loop), args.listen, args.port,
        backlog=1024)
    with open(args.port_file + ".new", "w", encoding="ascii") as file:
        file.write("%d\n" % server.sockets[0].getsockname()[1])
    os.rename(args.port_file + ".new", args.port_file)
    stop = loop.create_future()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(
            number, lambda: stop.done() or stop.set_result(None))
    await stop
    server.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port-file", required=True)
    parser.add_argument("--log", required=True)
    parser.add_argument("--body", choices=("none", "full"), default="none")
    parser.add_argument("--port", type=int, default=0,
                        help="only to come back on the port it had before")
    parser.add_argument("--listen", default="127.0.0.1")
    parser.add_argument("--poison")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
