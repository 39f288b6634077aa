"""Compacts a journal, and verifies that: the shorter one is carried out beside the whole one, in a process of its own.

    python -m localcloud.journal.compaction < request.json

The cloud goes on meanwhile; what it adds to its journal comes after what is looked at here. Only where every request
that is left answers as it does in the whole journal is the shorter one written.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from localcloud import backends
from localcloud.journal.journal import RequestCodec, carry_out
from localcloud.journal.lines import File, Line
from localcloud.journal.superseded import mentioned, remaining, undone
from localcloud.patches.hooks import KEPT_PACKAGES
from localcloud.server import Server

ROUNDS = 6
"""So often what a line turns out to need is put back, before all is left as it is."""


@dataclass(frozen=True)
class Compacted:
    """What came of it: the lines that are enough, or all of them where nothing was gained or nothing verified."""

    lines: list[Line]
    gone: int
    verified: bool


def compact(codec: RequestCodec, lines: list[Line], server: Server, ended: Callable[[str], bool]) -> Compacted:
    """Find the shorter journal. The server's account must be nobody else's: it is emptied again and again."""
    whole = _answers(codec, server, lines)
    candidates = undone(lines, ended, codec.call)
    needed: set[str] = set()
    for _ in range(ROUNDS):
        shorter = remaining(lines, ended, codec.call, needed)
        if len(shorter) == len(lines) and not any(line.loose for line in shorter):
            return Compacted(lines, 0, True)
        answers = _answers(codec, server, shorter)
        # What a request changed that is refused now has gone with what is left out: it says nothing any more.
        idle = {line.number for line in shorter if line.loose and _refused(answers, line) and not _refused(whole, line)}
        wrong = [line for line in shorter if line.number not in idle and answers[line.number] != whole[line.number]]
        if not wrong:
            left = [line for line in shorter if line.number not in idle]
            return Compacted(left, len(lines) - len(left), True)
        wanted = {cause for line in wrong for cause in mentioned(line, candidates - needed, lines, codec.call)}
        if not wanted:
            break
        needed |= wanted
    return Compacted(lines, 0, False)


def _answers(codec: RequestCodec, server: Server, lines: list[Line]) -> dict[int, str]:
    backends.forget(server.account)
    return {line.number: answer for line, answer in carry_out(codec, server, lines)}


def _refused(answers: dict[int, str], line: Line) -> bool:
    return answers[line.number].startswith("4")


def write(journal: Path, size: int, draft: Path, lines: list[Line], compacted: Compacted) -> None:
    """Write the shorter journal; a journal that could not be compacted remembers it."""
    header, _ = File.read(journal, "", size)
    highest = max([header.next, *(line.number + 1 for line in lines)])
    header = replace(header, next=highest, whole=len(compacted.lines))
    File.write(draft, header, compacted.lines)


def main() -> int:
    request: dict[str, Any] = json.loads(sys.stdin.readline())
    os.nice(15)
    journal, size = Path(request["journal"]), int(request["size"])
    header, lines = File.read(journal, "", size)
    codec = RequestCodec(journal, "", header)
    living = frozenset(request["living"])
    packages = journal.parents[1] / KEPT_PACKAGES
    server = Server(request["account"], request["region"], request["endpoint"], packages=packages)
    compacted = compact(codec, lines, server, lambda cause: cause not in living)
    if os.getppid() == request["parent"]:
        write(journal, size, Path(request["draft"]), lines, compacted)
        print(json.dumps({"gone": compacted.gone, "verified": compacted.verified}), flush=True)
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
