"""The kinds of `[[check]]`: what HERD_TASK says of each. One type a kind, and one table of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal, get_args

Otherwise = Literal["reject", "warn"]
"""What becomes of an output that does not hold a check: it is kept apart, or published and the owner told."""


@dataclass(frozen=True, kw_only=True)
class Check(ABC):
    """One [[check]] of any kind. Paths are relative to outputs/; `inputs/<name>/…` is what the run has read."""

    otherwise: Otherwise = "reject"

    reads_tables: ClassVar[bool] = False
    """Does DuckDB answer it?"""

    @property
    def kind(self) -> str:
        """As `KINDS` has it."""
        return next(kind for kind, type_ in KINDS.items() if isinstance(self, type_))

    @property
    @abstractmethod
    def key(self) -> tuple[str, str]:
        """What tells its value from other checks' in a baseline: the file, and what is asked of it."""

    @property
    def is_compared(self) -> bool:
        """Is something of earlier runs needed?"""
        return False


@dataclass(frozen=True, kw_only=True)
class Measured(Check):
    """A check of one number.

    `max_drop` and `max_rise` are how far it may lie from the accepted baseline, absolute. `trend` is how many median
    absolute deviations it may lie from the median of the last published runs.
    """

    min: float | None = None
    max: float | None = None
    max_drop: float | None = None
    max_rise: float | None = None
    trend: float | None = None

    @property
    def has_baseline(self) -> bool:
        return self.max_drop is not None or self.max_rise is not None

    @property
    def is_compared(self) -> bool:
        return self.has_baseline or self.trend is not None


@dataclass(frozen=True, kw_only=True)
class ValueCheck(Measured):
    """The number at `value` (dotted) in the JSON file `file`."""

    file: str
    value: str

    @property
    def key(self) -> tuple[str, str]:
        return self.file, self.value


@dataclass(frozen=True, kw_only=True)
class FileCheck(Check):
    """`file` is there, a file or a folder with files, and has so many bytes."""

    file: str
    min_bytes: int | None = None
    max_bytes: int | None = None

    @property
    def key(self) -> tuple[str, str]:
        return self.file, "bytes"


@dataclass(frozen=True, kw_only=True)
class ChangedCheck(Check):
    """`file` is not byte for byte that of the last published version."""

    file: str
    changed: bool = True

    @property
    def key(self) -> tuple[str, str]:
        return self.file, "changed"

    @property
    def is_compared(self) -> bool:
        return True


@dataclass(frozen=True, kw_only=True)
class RowsCheck(Measured):
    """The number of rows of a table: CSV, Parquet or JSON lines, one file, a pattern or a partitioned folder."""

    file: str
    rows: bool = True

    reads_tables: ClassVar[bool] = True

    @property
    def key(self) -> tuple[str, str]:
        return self.file, "rows"


@dataclass(frozen=True, kw_only=True)
class ColumnsCheck(Check):
    """A table has these columns; more do no harm. Its number is how many are missing."""

    file: str
    columns: tuple[str, ...]

    reads_tables: ClassVar[bool] = True

    @property
    def key(self) -> tuple[str, str]:
        return self.file, "columns"


@dataclass(frozen=True, kw_only=True)
class NullsCheck(Measured):
    """The share of rows, 0 to 1, in which the column `nulls` has no value; not-a-number is none."""

    file: str
    nulls: str
    max: float | None = 0

    reads_tables: ClassVar[bool] = True

    @property
    def key(self) -> tuple[str, str]:
        return self.file, f"nulls {self.nulls}"


@dataclass(frozen=True, kw_only=True)
class UniqueCheck(Measured):
    """The number of rows that repeat another's values of the columns `unique`."""

    file: str
    unique: tuple[str, ...]
    max: float | None = 0

    reads_tables: ClassVar[bool] = True

    @property
    def key(self) -> tuple[str, str]:
        return self.file, f"unique {', '.join(self.unique)}"


@dataclass(frozen=True, kw_only=True)
class NewestCheck(Check):
    """The age, in hours, of the newest value of the column `newest`: a date (its midnight, UTC) or a time."""

    file: str
    newest: str
    max_age_hours: float

    reads_tables: ClassVar[bool] = True

    @property
    def key(self) -> tuple[str, str]:
        return self.file, f"newest {self.newest}"


@dataclass(frozen=True, kw_only=True)
class QueryCheck(Measured):
    """The one number that a SELECT over outputs/ and inputs/ answers."""

    query: str

    reads_tables: ClassVar[bool] = True

    @property
    def key(self) -> tuple[str, str]:
        return "", self.query


CONNECTION_DRIVERS: Mapping[str, int] = {"postgresql": 5432, "redshift": 5439}
"""The databases that a check can ask, and their ports: those that speak PostgreSQL's protocol."""


def dialect(driver: str) -> str:
    """The database of a driver as connections name it.

    >>> dialect("postgresql+psycopg")
    'postgresql'
    """
    return driver.partition("+")[0]


@dataclass(frozen=True, kw_only=True)
class ConnectionCheck(Measured):
    """The one number that a SELECT answers in the database of a connection."""

    connection: str
    query: str

    @property
    def key(self) -> tuple[str, str]:
        return f"connection {self.connection}", self.query


@dataclass(frozen=True, kw_only=True)
class CommandCheck(Check):
    """A program of the workload's own, run beside its outputs/; exit status 0 passes."""

    command: tuple[str, ...]

    @property
    def key(self) -> tuple[str, str]:
        return "", " ".join(self.command)


KINDS: Mapping[str, type[Check]] = {
    "value": ValueCheck,
    "changed": ChangedCheck,
    "rows": RowsCheck,
    "columns": ColumnsCheck,
    "nulls": NullsCheck,
    "unique": UniqueCheck,
    "newest": NewestCheck,
    "connection": ConnectionCheck,
    "query": QueryCheck,
    "command": CommandCheck,
    "file": FileCheck,
}
"""The setting that makes a [[check]] one of this kind -> its type. The last one has no other."""


MEASURED = frozenset(kind for kind, type_ in KINDS.items() if issubclass(type_, Measured))
"""The kinds whose numbers are compared with a baseline and a trend."""


def kind_of(names: Mapping[str, Any]) -> str:
    """The kind of a check by the settings that it has.

    >>> kind_of({"file": "flights.parquet", "rows": True, "min": 1})
    'rows'
    """
    return next((kind for kind in KINDS if kind in names), "file")


# What every release has written of a value, also where it is None: so HERD_TASK, and with it a running environment's
# task definitions, stay the same text.
_ALWAYS = ("min", "max", "max_drop")


def to_entry(check: Check) -> dict[str, Any]:
    """A check as an entry of HERD_TASK."""
    always = ("file", "value", *_ALWAYS) if isinstance(check, ValueCheck) else ()
    named = {field.name: getattr(check, field.name) for field in fields(check)}
    entry = {name: named.pop(name) for name in always}
    defaults = {field.name: field.default for field in fields(check)}
    return entry | {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in named.items()
        if name in (check.kind, "file") or value != defaults[name]
    }


def from_entry(entry: object) -> Check:
    """Read an entry of HERD_TASK. Raises ValueError for a kind or a field that this release does not know."""
    if not isinstance(entry, dict):
        raise ValueError(f"{entry!r} is not an object")
    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in entry.items()}
    if values.get("otherwise", "reject") not in get_args(Otherwise):
        raise ValueError(f"otherwise = {values['otherwise']!r}; it must be one of {', '.join(get_args(Otherwise))}")
    try:
        return KINDS[kind_of(values)](**values)
    except TypeError as error:
        raise ValueError(str(error)) from None
