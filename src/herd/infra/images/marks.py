"""Marked blocks: the parts of a Dockerfile that Herd writes, between two marks. What stands outside is never touched.

    # >>> herd system 3f1c52aa0b17: from image.toml, by `herd image lock python` >>>
    RUN apt-get update && …
    # <<< herd system <<<

A person may move a block with its marks; it is written again where it stands. The seal in the first mark is a hash of
what the block was made from and of its lines, so that whoever changes either without the other is told so, without a
network and without making the block again. A block whose body is empty is taken out with its marks.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

SEAL_LENGTH = 12
NAME = r"[a-z][a-z0-9-]{0,29}"

Place = Literal["before the first FROM", "after the first FROM", "after the last FROM"]
"""Where a block goes that stands nowhere yet."""

_BEGIN = re.compile(rf"# >>> herd ({NAME}) ([0-9a-f]{{{SEAL_LENGTH}}}): (.*) >>>")
_END = re.compile(rf"# <<< herd ({NAME}) <<<")
# What was meant as a mark; a mark that somebody has changed is no comment like others.
_ALIKE = re.compile(r"\s*#\s*(>>>|<<<)\s*herd\b")
_FROM = re.compile(r"\s*FROM\s", re.IGNORECASE)
_STAGE = re.compile(r"\s*FROM\s+(?:--\S+\s+)*(?P<base>\S+)(?:\s+AS\s+(?P<name>\S+))?\s*$", re.IGNORECASE)
_CONTINUED = re.compile(r"\\\s*$")
_COMMENT = re.compile(r"\s*(#|$)")
_HEREDOC = re.compile(r"<<(-?)(['\"]?)([A-Za-z_][A-Za-z0-9_]*)\2")


class BrokenMarks(ValueError):
    """The marks do not come in pairs; the message names the line, and what to do."""


@dataclass(frozen=True)
class Block:
    """One marked block. `body`: its lines, without the marks. `first`, `last`: numbers of the marks' lines, from 0."""

    name: str
    seal: str
    body: str
    first: int
    last: int

    def is_of(self, made_from: Iterable[bytes]) -> bool:
        """Is the block as it was written, and written from exactly this?"""
        return self.seal == seal(made_from, self.body)


def seal(made_from: Iterable[bytes], body: str) -> str:
    """The hash in the first mark, of the inputs in their order and of the block's lines."""
    digest = hashlib.sha256()
    for part in (*made_from, body.encode()):
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()[:SEAL_LENGTH]


def blocks(text: str) -> dict[str, Block]:
    """The blocks of a Dockerfile by name, in its order. Raises BrokenMarks."""
    seen: dict[str, Block] = {}
    lines = text.split("\n")
    begun: tuple[int, str, str] | None = None
    for number, line in enumerate(lines):
        if begin := _BEGIN.fullmatch(line):
            if begun:
                raise BrokenMarks(_broken(begun[0], f"the block {begun[1]} begins and does not end"))
            if begin[1] in seen:
                raise BrokenMarks(_broken(number, f"there is a second block {begin[1]}"))
            begun = (number, begin[1], begin[2])
        elif end := _END.fullmatch(line):
            if not begun or begun[1] != end[1]:
                raise BrokenMarks(_broken(number, f"the block {end[1]} ends and does not begin"))
            body = "\n".join(lines[begun[0] + 1 : number])
            seen[begun[1]] = Block(begun[1], begun[2], body, begun[0], number)
            begun = None
        elif _ALIKE.match(line):
            raise BrokenMarks(_broken(number, "a mark of Herd was changed"))
    if begun:
        raise BrokenMarks(_broken(begun[0], f"the block {begun[1]} begins and does not end"))
    return seen


def _broken(number: int, what: str) -> str:
    return f"line {number + 1}: {what}; take all of the block out, with its marks, and it is written again"


def put(text: str, name: str, body: str, made_from: Iterable[bytes], source: str, place: Place) -> str:
    """The Dockerfile with this block: where it stands, else at `place`; taken out where `body` is empty.

    `source`: what it was made from and by which command, for the reader. Raises BrokenMarks, and ValueError where the
    file has no FROM. Writing the same block again gives the same text.
    """
    body = body.strip("\n")
    if any(_BEGIN.fullmatch(line) or _END.fullmatch(line) or _ALIKE.match(line) for line in body.split("\n")):
        raise ValueError("a block cannot hold a mark")
    if not source.isprintable():
        raise ValueError("a mark is one line")
    here = blocks(text).get(name)
    lines = _lines(text)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    if not body:
        return text if here is None else "".join([*lines[: here.first], *lines[here.last + 1 :]])
    first = f"# >>> herd {name} {seal(made_from, body)}: {source} >>>\n"
    written = [first, *(f"{line}\n" for line in body.split("\n")), f"# <<< herd {name} <<<\n"]
    if here is not None:
        return "".join([*lines[: here.first], *written, *lines[here.last + 1 :]])
    at = _place(lines, place)
    return "".join([*lines[:at], *written, *lines[at:]])


def _place(lines: list[str], place: Place) -> int:
    """The number of the line before which a new block goes."""
    stages = _stages(lines)
    if not stages:
        raise ValueError("has no FROM, so it is not a Dockerfile")
    first, last = stages[0], stages[-1]
    return {"before the first FROM": first[0], "after the first FROM": first[1], "after the last FROM": last[1]}[place]


def stages(text: str) -> int:
    """How many stages a Dockerfile has."""
    return len(_stages(_lines(text)))


def last_builds_on_first(text: str) -> bool:
    """Does the last stage begin with the first one, directly or through others? So it has what that one has."""
    lines = _lines(text)
    froms = [_STAGE.match(" ".join(lines[start:end]).replace("\\\n", " ")) for start, end in _stages(lines)]
    named = [(match["base"].lower(), (match["name"] or "").lower()) for match in froms if match]
    if len(named) < 2 or len(named) != len(froms) or not named[0][1]:
        return False
    of = named[-1][0]
    for base, name in reversed(named[1:-1]):
        of = base if name and name == of else of
    return of == named[0][1]


def _lines(text: str) -> list[str]:
    """With their ends. Docker ends lines at a line feed alone."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def _stages(lines: list[str]) -> list[tuple[int, int]]:
    """The first line of each FROM, and the line after it. FROM within another instruction's lines is none."""
    number = 0
    at = []
    while number < len(lines):
        start = number
        if _COMMENT.match(lines[number]):
            number += 1
            continue
        heredocs = _HEREDOC.findall(lines[number])
        while number < len(lines) - 1 and (
            _CONTINUED.search(lines[number]) or (number > start and _COMMENT.match(lines[number]))
        ):
            number += 1
            heredocs += _HEREDOC.findall(lines[number])
        number += 1
        for dash, _, word in heredocs:
            while number < len(lines) and (lines[number].lstrip("\t") if dash else lines[number]).rstrip("\n") != word:
                number += 1
            number += 1
        if _FROM.match(lines[start]):
            at.append((start, number))
    return at
