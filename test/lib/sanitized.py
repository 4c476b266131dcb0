"""
test/lib/sanitized.py

The end-to-end tests with a relay that has AddressSanitizer, LeakSanitizer
and UBSan built in (SANITIZE=yes).  What they report goes to files, since
a test may not look at how a relay ends; each of them is a failure.

SPDX-License-Identifier: PostgreSQL
"""

import glob
import os

WANTED = os.environ.get("SANITIZE") == "yes"


def environment(place):
    if not WANTED:
        return {}
    options = "log_path=%s/sanitizer:abort_on_error=1" % place
    return {"OUTBOX_TEST_TIMEOUT": os.environ.get("OUTBOX_TEST_TIMEOUT", "240"),
            "UBSAN_OPTIONS": options + ":print_stacktrace=1",
            "ASAN_OPTIONS": options + ":detect_leaks=1:quarantine_size_mb=16"}


def add_reports(place, result):
    """The result of a test and what its relays reported."""
    reports = glob.glob(place + "/sanitizer.*")
    with open(result.log, "a", encoding="utf-8") as log:
        for name in reports:
            with open(name, encoding="utf-8", errors="replace") as report:
                log.write("not ok - a sanitizer reports\n" + report.read())
    return result._replace(failed=result.failed + len(reports))
