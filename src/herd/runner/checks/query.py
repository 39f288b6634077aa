"""Answers questions about tables by DuckDB: a program of its own, so that its memory and its end are not the runner's.

    python query.py REQUEST.json ANSWERS.jsonl

A request has `outputs`, `inputs`, `memory_mb` and `questions`, entries of HERD_TASK. Each is answered by a line,
{"number": 5} or {"problem": "…"}. A query is one SELECT, sees the two folders and nothing else, and cannot write: what
it may not do is refused by DuckDB's own settings, which are locked before the first question.
"""

from __future__ import annotations

import json
import math
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

READERS = {
    "read_parquet({}, hive_partitioning = true, union_by_name = true)": (".parquet", ".pq"),
    "read_csv({}, union_by_name = true)": (".csv", ".csv.gz", ".csv.zst", ".tsv", ".tsv.gz"),
    "read_json({}, union_by_name = true)": (".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz", ".json", ".json.gz"),
}
"""How DuckDB reads a table -> the ends of the names of such files."""

WILDCARDS = "*?["
MOST_SHOWN = 300


class Problem(Exception):
    """Why a question has no answer, in words that go on after what was asked."""


class Tables:
    """DuckDB over the outputs and inputs of a run."""

    def __init__(self, outputs: Path, inputs: Path, memory_mb: int, scratch: Path) -> None:
        import duckdb

        self._outputs, self._inputs = outputs.resolve(), inputs.resolve()
        self._error = duckdb.Error
        self._connection = duckdb.connect(":memory:", config={"threads": min(4, os.cpu_count() or 1)})
        # Folders that inputs/ only points to are asked for by their real names, which DuckDB compares.
        read = [each for each in inputs.iterdir() if each.is_dir()] if inputs.is_dir() else []
        settings: dict[str, Any] = {
            "memory_limit": f"{memory_mb}MB",
            "temp_directory": str(scratch),
            "preserve_insertion_order": False,
            "enable_progress_bar": False,
            "TimeZone": "UTC",
            "allowed_directories": [f"{folder.resolve()}/" for folder in (outputs, inputs, *read)],
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            # These two last: what is above could not be set afterwards.
            "enable_external_access": False,
            "lock_configuration": True,
        }
        for name, value in settings.items():
            self._connection.execute(f"SET {name} = ?", [value])

    def answer(self, question: Mapping[str, Any]) -> float:
        """The number that is asked for. Raises `Problem`."""
        kind = next(kind for kind in QUESTIONS if kind in question)
        try:
            return QUESTIONS[kind](self, question)
        except self._error as error:
            raise Problem(f"cannot be checked: {_one_line(error)}") from error

    def rows(self, question: Mapping[str, Any]) -> float:
        return self._number(f"SELECT count(*) FROM {self._table(question['file'])}")

    def columns(self, question: Mapping[str, Any]) -> float:
        there = self._columns(self._table(question["file"]))
        missing = [name for name in question["columns"] if name not in there]
        if missing:
            raise Problem(f"lack {', '.join(missing)}; the table has {_some(list(there))}")
        return 0

    def nulls(self, question: Mapping[str, Any]) -> float:
        table = self._table(question["file"])
        column, kind = _column(self._columns(table), question["nulls"])
        # pandas writes a missing number as not-a-number.
        empty = f"{column} IS NULL" + (f" OR isnan({column})" if kind in ("DOUBLE", "FLOAT") else "")
        return self._number(f"SELECT coalesce(count(*) FILTER ({empty}) / nullif(count(*), 0), 0) FROM {table}")

    def unique(self, question: Mapping[str, Any]) -> float:
        table = self._table(question["file"])
        there = self._columns(table)
        columns = ", ".join(_column(there, name)[0] for name in question["unique"])
        # A row without any value is compared like every other: two of them repeat each other.
        return self._number(
            f"SELECT count(*) - (SELECT count(*) FROM (SELECT DISTINCT {columns} FROM {table})) FROM {table}"
        )

    def newest(self, question: Mapping[str, Any]) -> float:
        table, name = self._table(question["file"]), question["newest"]
        column, kind = _column(self._columns(table), name)
        if kind == "VARCHAR":
            column = f"try_cast({column} AS TIMESTAMP)"
        elif not kind.startswith(("DATE", "TIMESTAMP")):
            raise Problem(f"cannot be checked: {name} is a column of {kind}, not of dates or times")
        # Values such as 'infinity' are no dates.
        age = f"(epoch(now()) - epoch(max({column}) FILTER (isfinite({column})))) / 3600"
        [(hours,)] = self._connection.execute(f"SELECT {age} FROM {table}").fetchall()
        if hours is None:
            raise Problem(f"cannot be checked: {name} has no value that is a date or a time")
        return float(hours)

    def query(self, question: Mapping[str, Any]) -> float:
        return self._number(self._confined(question["query"]))

    def _number(self, sql: str) -> float:
        result = self._connection.execute(sql)
        if len(result.description) != 1:
            raise Problem(f"must answer one number; it answers {len(result.description)} columns")
        rows = result.fetchmany(2)
        if len(rows) != 1:
            raise Problem(f"must answer one number; it answers {'no row' if not rows else 'more than one row'}")
        return number(rows[0][0])

    def _confined(self, query: str) -> str:
        """The query with its files as absolute paths: DuckDB allows none that is relative. Raises `Problem`."""
        [(text,)] = self._connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [query]).fetchall()
        tree = json.loads(text)
        if tree["error"]:
            only = tree["error_type"] == "not implemented"
            reason = "it must be a SELECT" if only else _one_line(tree["error_message"])
            raise Problem(f"cannot be run: {reason}")
        if len(tree["statements"]) != 1:
            raise Problem(f"cannot be run: it must be one SELECT, and has {len(tree['statements'])} statements")
        self._name_files(tree["statements"])
        [(confined,)] = self._connection.execute("SELECT json_deserialize_sql(?::JSON)", [json.dumps(tree)]).fetchall()
        return str(confined)

    def _name_files(self, tree: Any) -> None:
        """Tables that are named like files, and the texts in the first argument of what reads files."""
        for node in _nodes(tree):
            if node.get("type") == "BASE_TABLE":
                path = node["qualified_name"]["path"]
                if len(path) == 1 and ("." in path[0] or "/" in path[0]):
                    node["table_name"] = path[0] = str(self._path(path[0]))
            elif node.get("type") == "TABLE_FUNCTION":
                for inner in _nodes(node["function"]["arguments"][:1]):
                    if inner.get("class") == "CONSTANT" and inner["literal"].get("kind") == "STRING":
                        inner["literal"]["text"] = str(self._path(inner["literal"]["text"]))

    def _path(self, file: str) -> Path:
        """Where a path of a check lies. Whether that may be read, DuckDB decides."""
        top, _, rest = file.partition("/")
        folder = {"inputs": self._inputs, "outputs": self._outputs}.get(top) if rest else None
        if folder == self._inputs:
            name, _, below = rest.partition("/")
            return (folder / name).resolve() / below
        return folder / rest if folder else self._outputs / file

    def _table(self, file: str) -> str:
        """A file, a pattern or a folder as DuckDB reads it. Raises `Problem`."""
        path = self._path(file)
        names = [file] if path.is_file() else [each.name for each in path.rglob("*")] if path.is_dir() else [file]
        readers = {
            (reader, end)
            for name in names
            for reader, ends in READERS.items()
            for end in ends
            if name.lower().endswith(end)
        }
        if not path.exists() and not any(mark in file for mark in WILDCARDS):
            raise Problem("is missing: the run did not write this file to outputs/")
        if len({reader for reader, _ in readers}) != 1:
            kinds = ", ".join(end for ends in READERS.values() for end in ends if not end.endswith((".gz", ".zst")))
            what = "is no table" if not readers else "has tables of several kinds"
            raise Problem(f"cannot be checked: the {'folder' if path.is_dir() else 'file'} {what}; known are {kinds}")
        reader = min(reader for reader, _ in readers)
        places = [str(path)]
        if path.is_file():
            places = [_literally(str(path))]
        elif path.is_dir():
            places = [f"{_literally(str(path))}/**/*{end}" for end in sorted({end for _, end in readers})]
        return reader.format(f"[{', '.join(map(_text, places))}]")

    def _columns(self, table: str) -> dict[str, str]:
        return {row[0]: row[1] for row in self._connection.execute(f"DESCRIBE SELECT * FROM {table}").fetchall()}


