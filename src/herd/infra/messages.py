"""What people are told when a settings file is wrong.

One line per problem, file and key first, then the value as it stands in the file, what is allowed, and a suggestion:

    jobs/churn/workload.toml: unknown setting 'scheduel'; did you mean 'schedule'?
    jobs/churn/workload.toml: memory_gb = 3 is not available with cpu = 0.25; allowed: 0.5, 1, 2

Values below `[env]`, `[params]` and in `command` are never shown, because that is where people put secrets.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time
from difflib import get_close_matches
from typing import Any

from annotated_types import Ge, Le
from pydantic import BaseModel
from pydantic_core import ErrorDetails

HIDDEN = frozenset({"env", "params", "secrets", "command", "publish"})
_LONGEST = 60
_MOST_ITEMS = 5
_MOST_CHOICES = 40


@dataclass(frozen=True)
class Problem:
    """One thing that a person must change, and where. `file` is relative to the root of the project."""

    file: str
    key: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}: {self.message}"


class SpecErrors(Exception):
    """All problems of all files. `str()` is one line per problem."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(dict.fromkeys(problems))
        super().__init__(self.problems)

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems))


def show(value: Any) -> str:
    """A value as it would stand in the file, short, on one line, and harmless to a terminal."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value) if abs(value) < 10**18 else "a huge number"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, list | tuple):
        more = ["…"] if len(value) > _MOST_ITEMS else []
        return _cut(f"[{', '.join([show(item) for item in value[:_MOST_ITEMS]] + more)}]")
    return _cut(printable(json.dumps(str(value)[: _LONGEST * 2], ensure_ascii=False)))


def printable(text: str) -> str:
    """Control characters, direction marks and half characters become visible escapes."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def quoted(name: str) -> str:
    """A name inside a sentence: 'scheduel'."""
    return f"'{_cut(printable(name[: _LONGEST * 2]))}'"


def nearest(name: str, choices: Iterable[str]) -> str | None:
    """The choice that was probably meant; upper case, - and _ make no difference."""

    def folded(text: str) -> str:
        return text[:_LONGEST].lower().replace("_", "-")

    by_folded = {folded(choice): choice for choice in sorted(choices)}
    near = get_close_matches(folded(name), by_folded, n=1)
    return by_folded[near[0]] if near else None


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """`; did you mean 'schedule'?`, or the whole choice when nothing is near."""
    known = sorted(choices)
    if near := nearest(name, known):
        return f"; did you mean '{near}'?"
    more = f" and {len(known) - _MOST_CHOICES} more" if len(known) > _MOST_CHOICES else ""
    return f"; allowed: {', '.join(known[:_MOST_CHOICES])}{more}" if known else ""


def where(location: Sequence[int | str]) -> str:
    """A place in the file in the words of the file: `replicas.max`, `[env] TARGET`, `[[check]] no. 1: min`."""
    top, *rest = location
    if rest and top in ("env", "params", "secrets"):
        return f"[{top}] {printable(str(rest[0]))}"
    if rest and top == "check":
        return f"[[check]] no. {int(rest[0]) + 1}" + "".join(f": {printable(str(part))}" for part in rest[1:2])
    return ".".join(printable(str(part)) for part in location if isinstance(part, str))


_WRONG_TYPE = {
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "string_type": "must be text in quotes",
    "tuple_type": 'must be a list, like ["a", "b"]',
    "dict_type": "must be a table",
    "model_type": "must be a table",
    "dataclass_type": "must be a table",
    "date_type": "must be a date without quotes, like 2027-06-30",
    "finite_number": "must be a finite number",
}


def reword(error: ErrorDetails, model: type[BaseModel], tables: Mapping[str, type[BaseModel]]) -> str:
    """pydantic's finding about a value of a settings file, in the house's words.

    `tables`: setting -> the model of its entries (`reads`, `replicas`). Where an entry has one of several models, what
    pydantic puts after its number in the place of the error is the model's name there.
    """
    location = error["loc"]
    top = str(location[0])
    inside = tables.get(top) if len(location) > 1 else None
    if len(location) > 2 and location[2] in tables:
        inside, location = tables[str(location[2])], (*location[:2], *location[3:])
    value, place = error["input"], where(location)
    if error["type"] == "missing":
        return f"{place} is missing"
    if error["type"] == "extra_forbidden":
        known = (inside or model).model_fields
        parent = where(location[:-1])
        return f"{parent}: unknown setting {quoted(str(location[-1]))}{did_you_mean(str(location[-1]), known)}"
    words = rule(error, (inside or model).model_fields.get(str(location[-1])))
    if HIDDEN.intersection(location) or isinstance(value, Mapping):
        return f"{place} {words}"
    if isinstance(location[-1], int):
        return f"{place}: {show(value)} {words}"
    return f"{place} = {show(value)} {words}"


def rule(error: ErrorDetails, field: Any) -> str:
    """What a value must be, as the end of a sentence about it. `field`: whose limits these are, where that is known."""
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if kind == "literal_error":
        allowed = str(context["expected"]).replace("'", "").replace(" or ", ", ").replace("True", "true")
        return f"is not allowed; allowed: {allowed}"
    if kind in ("greater_than_equal", "less_than_equal"):
        return f"is out of range; allowed: {bounds(field, context)}"
    if kind == "too_short":
        return "must not be empty"
    if kind == "too_long":
        return f"has {context['actual_length'] or 'too many'} entries; allowed: up to {context['max_length']}"
    if kind == "tuple_type" and error["loc"] == ("check",):
        return "must be a list of tables: write [[check]], with two brackets"
    if kind == "tuple_type" and error["loc"] == ("command",):
        return 'must be text or a list, like "python train.py" or ["python", "train.py"]'
    if kind == "model_type" and error["loc"][0] == "reads":
        return 'must be a name in quotes or a table like { name = "x", fetch = false }'
    if kind in ("dict_type", "model_type") and isinstance(value, list):
        return f"is a list; it is one table: write [{error['loc'][0]}] with one pair of brackets"
    if kind == "float_type" and isinstance(value, int) and not isinstance(value, bool):
        return "is out of range"
    words = _WRONG_TYPE.get(kind, "is not allowed")
    numeric = kind in ("int_type", "float_type", "bool_type")
    return words + (" without quotes" if numeric and isinstance(value, str) else "")


def bounds(field: Any, context: Mapping[str, Any]) -> str:
    """The limits of a number, as they are declared: `1 to 100`; empty where there are none."""
    limits = [limit for limit in getattr(field, "metadata", ()) if isinstance(limit, Ge | Le)]
    low = next((limit.ge for limit in limits if isinstance(limit, Ge)), context.get("ge"))
    high = next((limit.le for limit in limits if isinstance(limit, Le)), context.get("le"))
    if low is None:
        return ""
    return f"{show(low)} to {show(high)}" if high is not None else f"{show(low)} or more"
