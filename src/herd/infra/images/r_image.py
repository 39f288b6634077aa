"""An R image: the two blocks of its Dockerfile that `herd image lock` writes, and whether they follow from renv.lock.

`r-base`, before the first FROM: the base for the lock's version of R, and the distribution that this base is of. A team
with a base of its own takes the block out and writes the two lines by hand:

    ARG BASE=registry.example.com/our-r:4.5.1
    ARG DISTRIBUTION=debian-13

`r-libraries`, after the first FROM: what the lock's packages need of the system. Reading and checking need no network.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from herd.infra.images import marks
from herd.infra.images.marks import BrokenMarks
from herd.packages import renv
from herd.packages.renv import Lock
from herd.packages.system_libraries import Distribution, Needed, rules

BASE_BLOCK, LIBRARIES_BLOCK = "r-base", "r-libraries"

BASES: Mapping[str, Distribution] = {
    **{f"4.2.{patch}": Distribution("ubuntu", "22.04") for patch in (2, 3)},
    **{f"4.3.{patch}": Distribution("ubuntu", "22.04") for patch in range(4)},
    **{f"4.4.{patch}": Distribution("ubuntu", "22.04") for patch in range(2)},
    **{f"4.4.{patch}": Distribution("ubuntu", "24.04") for patch in (2, 3)},
    **{f"4.5.{patch}": Distribution("ubuntu", "24.04") for patch in range(4)},
    **{f"4.6.{patch}": Distribution("ubuntu", "24.04") for patch in range(2)},
}
"""R's version -> what the image rocker/r-ver of that version is made of (rocker-org/rocker-versioned2, June 2026)."""

_ARG = re.compile(r"^\s*ARG\s+(BASE|DISTRIBUTION)=[\"']?([^\s\"']*)[\"']?\s*$", re.MULTILINE | re.IGNORECASE)
_DISTRIBUTION = re.compile(r"(debian|ubuntu)-(\d{2}(?:\.\d{2})?)")


class OutOfStep(ValueError):
    """Lock and Dockerfile do not go together, one line a problem; each begins with the file's name."""


@dataclass(frozen=True)
class Base:
    """`own`: the team wrote it, and Herd does not."""

    image: str
    distribution: Distribution
    own: bool


def base(dockerfile: str, lock: Lock) -> Base:
    """The base that the image of a lock is built on. Raises OutOfStep, BrokenMarks."""
    written = dict(_ARG.findall(_without(dockerfile, BASE_BLOCK)))
    written = {name.upper(): value for name, value in written.items()}
    if "BASE" in written:
        match = _DISTRIBUTION.fullmatch(written.get("DISTRIBUTION", ""))
        if match is None:
            shown = repr(written["DISTRIBUTION"]) if "DISTRIBUTION" in written else "missing"
            raise OutOfStep(
                f"Dockerfile: ARG DISTRIBUTION is {shown}; beside a base of your own it says what that is made of, "
                "because libraries have other names elsewhere: ARG DISTRIBUTION=debian-13 or ubuntu-24.04"
            )
        return Base(written["BASE"], Distribution(match[1], match[2]), own=True)
    if lock.r not in BASES:
        known = sorted(BASES, key=renv.ordered)
        near = [version for version in known if version.startswith(f"{lock.r_minor}.")] or known
        raise OutOfStep(
            f"{renv.FILE}: R {lock.r} has no base that this Herd knows ({known[0]} to {known[-1]}). Lock with R "
            f"{near[-1]}, or write your own base before the first FROM: ARG BASE=… and ARG DISTRIBUTION=debian-13"
        )
    return Base(f"rocker/r-ver:{lock.r}", BASES[lock.r], own=False)


def write(dockerfile: str, content: bytes, lock: Lock, needed: Needed, image: str) -> str:
    """The Dockerfile with both blocks as `lock`, whose bytes are `content`, asks for. Raises OutOfStep, BrokenMarks."""
    chosen = base(dockerfile, lock)
    command = f"from {renv.FILE}, by `herd image lock {image}`"
    if not chosen.own:
        body = f"ARG BASE={chosen.image}\nARG DISTRIBUTION={chosen.distribution}"
        made_from = [lock.r.encode()]
        dockerfile = marks.put(dockerfile, BASE_BLOCK, body, made_from, command, "before the first FROM")
    body, made_from = _libraries(needed, chosen), [content, str(chosen.distribution).encode()]
    return marks.put(dockerfile, LIBRARIES_BLOCK, body, made_from, command, "after the first FROM")


def check(dockerfile: str, content: bytes, image: str) -> Lock:
    """The lock of an R image, after a look whether the Dockerfile was written from it. Needs no network.

    Raises OutOfStep with every problem.
    """
    try:
        lock = renv.read(content)
    except renv.LockError as error:
        raise OutOfStep("\n".join(f"{renv.FILE}: {line}" for line in str(error).splitlines())) from None
    try:
        chosen, blocks = base(dockerfile, lock), marks.blocks(dockerfile)
    except BrokenMarks as error:
        raise OutOfStep(f"Dockerfile: {error}") from None
    wanted = {LIBRARIES_BLOCK: [content, str(chosen.distribution).encode()]}
    if not chosen.own:
        wanted[BASE_BLOCK] = [lock.r.encode()]
    again = f"`herd image lock {image}` writes it"
    problems = []
    for name, made_from in sorted(wanted.items()):
        if name not in blocks:
            problems.append(f"Dockerfile: has no block {name}; {again}")
        elif not blocks[name].is_of(made_from):
            problems.append(f"Dockerfile: the block {name} is not as it was written from this {renv.FILE}; {again}")
    if problems:
        raise OutOfStep("\n".join(problems))
    return lock


def libraries(dockerfile: str) -> frozenset[str]:
    """Debian's packages that the block installs now. Raises BrokenMarks."""
    block = marks.blocks(dockerfile).get(LIBRARIES_BLOCK)
    lines = block.body.splitlines() if block else []
    return frozenset(match[1] for line in lines if (match := re.fullmatch(r"    ([a-z0-9][a-z0-9+.-]+) \\", line)))


def _libraries(needed: Needed, chosen: Base) -> str:
    """The lines of the block: each library below the R packages that need it."""
    lines = [
        f"# Libraries of the system that packages of {renv.FILE} need, for {chosen.distribution}, by the rules of",
        f"# rstudio/r-system-requirements of {rules().date}; above each one, who needs it.",
    ]
    for command, users in needed.before.items():
        lines += [f"# {', '.join(users)}", f"RUN {command}"]
    if needed.libraries:
        lines.append("RUN apt-get update && apt-get install -y --no-install-recommends \\")
        for library, users in needed.libraries.items():
            lines += [f"    # {', '.join(users)}", f"    {library} \\"]
        lines.append("    && rm -rf /var/lib/apt/lists/*")
    else:
        lines.append("# None is needed.")
    for command, users in needed.after.items():
        lines += [f"# {', '.join(users)}", f"RUN {command}"]
    return "\n".join(lines)


def _without(dockerfile: str, name: str) -> str:
    block = marks.blocks(dockerfile).get(name)
    lines = dockerfile.split("\n")
    return dockerfile if block is None else "\n".join([*lines[: block.first], *lines[block.last + 1 :]])
