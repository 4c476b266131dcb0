#!/usr/bin/python3
"""
test/receiver/hostile.py

An endpoint that answers with bytes that no HTTP server would send, or talks
TLS with a certificate of its own.

    hostile.py --port-file FILE [--cert FILE --key FILE]

What it does is chosen by the path of the request: see ANSWERS.  Any other
path gets 200.

SPDX-License-Identifier: PostgreSQL
"""

import argparse
import os
import socket
import ssl
import threading

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def repeat(line, megabytes):
    block = line * (65536 // len(line) + 1)
    return lambda: (block for _ in range(megabytes * 16))


# The bytes of the answer, in pieces; then the connection is closed.
ANSWERS = {
    "/status-line": lambda: [b"HTTP/9.9 OK nothing like it\r\n\r\n"],
    "/not-http": lambda: [b"\x16\x03\x01 220 mail.example ESMTP\r\n" * 3],
    "/status-zero": lambda: [b"HTTP/1.1 000 Nil\r\nContent-Length: 0\r\n\r\n"],
    "/status-big": lambda: [b"HTTP/1.1 999999 X\r\nContent-Length: 0\r\n\r\n"],
    "/endless-headers": lambda: (
        piece for part in ([b"HTTP/1.1 200 OK\r\n"],
                           repeat(b"X-More: and more\r\n", 64)())
        for piece in part),
    "/endless-line": lambda: (
        piece for part in ([b"HTTP/1.1 200 OK\r\nX: "], repeat(b"x", 64)())
        for piece in part),
    "/endless-100": repeat(b"HTTP/1.1 100 Continue\r\n\r\n", 64),
    "/half-body": lambda: [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok"],
    "/two-lengths": lambda: [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"
                             b"Content-Length: 3\r\n\r\nok"],
    "TLS": lambda: [b"HTTP/1.1 400 Bad Request\r\n\r\n"],
    "/bad-length": lambda: [b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nok"],
    "/bad-chunk": lambda: [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked"
                           b"\r\n\r\nFFFFFFFFFFFFFFFFF\r\nok"],
    "/control-bytes": lambda: [b"HTTP/1.1 500 \x1b[2J\x07\xff\r\n"
                               b"Content-Length: 6\r\n\r\n\x00\x01\xfe\r\n!"],
}


def read_request(stream):
    """The path, when the whole request has come; of a TLS hello its begin."""
    head = b""
    while b"\r\n\r\n" not in head:
        piece = stream.recv(65536)
        if not piece:
            return None
        head += piece
        if head[0] == 0x16:
            return "TLS"
    head, _, body = head.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    while len(body) < length:
        piece = stream.recv(65536)
        if not piece:
            return None
        body += piece
    return head.split(b" ")[1].decode("latin-1")


def serve(stream, context):
    try:
        if context is not None:
            stream = context.wrap_socket(stream, server_side=True)
        while True:
            path = read_request(stream)
            if path is None:
                return
            for piece in ANSWERS.get(path, lambda: [OK])():
                stream.sendall(piece)
            if path in ANSWERS:
                return
    except OSError:
        pass
    finally:
        stream.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port-file", required=True)
    parser.add_argument("--cert")
    parser.add_argument("--key")
    args = parser.parse_args()
    context = None
    if args.cert:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(args.cert, args.key)
    server = socket.create_server(("127.0.0.1", 0), backlog=256)
    with open(args.port_file + ".new", "w", encoding="ascii") as file:
        file.write("%d\n" % server.getsockname()[1])
    os.rename(args.port_file + ".new", args.port_file)
    while True:
        stream, _ = server.accept()
        threading.Thread(target=serve, args=(stream, context),
                         daemon=True).start()


if __name__ == "__main__":
    main()
