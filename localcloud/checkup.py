"""What is damaged in the kept state of a cloud that does not run, found without changing anything."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path


def problems(home: Path) -> Iterator[str]:
    """One line for each file below `home` that cannot be read."""
    yield from _journal(home / "journal")
    for path in sorted(home.glob("*/*.sqlite")):
        yield from _database(path)


def _journal(folder: Path) -> Iterator[str]:
    from localcloud.journal.lines import File, JournalDamaged

    if not (folder / "requests").exists():
        return
    if not (folder / "key").exists():
        yield f"{folder / 'key'} is missing, without which {folder / 'requests'} cannot be read"
    with tempfile.TemporaryDirectory() as scratch:
        # Opening cuts off a last line that is not whole: a copy is opened.
        copy = shutil.copy2(folder / "requests", Path(scratch) / "requests")
        try:
            opened, _ = File.open(Path(copy), "")
        except JournalDamaged as damage:
            yield str(damage).replace(str(copy), str(folder / "requests")).rstrip(". ")
        else:
            opened.close()


def _database(path: Path) -> Iterator[str]:
    try:
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            said = str(connection.execute("PRAGMA quick_check").fetchone()[0])
        finally:
            connection.close()
    except sqlite3.Error as error:
        said = str(error)
    if said != "ok":
        yield f"{path}: {said}"
