"""Mutated requests in large numbers: what moto reads is what was judged. Writes its part of docs/soak-report.md.

python -m soak.reading                  20,000 examples of each of the two tests
python -m soak.reading --examples 2000
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from datetime import UTC, datetime

from soak import sections
from soak.__main__ import REPORT
from soak.record import ROOT

EXAMPLES = 20_000
TESTS = ("tests/localcloud/test_request_reading.py", "tests/localcloud/iam/test_iam_mutations.py")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--examples", type=int, default=EXAMPLES, help="of each test (default: %(default)s)")
    options = parser.parse_args()
    began = time.monotonic()
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "--timeout", "0", *TESTS]
    environment = {**os.environ, "HERD_READING_EXAMPLES": str(options.examples)}
    status = subprocess.run(command, cwd=ROOT, env=environment).returncode
    minutes = (time.monotonic() - began) / 60
    outcome = "no difference, no answer of 500" if status == 0 else f"**failed** (pytest's status {status})"
    sections.write(REPORT, "reading", [
        "## Mutated requests", "",
        f"{options.examples:,} mutated requests read by moto and by the local cloud, and {options.examples:,} carried "
        f"out by a role that may do a part of it: {outcome}. {minutes:.0f} minutes, {datetime.now(UTC):%Y-%m-%d}.",
    ])  # fmt: skip
    return status


if __name__ == "__main__":
    sys.exit(main())
