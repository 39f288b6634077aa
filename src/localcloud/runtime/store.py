"""The runtime's file: SQLite, because a killed process must not leave half of anything.

Written ahead (WAL) and synchronised only at checkpoints: a killed process loses nothing, a power cut may lose the last
moments. A file that cannot be read whole is never replaced by an empty one: opening it raises `Unreadable`.

It also is the witness of the journal beside it. With whatever is written here goes the number of the last request that
the journal had by then; a journal that has fewer at the next start has lost its end.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil

from localcloud.unreadable import Reason, Unreadable, using

log = logging.getLogger(__name__)

FORMAT = 2
"""`user_version` of the file; 0 was before there was a table of facts, 1 before that of pieces."""

LEAST_FREE_PAGES = 250
"""A megabyte: less is not worth writing the file anew."""

TABLES = """
CREATE TABLE IF NOT EXISTS object (
    bucket TEXT, key TEXT, version TEXT, place INTEGER, content TEXT, size INTEGER, told TEXT,
    PRIMARY KEY (bucket, key, version)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS object_content ON object (content);
CREATE TABLE IF NOT EXISTS piece (
    bucket TEXT, key TEXT, version TEXT, place INTEGER, content TEXT, start INTEGER, size INTEGER, whole INTEGER,
    PRIMARY KEY (bucket, key, version, place)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS piece_content ON piece (content);
CREATE TABLE IF NOT EXISTS unreferenced (content TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS execution (
    arn TEXT PRIMARY KEY, machine TEXT, started REAL, status TEXT, told TEXT, history TEXT
);
CREATE INDEX IF NOT EXISTS execution_machine ON execution (machine, started);
CREATE TABLE IF NOT EXISTS task (arn TEXT PRIMARY KEY, stopped REAL, told TEXT);
CREATE TABLE IF NOT EXISTS service (arn TEXT PRIMARY KEY, told TEXT);
CREATE TABLE IF NOT EXISTS stream (
    id INTEGER PRIMARY KEY, region TEXT, name_of_group TEXT, name TEXT, created TEXT,
    UNIQUE (region, name_of_group, name)
);
CREATE TABLE IF NOT EXISTS event (
    id INTEGER PRIMARY KEY, stream INTEGER REFERENCES stream ON DELETE CASCADE,
    timestamp INTEGER, ingested INTEGER, message TEXT
);
CREATE INDEX IF NOT EXISTS event_stream ON event (stream, id);
CREATE TABLE IF NOT EXISTS mail (
    id INTEGER PRIMARY KEY, arrived REAL, sender TEXT, recipients TEXT, subject TEXT, size INTEGER, message BLOB
);
CREATE TABLE IF NOT EXISTS followed_link (token TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS series (
    id INTEGER PRIMARY KEY, region TEXT, namespace TEXT, name TEXT, dimensions TEXT, unit TEXT
);
CREATE TABLE IF NOT EXISTS point (
    series INTEGER REFERENCES series ON DELETE CASCADE, moment INTEGER, told TEXT, PRIMARY KEY (series, moment)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS point_moment ON point (moment);
CREATE TABLE IF NOT EXISTS alarm (arn TEXT PRIMARY KEY, told TEXT);
CREATE TABLE IF NOT EXISTS alive (moment REAL);
CREATE TABLE IF NOT EXISTS gap (since REAL, until REAL);
CREATE TABLE IF NOT EXISTS fact (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""

TABLES_IN_ORDER = ("object", "piece", "execution", "task", "service", "stream", "event", "mail", "followed_link")
"""What happened, by what refers to what."""

OPEN, LAST_REQUEST, LOSSES, USED_UP = "open", "last request", "losses", "used up"
"""Names of facts: the boot of the machine in which a process has it open ("" after an orderly end); the number of the
journal's last request; how often the cloud was found to have lost, or may have lost, what it had been asked; the number
up to which requests that are lost may have been counted."""


class Store:
    """The open file. Safe with several threads.

    `must_exist`: what is beside it says that there was one. `last_request` answers the number of the journal's last
    request. Raises `Unreadable`, and nothing is changed.
    """

    def __init__(self, path: Path, must_exist: bool = False, last_request: Callable[[], int] = lambda: 0):
        self.path = path
        self._lock = threading.RLock()
        self._last_request = last_request
        with using(path):
            look(path, must_exist)
            self._file = _open(path)
            try:
                self._remember()
            except BaseException:
                self._file.close()
                raise

    def _remember(self) -> None:
        """What the last process has left word of, and the word that this one is at work."""
        boot, was_open = _boot(), _fact(self._file, OPEN)
        self.was_closed = not was_open
        """Is it as its last process has left it in order?"""
        self.ended_well, self.is_whole = ended_well(self._file), is_whole(self._file)
        """Is nothing missing that the system had taken? After an orderly end, and after a kill without a power cut."""
        self.last_request = self._noted = int(_fact(self._file, LAST_REQUEST) or 0)
        """The highest number of the journal's requests when this was written last."""
        self.losses = int(_fact(self._file, LOSSES) or 0)
        self.used_up = int(_fact(self._file, USED_UP) or 0)
        self._file.execute("BEGIN IMMEDIATE")
        self._set_fact(OPEN, boot)
        self._file.execute("COMMIT")
        # Into the file itself: it must say so also to who finds it without what was written ahead.
        self._file.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def _set_fact(self, name: str, value: str) -> None:
        self._file.execute("INSERT OR REPLACE INTO fact VALUES (?, ?)", (name, value))

    def note_loss(self, used_up: int) -> None:
        """Keep in mind that something may be missing, and up to which number requests may have been counted."""
        self.losses, self.used_up = self.losses + 1, used_up
        self._noted = self._last_request()
        with self.changing():
            for name, number in ((LOSSES, self.losses), (USED_UP, used_up), (LAST_REQUEST, self._noted)):
                self._set_fact(name, str(number))

    @contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """All that is written inside is written, or nothing. Raises sqlite3.Error on a full disk, and the like."""
        with self._lock:
            self._file.execute("BEGIN IMMEDIATE")
            try:
                yield self._file
                if (last := self._last_request()) > self._noted:
                    self._set_fact(LAST_REQUEST, str(last))
            except BaseException:
                self._file.rollback()
                raise
            self._file.commit()
            self._noted = max(self._noted, last)

    def write(self, statement: str, values: Sequence[Any]) -> None:
        """One statement."""
        with self.changing() as file:
            file.execute(statement, values)

    def read(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        """All rows of a question."""
        with self._lock:
            return self._file.execute(statement, values).fetchall()

    def tidy(self) -> None:
        """Give the disk back what has been deleted, and what was written ahead; what fails is done another time."""
        with self._lock:
            try:
                (pages,), (free,) = (
                    self._file.execute(f"PRAGMA {it}").fetchone() for it in ("page_count", "freelist_count")
                )
                if free > LEAST_FREE_PAGES and free > pages // 2:
                    self._file.execute("VACUUM")
                self._file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                with self.changing():
                    self._set_fact(OPEN, _boot())  # so that there always is something written ahead: see `look`
            except sqlite3.Error as error:
                log.warning("the runtime's file stays as large as it is: %s", error)

    def close(self) -> None:
        """An orderly end; where the disk does not take that word, the next start looks more closely."""
        with self._lock:
            try:
                with self.changing():
                    self._set_fact(OPEN, "")
            except sqlite3.Error as error:
                log.warning("%s is closed without a word: %s", self.path, error)
            self._file.close()


def look(path: Path, must_exist: bool) -> bool:
    """Refuse what would be taken for an empty file, or for an older one, before anything is written; is there one?

    Raises Unreadable, sqlite3.Error and OSError.
    """
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        size = 0
    if size == 0:
        if must_exist or _has_content(path.with_name("objects")):
            raise Unreadable(path, Reason.missing, "or empty, but the local cloud has held something")
        return False
    with closing(reading(path)) as file:
        (version,) = file.execute("PRAGMA user_version").fetchone()
        if version > FORMAT:
            raise Unreadable(path, Reason.newer, f"format {version}, known: {FORMAT}")
        was_open = version and file.execute("SELECT value FROM fact WHERE name = ?", (OPEN,)).fetchone()
        ahead = _ahead_of(path)
        if was_open and was_open[0] and not (ahead.exists() and (ahead.stat().st_size or was_open[0] != _boot())):
            raise Unreadable(ahead, Reason.missing, f"or empty, and with it the last changes to {path.name}")
        if (said := file.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
            raise Unreadable(path, Reason.damaged, said)
    return True


def ended_well(file: sqlite3.Connection) -> bool:
    """Has nobody had the file open in an earlier boot of the machine, without an orderly end?"""
    return _fact(file, OPEN) in ("", _boot())


def is_whole(file: sqlite3.Connection) -> bool:
    """Has it never lost anything, as far as it knows?"""
    return ended_well(file) and not int(_fact(file, LOSSES) or 0)


def _fact(file: sqlite3.Connection, name: str) -> str:
    row = file.execute("SELECT value FROM fact WHERE name = ?", (name,)).fetchone()
    return str(row[0]) if row else ""


def reading(path: Path) -> sqlite3.Connection:
    """The file for who changes nothing, not even that somebody has looked."""
    how = "ro" if _ahead_of(path).exists() else "ro&immutable=1"
    return sqlite3.connect(f"file:{quote(str(path))}?mode={how}", uri=True)


class Looked:
    """The file for who only asks it."""

    def __init__(self, path: Path):
        self.file = reading(path)

    def read(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        return self.file.execute(statement, values).fetchall()

    def close(self) -> None:
        self.file.close()


def _ahead_of(path: Path) -> Path:
    """What SQLite has written ahead of the file itself."""
    return path.with_name(f"{path.name}-wal")


def _has_content(folder: Path) -> bool:
    return any(path.is_file() for path in folder.glob("[0-9a-f][0-9a-f]/*"))


def _boot() -> str:
    """What tells this boot of the machine from others: the kernel's hands hold what was written until the next."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return f"{psutil.boot_time() // 60:.0f}"


def _open(path: Path) -> sqlite3.Connection:
    file = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    try:
        path.chmod(0o600)
        file.execute("PRAGMA journal_mode=WAL")
        file.execute("PRAGMA synchronous=NORMAL")
        file.execute("PRAGMA foreign_keys=ON")
        file.executescript(TABLES)
        file.execute(f"PRAGMA user_version={FORMAT}")
    except BaseException:
        file.close()
        raise
    return file


def to_json(value: Any) -> str:
    """Compact JSON; what JSON lacks becomes text."""
    return json.dumps(value, separators=(",", ":"), default=str)
