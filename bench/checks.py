"""Checks of a big table: their time beside DuckDB's own for the same questions, and the memory that they take."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.measure import Result, interleaved
from herd.runner.checks.files import Unanswered
from herd.runner.checks.tables import ask
from herd.runner.contract.checks import Check, NewestCheck, NullsCheck, QueryCheck, RowsCheck, UniqueCheck

GIGABYTE = 10**9
ROWS = 21_000_000
ROUNDS = 3
MOST_MB = 512

CHECKS: Sequence[Check] = (
    RowsCheck(file="big.parquet", min=1),
    NullsCheck(file="big.parquet", nulls="a", max=0.2),
    NewestCheck(file="big.parquet", newest="day", max_age_hours=1e9),
    UniqueCheck(file="big.parquet", unique=("id",), max=0),
    QueryCheck(query="SELECT count(*) FROM 'big.parquet' WHERE b < 0 OR c + d > 3", max=0),
)

TABLE = f"""
COPY (
    SELECT i AS id, DATE '2020-01-01' + CAST(i % 2000 AS INTEGER) AS day, i % 700 AS station,
        CASE WHEN i % 10 > 0 THEN random() END AS a, random() AS b, random() AS c, random() AS d, random() AS e
    FROM range({ROWS}) AS numbers(i)
) TO '{{path}}' (FORMAT parquet, COMPRESSION uncompressed)
"""

ALONE = """
import duckdb
table = "read_parquet('outputs/big.parquet')"
for question in (
    f"SELECT count(*) FROM {table}",
    f"SELECT count(*) FILTER (a IS NULL OR isnan(a)) / count(*) FROM {table}",
    f"SELECT max(day) FROM {table}",
    f"SELECT count(*) - (SELECT count(*) FROM (SELECT DISTINCT id FROM {table})) FROM {table}",
    f"SELECT count(*) FROM {table} WHERE b < 0 OR c + d > 3",
):
    print(duckdb.sql(question).fetchall())
"""


def tables(folder: Path) -> list[Result]:
    """A gigabyte of Parquet: rows, nulls, newest, a query, and 21 million ids that must differ, which do not fit."""
    big = folder / "outputs" / "big.parquet"
    big.parent.mkdir()
    # In a process of its own, whose memory ends with it.
    subprocess.run(
        [sys.executable, "-c", f"import duckdb; duckdb.sql({TABLE.format(path=big)!r})"],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    gigabytes = big.stat().st_size / GIGABYTE
    peaks: list[float] = []

    def start(arguments: Sequence[str], environment: Mapping[str, str], scratch: Path) -> int:
        process = subprocess.Popen(arguments, env=dict(environment), cwd=scratch)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        peaks.append(_megabytes(usage))
        return process.returncode

    def checked() -> None:
        answers = ask(CHECKS, folder, None, start)
        assert not any(isinstance(answer, Unanswered) for answer in answers), answers

    def alone() -> None:
        subprocess.run([sys.executable, "-c", ALONE], cwd=folder, check=True, stdout=subprocess.DEVNULL)

    floor, ours = interleaved(ROUNDS, alone, checked)
    size = f"{gigabytes:.2f} GB of Parquet, {len(CHECKS)} checks"
    return [
        Result(f"checks of {size}", ours, 1.5 * floor, "s", f"DuckDB alone {floor:.2f} s"),
        Result(f"memory of the same, at {size}", max(peaks), MOST_MB, "MB", "what the issue allows"),
    ]


def _megabytes(usage: resource.struct_rusage) -> float:
    """The most that a process had in memory; Linux counts in kilobytes, macOS in bytes."""
    return usage.ru_maxrss / (1 if sys.platform == "darwin" else 1 / 1024) / 1024**2
