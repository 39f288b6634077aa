"""`[[check]]`: what people write of each kind of check.

Its kind is decided by the one setting that only this kind has: `rows`, `nulls`, `query` … The runner's side is
`herd.runner.contract.checks`, which has a type of the same fields for each.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, Discriminator, Field, Tag, model_validator

from herd.infra.spec import values
from herd.infra.spec.strict import Finite, Strict
from herd.runner.contract.checks import KINDS, Otherwise, kind_of

Amount = Annotated[Finite, Field(ge=0)]
Bytes = Annotated[int, Field(ge=0)]
Column = Annotated[str, AfterValidator(values.column)]
Columns = Annotated[
    tuple[Column, ...], Field(strict=False, min_length=1, max_length=200), AfterValidator(values.unique)
]
Output = Annotated[str, AfterValidator(values.output_file)]
Table = Annotated[str, AfterValidator(values.table_file)]


class Check(Strict):
    """What every kind has."""

    kind: ClassVar[str]

    otherwise: Otherwise = Field(
        default="reject", description="`reject`: nothing is published; `warn`: it is, and the owner is told"
    )

    @model_validator(mode="before")
    @classmethod
    def _asks_one_thing(cls, table: Any) -> Any:
        asked = [kind for kind in KINDS if kind in table and kind != "file"] if isinstance(table, dict) else []
        if "connection" in asked:  # whose question is a query too
            asked = [kind for kind in asked if kind != "query"]
        if len(asked) > 1:
            raise ValueError(f"asks for {' and '.join(asked)}: write a [[check]] for each")
        return table

    def problems(self) -> Iterator[str]:
        """What is wrong with the settings together."""
        yield from ()


class Measured(Check):
    """What is asked for is one number."""

    min: Finite | None = Field(default=None, description="the least value that passes")
    max: Finite | None = Field(default=None, description="the greatest value that passes")
    max_drop: Amount | None = Field(
        default=None, description="how far the value may fall below the accepted baseline (absolute)"
    )
    max_rise: Amount | None = Field(
        default=None, description="how far the value may rise above the accepted baseline (absolute)"
    )
    trend: Annotated[Finite, Field(gt=0)] | None = Field(
        default=None,
        description="how many median absolute deviations the value may lie from the median of the last 30 published "
        "runs; says nothing before there are 10",
    )

    def problems(self) -> Iterator[str]:
        limits = (self.min, self.max, self.max_drop, self.max_rise, self.trend)
        if all(limit is None for limit in limits):
            yield "allows any value; give min, max, max_drop, max_rise or trend"
        if self.min is not None and self.max is not None and self.min > self.max:
            yield f"min = {self.min:g} is above max = {self.max:g}"


class ValueCheck(Measured):
    """A number in a JSON file."""

    kind = "value"
    file: Annotated[str, AfterValidator(values.json_file)] = Field(description="a JSON file below outputs/")
    value: Annotated[str, AfterValidator(values.dotted_path)] = Field(
        description="the key to look at; dots go deeper: `test.auc`"
    )


class FileCheck(Check):
    """A file, or a folder with files, is there."""

    kind = "file"
    file: Output = Field(description="a file or folder below outputs/")
    min_bytes: Bytes | None = Field(default=None, description="the least size that passes")
    max_bytes: Bytes | None = Field(default=None, description="the greatest size that passes")

    def problems(self) -> Iterator[str]:
        if self.min_bytes is not None and self.max_bytes is not None and self.min_bytes > self.max_bytes:
            yield f"min_bytes = {self.min_bytes} is above max_bytes = {self.max_bytes}"


class ChangedCheck(Check):
    """A file is not byte for byte that of the last published version."""

    kind = "changed"
    file: Output = Field(description="a file or folder below outputs/")
    changed: Literal[True] = Field(description="`true`")


class RowsCheck(Measured):
    """The number of rows of a table."""

    kind = "rows"
    file: Table = Field(description="a table below outputs/, or `inputs/<name>/…`")
    rows: Literal[True] = Field(description="`true`")


class ColumnsCheck(Check):
    """A table has these columns."""

    kind = "columns"
    file: Table = Field(description="a table below outputs/, or `inputs/<name>/…`")
    columns: Columns = Field(description="columns that must be there; others may be")


class NullsCheck(Measured):
    """The share of rows without a value."""

    kind = "nulls"
    file: Table = Field(description="a table below outputs/, or `inputs/<name>/…`")
    nulls: Column = Field(description="a column; its number is the share of rows, 0 to 1, without a value")
    max: Finite | None = Field(default=0, description="the greatest share that passes")


class UniqueCheck(Measured):
    """The number of rows that repeat another."""

    kind = "unique"
    file: Table = Field(description="a table below outputs/, or `inputs/<name>/…`")
    unique: Columns = Field(description="columns whose values together no two rows share")
    max: Finite | None = Field(default=0, description="how many rows may repeat another")


class NewestCheck(Check):
    """How old the newest value of a column of dates is."""

    kind = "newest"
    file: Table = Field(description="a table below outputs/, or `inputs/<name>/…`")
    newest: Column = Field(description="a column of dates or times (UTC)")
    max_age_hours: Annotated[Finite, Field(gt=0)] = Field(description="the greatest age of its newest value")


class QueryCheck(Measured):
    """The one number that a SELECT answers."""

    kind = "query"
    query: Annotated[str, AfterValidator(values.query)] = Field(
        description="one SELECT, by DuckDB, over files below outputs/ and `inputs/<name>/…`",
        examples=["\"SELECT count(*) FROM 'predictions.parquet' WHERE probability > 1\""],
    )


class ConnectionCheck(Measured):
    """The one number that a SELECT answers in a database."""

    kind = "connection"
    connection: Annotated[str, AfterValidator(values.workload_name)] = Field(
        description="one of the workload's `connects`: a database that speaks PostgreSQL's protocol",
        examples=['"warehouse"'],
    )
    query: Annotated[str, AfterValidator(values.query)] = Field(
        description="one SELECT, in a read-only transaction; it may take five minutes",
        examples=['"SELECT count(*) FROM staging.sales WHERE amount < 0"'],
    )


class CommandCheck(Check):
    """A program of one's own, which passes by exit status 0."""

    kind = "command"
    command: Annotated[
        tuple[Annotated[str, AfterValidator(values.argument)], ...],
        Field(strict=False, min_length=1, max_length=200),
        BeforeValidator(values.as_command, json_schema_input_type=str | list[str]),
    ] = Field(description="run in the workload's folder after its command", examples=['["python", "check.py"]'])