QUESTIONS: Mapping[str, Callable[[Tables, Mapping[str, Any]], float]] = {
    "rows": Tables.rows,
    "columns": Tables.columns,
    "nulls": Tables.nulls,
    "unique": Tables.unique,
    "newest": Tables.newest,
    "query": Tables.query,
}
"""The setting that makes a check one of this kind -> what answers it."""


def _column(there: Mapping[str, str], name: str) -> tuple[str, str]:
    """A column of a table as SQL has it, and its type. Raises `Problem`."""
    if name not in there:
        raise Problem(f"cannot be checked: the table has no column {name!r}; it has {_some(list(there))}")
    return '"' + name.replace('"', '""') + '"', there[name]


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    todo = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, dict):
            yield node
            todo += node.values()
        elif isinstance(node, list):
            todo += node


def number(value: object) -> float:
    """A value of a database as a finite number. Whole ones stay whole. Raises `Problem`."""
    if isinstance(value, Decimal) and value.is_finite():
        value = int(value) if value == value.to_integral_value() else _nearest(value)
    elif isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Problem(f"is not a number but {'NULL' if value is None else repr(value)[:40]}")
    if not math.isfinite(value):
        raise Problem(f"is not a finite number but {value}")
    return value


def _nearest(value: Decimal) -> float:
    """A fraction as floating point: next to nothing is not nothing."""
    return float(value) or math.copysign(math.ulp(0.0), value)


def _literally(path: str) -> str:
    """A path in which DuckDB finds no pattern."""
    return re.sub(r"([*?\[])", r"[\1]", path)


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _some(names: list[str]) -> str:
    return ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")


def _one_line(error: object) -> str:
    """DuckDB's message without the drawing of where in the SQL it is."""
    return " ".join(str(error).split("\n\nLINE ")[0].split())[:MOST_SHOWN]


def main(request_file: str, answers_file: str) -> None:
    request = json.loads(Path(request_file).read_bytes())
    with tempfile.TemporaryDirectory(prefix="checks-") as scratch, open(answers_file, "w", encoding="utf-8") as answers:
        outputs, inputs = Path(request["outputs"]), Path(request["inputs"])
        tables = Tables(outputs, inputs, int(request["memory_mb"]), Path(scratch))
        for question in request["questions"]:
            try:
                answer: dict[str, object] = {"number": tables.answer(question)}
            except Problem as problem:
                answer = {"problem": str(problem)}
            answers.write(json.dumps(answer) + "\n")
            answers.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
