#!/usr/bin/python3
"""
test/receiver/kafka_log.py

Writes down what a Kafka topic holds, in the shape of receiver.py's log.

    kafka_log.py --bootstrap HOST:PORT --topic NAME --log FILE
                 [--body none|full] [--follow]

Without --follow it ends when it has read each partition to its end.  Reads
with kcat, only committed records.  status is always 200; key, partition and
offset are added; headers keep their names as they are, lower-cased.

SPDX-License-Identifier: PostgreSQL
"""

import argparse
import base64
import hashlib
import json
import signal
import subprocess
import sys


def raw(text):
    """The bytes behind a string of kcat's JSON, which may not be UTF-8."""
    return b"" if text is None else text.encode("utf-8", "surrogateescape")


def entry(number, record, keep_body):
    body = raw(record.get("payload"))
    names = record.get("headers") or []
    line = {
        "n": number,
        "time": record["ts"] / 1000.0,
        "answered": record["ts"] / 1000.0,
        "method": "KAFKA",
        "path": record["topic"],
        "partition": record["partition"],
        "offset": record["offset"],
        "headers": {
            name.lower(): raw(value).decode("utf-8", "replace")
            for name, value in zip(names[::2], names[1::2])},
        "length": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
        "status": 200,
    }
    if record.get("key") is not None:
        line["key"] = raw(record["key"]).decode("utf-8", "replace")
    if keep_body:
        try:
            line["body"] = body.decode("utf-8")
        except UnicodeDecodeError:
            line["base64"] = base64.b64encode(body).decode()
    return line


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--log", required=True)
    parser.add_argument("--body", choices=("none", "full"), default="none")
    parser.add_argument("--follow", action="store_true")
    args = parser.parse_args()

    command = ["kcat", "-C", "-J", "-u", "-q", "-b", args.bootstrap,
               "-t", args.topic, "-o", "beginning",
               "-X", "isolation.level=read_committed",
               "-X", "fetch.wait.max.ms=10",
               "-X", "topic.metadata.refresh.interval.ms=1000"]
    if not args.follow:
        command.append("-e")
    kcat = subprocess.Popen(command, stdout=subprocess.PIPE)
    signal.signal(signal.SIGTERM, lambda *_: kcat.terminate())
    with open(args.log, "a", buffering=1, encoding="utf-8") as log:
        for number, line in enumerate(kcat.stdout, 1):
            record = json.loads(line.decode("utf-8", "surrogateescape"))
            log.write(json.dumps(entry(number, record, args.body == "full"),
                                 separators=(",", ":")) + "\n")
    sys.exit(0 if args.follow else kcat.wait())


if __name__ == "__main__":
    main()
