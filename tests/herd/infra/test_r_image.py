"""An R image's Dockerfile: its marked blocks are written from the lock, and found where they are not of it any more."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from herd.infra.images import build_context, r_image
from herd.infra.images.r_image import OutOfStep
from herd.packages import renv
from herd.packages.system_libraries import Distribution, needed

DOCKERFILE = "# by hand\nFROM ${BASE} AS system\nRUN echo by hand\nFROM system\nUSER 10001\n"
OWN = "ARG BASE=our/r:4.5\nARG DISTRIBUTION=debian-13\n"


def lock(r: str = "4.5.1", version: str = "6.2.1") -> bytes:
    package = {"Package": "curl", "Version": version, "Source": "Repository", "SystemRequirements": "libcurl"}
    repositories = [{"Name": "CRAN", "URL": "https://cran.example.com"}]
    return json.dumps({"R": {"Version": r, "Repositories": repositories}, "Packages": {"curl": package}}).encode()


def written(dockerfile: str = DOCKERFILE, content: bytes | None = None) -> str:
    content = lock() if content is None else content
    known = renv.read(content)
    needs = needed({"curl": "libcurl"}, r_image.base(dockerfile, known).distribution)
    return r_image.write(dockerfile, content, known, needs, "r")


def test_what_is_written() -> None:
    text = written()
    assert re.sub(r" [0-9a-f]{12}:", ":", text) == (
        "# by hand\n"
        "# >>> herd r-base: from renv.lock, by `herd image lock r` >>>\n"
        "ARG BASE=rocker/r-ver:4.5.1\n"
        "ARG DISTRIBUTION=ubuntu-24.04\n"
        "# <<< herd r-base <<<\n"
        "FROM ${BASE} AS system\n"
        "# >>> herd r-libraries: from renv.lock, by `herd image lock r` >>>\n"
        "# Libraries of the system that packages of renv.lock need, for ubuntu-24.04, by the rules of\n"
        "# rstudio/r-system-requirements of 2026-07-23; above each one, who needs it.\n"
        "RUN apt-get update && apt-get install -y --no-install-recommends \\\n"
        "    # curl\n"
        "    libcurl4-openssl-dev \\\n"
        "    && rm -rf /var/lib/apt/lists/*\n"
        "# <<< herd r-libraries <<<\n"
        "RUN echo by hand\n"
        "FROM system\n"
        "USER 10001\n"
    )
    assert written(text) == text
    assert r_image.libraries(text) == {"libcurl4-openssl-dev"}
    r_image.check(text, lock(), "r")


def test_what_is_outside_of_the_marks_stays() -> None:
    moved = written().replace("RUN echo by hand\n", "RUN echo other\n")
    again = written(moved, lock("4.4.1", "6.3.0"))
    assert "RUN echo other\n" in again and "ARG BASE=rocker/r-ver:4.4.1\nARG DISTRIBUTION=ubuntu-22.04\n" in again


def test_a_base_of_the_team_is_left_alone() -> None:
    text = written(OWN + DOCKERFILE)
    assert text.startswith(OWN) and "r-base" not in text
    assert r_image.base(text, renv.read(lock())) == r_image.Base("our/r:4.5", Distribution("debian", "13"), own=True)
    r_image.check(text, lock(), "r")


OUT_OF_STEP = {
    "never written": (DOCKERFILE, lock(), ["Dockerfile: has no block r-base; `herd image lock r` writes it",
                                           "Dockerfile: has no block r-libraries; `herd image lock r` writes it"]),
    "another package": (written(), lock(version="6.3.0"), ["Dockerfile: the block r-libraries is not as it was"]),
    "another R": (written(), lock("4.5.2"), ["the block r-base is not", "the block r-libraries is not"]),
    "a library by hand": (written().replace("# curl\n    libcurl4-openssl-dev", "libpng-dev"), lock(),
                          ["the block r-libraries is not as it was written from this renv.lock"]),
    "another base by hand": (written().replace("r-ver:4.5.1", "r-ver:4.5.2"), lock(), ["the block r-base is not"]),
    "another distribution": (written(OWN + DOCKERFILE).replace("debian-13", "debian-12"), lock(),
                             ["the block r-libraries is not"]),
    "broken marks": (written().replace("# <<< herd r-base <<<\n", ""), lock(), ["Dockerfile: line "]),
    "a lock that is none": (written(), b"{}", ["renv.lock: R: is missing", "renv.lock: R, Repositories: is no list",
                                               "renv.lock: Packages: is missing"]),
    "R without a base": (written(), lock("4.9.9"), ["renv.lock: R 4.9.9 has no base that this Herd knows (4.2.2 "]),
    "R whose patch has no base": (written(), lock("4.5.9"), ["Lock with R 4.5.3, or write your own base"]),
    "a base without its distribution": ("ARG BASE=our/r\n" + DOCKERFILE, lock(),
                                        ["Dockerfile: ARG DISTRIBUTION is missing; beside a base of your own"]),
    "a distribution that is none": ("ARG BASE=our/r\nARG DISTRIBUTION=alpine\n" + DOCKERFILE, lock(),
                                    ["Dockerfile: ARG DISTRIBUTION is 'alpine'"]),
}  # fmt: skip


@pytest.mark.parametrize(("dockerfile", "content", "messages"), OUT_OF_STEP.values(), ids=OUT_OF_STEP)
def test_what_is_out_of_step(dockerfile: str, content: bytes, messages: list[str]) -> None:
    with pytest.raises(OutOfStep) as refused:
        r_image.check(dockerfile, content, "r")
    lines = str(refused.value).splitlines()
    assert len(lines) == len(messages)
    assert all(message in line for message, line in zip(messages, lines, strict=True)), lines


def test_no_library_is_a_block_too() -> None:
    known = renv.read(lock())
    text = r_image.write(DOCKERFILE, lock(), known, needed({}, Distribution("ubuntu", "24.04")), "r")
    assert "# None is needed.\n" in text and "apt-get" not in text
    r_image.check(text, lock(), "r")


def test_the_image_of_a_new_project_is_in_step() -> None:
    folder = Path(build_context.PACKAGE, "checkout/project_r/images/r")
    lock = r_image.check((folder / "Dockerfile.txt").read_text(), (folder / "renv.lock.txt").read_bytes(), "r")
    assert {"jsonlite", "plumber", "rmarkdown"} <= lock.packages.keys()
    assert not renv.links_not_locked({name: one.described or {} for name, one in lock.packages.items()})
