#!/usr/bin/python3
"""
test/receiver/forward.py

A way to a server that a test can block: what comes to a TCP port goes to a
Unix socket, and back.  Stopped (SIGSTOP) it carries nothing, while both
ends' connections stay up; woken, it carries on.

    forward.py --port-file FILE --to SOCKET

SPDX-License-Identifier: PostgreSQL
"""

import argparse
import asyncio
import os


async def carry(reader, writer):
    """Until one end has gone; then the other one is told."""
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    writer.close()


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port-file", required=True)
    parser.add_argument("--to", required=True)
    args = parser.parse_args()

    async def connected(reader, writer):
        try:
            there = await asyncio.open_unix_connection(args.to)
        except OSError:
            writer.close()
            return
        await asyncio.gather(carry(reader, there[1]), carry(there[0], writer))

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    with open(args.port_file + ".new", "w", encoding="ascii") as file:
        file.write("%d\n" % server.sockets[0].getsockname()[1])
    os.rename(args.port_file + ".new", args.port_file)
    await server.serve_forever()


asyncio.run(main())
