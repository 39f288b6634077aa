"""A failed build as one message, from what two versions of BuildKit print."""

from __future__ import annotations

import pytest

from localcloud.docker import build_log

OLD = """#1 [internal] load build definition from Dockerfile
#1 transferring dockerfile: 83B done
#5 [deps 2/3] RUN apt-get install -y libfoo-dev
#5 sha256:3b1a5f7b8c9d0e1f2a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7f8091
#5 0.311 Reading package lists...
#5 0.422 E: Unable to locate package libfoo-dev
#5 ERROR: executor failed running [/bin/sh -c apt-get install -y libfoo-dev]: exit code: 100
------
 > [deps 2/3] RUN apt-get install -y libfoo-dev:
------
executor failed running [/bin/sh -c apt-get install -y libfoo-dev]: exit code: 100"""

NEW = """#0 building with "default" instance using docker driver
#6 [2/4] RUN gcc --version
#6 0.211 /bin/sh: 1: gcc: not found
#6 ERROR: process "/bin/sh -c gcc --version" did not complete successfully: exit code: 127
------
 > [2/4] RUN gcc --version:
0.211 /bin/sh: 1: gcc: not found
------
Dockerfile:2
ERROR: failed to solve: process "/bin/sh -c gcc --version" did not complete successfully: exit code: 127"""

NO_BASE = """#3 [internal] load metadata for docker.io/library/python:3.13.15-slim-trixie
#3 ERROR: failed to do request: Head "https://registry-1.docker.io/v2/library/python/manifests/3.13.15-slim-trixie": x
------
ERROR: failed to solve: python:3.13.15-slim-trixie: failed to resolve source metadata for docker.io/library/python"""


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        (OLD, ["RUN apt-get install -y libfoo-dev: failed", "    Reading package lists...",
               "    E: Unable to locate package libfoo-dev",
               "Debian has no package libfoo-dev: correct its name in the Dockerfile, or run `apt-get update` in the "
               "same RUN"]),
        (NEW, ["RUN gcc --version: failed", "    /bin/sh: 1: gcc: not found",
               "the image has no program gcc at this step: install the package that brings it in a RUN above"]),
        (NO_BASE, ["python:3.13.15-slim-trixie: failed to resolve source metadata for docker.io/library/python",
                   "the base image cannot be had: correct the FROM line (or its ARG), or pull it first"]),
        ("", ["it says nothing"]),
    ],
)  # fmt: skip
def test_the_step_its_last_lines_and_what_to_do(printed: str, expected: list[str]) -> None:
    assert build_log.message(printed.splitlines()).splitlines() == expected


@pytest.mark.parametrize(
    ("line", "advice"),
    [
        ("error: failed to write: No space left on device (os error 28)", "the disk of Docker is full"),
        ("ERROR: write /var/lib/docker/x: no space left on device", "the disk of Docker is full"),
        ("error: Hash mismatch for `pandas==3.1.1`", "the lock file is out of step"),
        ("  Because nosuch was not found in the package registry and you require nosuch, ...",
         "the package index has no nosuch"),
        ("error: dns error: failed to lookup address information", "a name did not resolve"),
        ("error sending request for url (https://mirror.example/simple/): tcp connect error",
         "a package repository did not answer"),
        ("invalid peer certificate: UnknownIssuer", "SSL_CERT_FILE"),
        ("exec /bin/sh: exec format error", "another processor"),
    ],
)  # fmt: skip
def test_advice_for_each_kind_of_fault(line: str, advice: str) -> None:
    printed = ["#9 [stage-1 4/9] RUN something", f"#9 1.1 {line}", "#9 ERROR: exit code: 1", "ERROR: exit code: 1"]
    assert advice in build_log.message(printed)


def test_a_long_log_ends_in_its_last_lines() -> None:
    printed = [
        "#4 [2/2] RUN make",
        *(f"#4 {n}.0 line {n}" for n in range(500)),
        "#4 ERROR: exit code: 2",
        "exit code: 2",
    ]
    said = build_log.message(printed).splitlines()
    assert said[0] == "RUN make: failed" and said[-1].strip() == "line 499"
    assert len(said) == build_log.LAST_LINES + 1
