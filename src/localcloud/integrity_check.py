"""What of the kept state of a cloud that does not run cannot be used, found without changing anything.

The parts are looked at as a start would: copies of the small files are opened, the store only read.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from localcloud.config import LocalCloudError
from localcloud.state import LEDGER, STORE, refuse_without_journal, refuse_without_ledger
from localcloud.unreadable import Unreadable, using


@dataclass(frozen=True)
class Problem:
    """One thing that stops the next start. `part` is what can be gone on without: "all", "runtime", "images".

    It is "" where nothing is lost, and time or a person puts it right.
    """

    text: str
    part: str


def problems(home: Path) -> Iterator[Problem]:
    """All that stops the next start, as far as the kept state does."""
    requests = 0
    with tempfile.TemporaryDirectory() as scratch:
        try:
            requests = _look_at_declared(home, Path(scratch))
        except LocalCloudError as error:
            yield _problem(str(error).replace(scratch, str(home)).rstrip(". "), error, "all")
    from localcloud.images.names import read_names
    from localcloud.runtime.objects import lost, unknown
    from localcloud.runtime.store import Looked, is_whole, look

    try:
        read_names(home / "images" / "images")
    except LocalCloudError as error:
        yield _problem(str(error), error, "images")
    try:
        with using(home / STORE):
            if look(home / STORE, requests > 0):
                objects = home / "runtime" / "objects"
                with closing(Looked(home / STORE)) as store:
                    yield from (Problem(text, "runtime") for text in lost(store, objects))
                    if is_whole(store.file):
                        yield from (Problem(text, "runtime") for text in unknown(store, objects))
    except LocalCloudError as error:
        yield _problem(str(error), error, "runtime")


def _problem(text: str, error: LocalCloudError, part: str) -> Problem:
    passing = isinstance(error, Unreadable) and not error.reason.is_loss
    return Problem(text, "" if passing else part)


def _look_at_declared(home: Path, scratch: Path) -> int:
    """Open copies of journal and ledger; how many requests there are. Raises what a start would."""
    refuse_without_journal(home)
    if not (home / "journal/requests").exists():
        return 0
    from localcloud.journal import Journal
    from localcloud.plugins.ledger import Ledger

    for path in (home / "journal/requests", home / "journal/key", *(home / "plugins").glob("ledger.*")):
        with using(path):
            copy = scratch / path.relative_to(home)
            copy.parent.mkdir(exist_ok=True)
            if path.exists():
                shutil.copy2(path, copy)
    journal = Journal(scratch / "journal")
    try:
        refuse_without_ledger(home, journal.highest_cause)
        if (home / LEDGER).exists():
            Ledger(scratch / LEDGER).close()
        return len(journal)
    finally:
        journal.close()
