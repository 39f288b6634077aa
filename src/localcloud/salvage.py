"""Going on without what is lost, because a person wants it: the rest stays in place, a copy of all of it beside it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from localcloud import integrity_check
from localcloud.config import Config, LocalCloudError
from localcloud.runtime.objects import why_not_whole
from localcloud.runtime.store import TABLES_IN_ORDER, Store, reading
from localcloud.state import FOLDERS, LOST, STORE
from localcloud.unreadable import using


def set_aside(config: Config) -> Path | None:
    """Make the next start possible: where the copy of what there was lies, None where nothing is lost.

    Without journal or ledger nothing is left that the rest belongs to, so all of it goes. Of the runtime everything
    stays that can be read; images are built again. Raises AlreadyRunning, and LocalCloudError for what will pass.
    """
    with config.exclusively(), using(config.home):
        problems = list(integrity_check.problems(config.home))
        if passing := [problem.text for problem in problems if not problem.part]:
            raise LocalCloudError("; ".join(passing))
        if not problems:
            return None
        aside = config.home / time.strftime("set-aside-%Y%m%d-%H%M%S")
        aside.mkdir(mode=0o700)
        lost = {problem.part for problem in problems}
        for name in FOLDERS if "all" in lost else lost & {"images"}:
            if (config.home / name).exists():
                (config.home / name).rename(aside / name)
        if "all" not in lost:
            # Also where only images are lost: what was made of them is then looked for.
            _salvage(config.home, aside)
        return aside


def _salvage(home: Path, aside: Path) -> None:
    """Put a store with all that can be read in the place of the old one, which stays aside."""
    runtime, old = home / "runtime", aside / "runtime"
    draft = aside / "what-is-left"
    draft.mkdir(mode=0o700)
    (draft / "objects").mkdir()
    objects = runtime / "objects"
    new = Store(draft / "runtime.sqlite")
    try:
        with new.changing() as file:
            for table in TABLES_IN_ORDER:
                for row in _rows(home / STORE, table):
                    size = row[5] if table == "object" else row[-1]
                    if table in ("object", "piece") and row[4] and why_not_whole(objects / row[4][:2] / row[4], size):
                        continue
                    places = ", ".join("?" * len(row))
                    file.execute(f"INSERT OR IGNORE INTO {table} VALUES ({places})", row)
            # An object of several pieces, one of which is lost, is lost.
            there = "SELECT total(size) FROM piece AS p WHERE p.bucket = o.bucket AND p.key = o.key"
            file.execute(
                "DELETE FROM object AS o WHERE content IS NULL AND size > 0 "
                f"AND size <> ({there} AND p.version = o.version)"
            )
            file.execute(
                "DELETE FROM piece WHERE (bucket, key, version) NOT IN (SELECT bucket, key, version FROM object)"
            )
        new.note_loss(LOST)
        names = "SELECT content FROM object WHERE content IS NOT NULL UNION SELECT content FROM piece"
        for (content,) in new.read(names):
            place = draft / "objects" / content[:2] / content
            place.parent.mkdir(exist_ok=True)
            try:
                os.link(objects / content[:2] / content, place)
            except OSError:
                shutil.copy2(objects / content[:2] / content, place)
    finally:
        new.close()
    if runtime.exists():
        runtime.rename(old)
    draft.rename(runtime)


def _rows(path: Path, table: str) -> Iterator[tuple[Any, ...]]:
    """The rows of a table, from both of its ends up to what cannot be read."""
    if not path.is_file():
        return
    seen = set()
    for order in ("ASC", "DESC"):
        with suppress(sqlite3.Error), closing(reading(path)) as file:
            columns = [row[1] for row in file.execute(f"PRAGMA table_info({table})")]
            key = [row[1] for row in file.execute(f"PRAGMA table_info({table})") if row[5]] or ["rowid"]
            if not columns:
                return
            by = ", ".join(f"{name} {order}" for name in key)
            for row in file.execute(f"SELECT * FROM {table} ORDER BY {by}"):
                if row not in seen:
                    seen.add(row)
                    yield row