_KINDS: tuple[type[Check], ...] = (
    ValueCheck, FileCheck, ChangedCheck, RowsCheck, ColumnsCheck, NullsCheck, UniqueCheck, NewestCheck, QueryCheck,
    ConnectionCheck, CommandCheck,
)  # fmt: skip


def _tag(kind: str) -> str:
    """How pydantic calls a kind in the place of an error; no setting is called so."""
    return f"[[check]] {kind}"


def _tag_of(entry: Any) -> str:
    names: Mapping[str, Any] = entry if isinstance(entry, Mapping) else {}
    kind = entry.kind if isinstance(entry, Check) else kind_of(names)
    # Whoever gives limits to a number and forgets which is told so.
    return _tag("value" if kind == "file" and {"min", "max", "max_drop", "max_rise", "trend"} & set(names) else kind)


CHECKS: Mapping[str, type[BaseModel]] = {_tag(model.kind): model for model in _KINDS}
"""By the part that stands for its kind in the place of an error."""

AnyCheck = Annotated[
    Annotated[ValueCheck, Tag(_tag("value"))]
    | Annotated[FileCheck, Tag(_tag("file"))]
    | Annotated[ChangedCheck, Tag(_tag("changed"))]
    | Annotated[RowsCheck, Tag(_tag("rows"))]
    | Annotated[ColumnsCheck, Tag(_tag("columns"))]
    | Annotated[NullsCheck, Tag(_tag("nulls"))]
    | Annotated[UniqueCheck, Tag(_tag("unique"))]
    | Annotated[NewestCheck, Tag(_tag("newest"))]
    | Annotated[QueryCheck, Tag(_tag("query"))]
    | Annotated[ConnectionCheck, Tag(_tag("connection"))]
    | Annotated[CommandCheck, Tag(_tag("command"))],
    Discriminator(_tag_of),
]
