"""The small rules for single words of a settings file: one function a rule.

Each returns the value or raises ValueError with the rest of a sentence that begins with the setting and its value:
`image = "../x"` + `must be …`.
"""

import math
import re
import sys
from functools import cache
from pathlib import PurePosixPath
from typing import Any
from zoneinfo import available_timezones

from herd.infra.capacity import MANAGED
from herd.infra.messages import nearest
from herd.runner.contract import names

FOLDER_NAME = re.compile(r"[a-z][a-z0-9_-]{0,49}")
PACKAGE_NAME = re.compile(r"[a-z][a-z0-9_]{0,49}")
ENV_NAME = re.compile(r"[A-Z][A-Z0-9_]{0,99}")
PARAM_NAME = re.compile(r"[a-z][a-z0-9_]{0,49}")
URL_PATH = re.compile(r"/[A-Za-z0-9/._~-]{0,199}")
# Characters that AWS takes in the value of a tag, because the owner becomes one.
OWNER = re.compile(r"[\w.:/=+@-]([\w .:/=+@-]{0,126}[\w.:/=+@-])?")

NOT_JSON = frozenset({".csv", ".tsv", ".parquet", ".xlsx", ".xls", ".feather", ".html", ".png", ".pdf", ".rds", ".pkl"})

LONGEST_VALUE = 2_000
LONGEST_REASON = 200
TAKEN_VARIABLES = ("PATH", "PORT", "HOME", "TMPDIR", "PYTHONPATH")
TAKEN_PREFIXES = ("HERD_", "AWS_", "ECS_")


def _match(value: str, pattern: re.Pattern[str], rule: str) -> str:
    if not pattern.fullmatch(value):
        raise ValueError(rule)
    return value


def workload_name(value: str) -> str:
    return _match(value, names.WORKLOAD, f"is not a name of a workload; allowed: {names.WORKLOAD_RULE}")


def folder_name(value: str) -> str:
    return _match(value, FOLDER_NAME, "must be the name of a folder below images/: a-z, 0-9, - and _, a letter first")


def package_name(value: str) -> str:
    if value in sys.stdlib_module_names:
        raise ValueError("is the name of one of Python's own modules and would hide it; rename the folder")
    return _match(value, PACKAGE_NAME, "must be the name of a folder below lib/ that can be imported: a-z, 0-9 and _")


def item(value: str) -> str:
    return _match(value, names.ITEM, f"must be {names.ITEM_RULE}")


def unique_items(values: tuple[str, ...]) -> tuple[str, ...]:
    """Items become folders, and some laptops do not tell upper case from lower case.

    A list without any would be one task without an item, which is what nobody means.
    """
    if not values:
        raise ValueError("has no items: leave the setting out for one task, or name what each task is for")
    seen: dict[str, str] = {}
    for value in values:
        if value.lower() in seen:
            raise ValueError(f"names {value!r} twice: each item needs a folder of its own")
        seen[value.lower()] = value
    return values


def owner(value: str) -> str:
    return _match(
        value, OWNER, "must say who answers for it: an address or a team, up to 128 letters, digits and .:/=+@-_"
    )


def reason(value: Any) -> str | None:
    """Why something rests. It stands in tables, in a mail's first line and in the console of EventBridge Scheduler."""
    if value is None or value == "none":
        return None
    if not isinstance(value, str) or not value.strip():
        raise ValueError('must say why, and until when, in quotes, like "the source is rebuilt, until 2027-03-01"')
    if not value.isprintable() or len(value) > LONGEST_REASON:
        raise ValueError(f"must be one line of up to {LONGEST_REASON} characters that can be printed")
    return value.strip()


SHELL = ("bash", "-e", "-o", "pipefail", "-c")


def as_command(value: Any) -> Any:
    """A list is exact; a string goes through a shell, as people expect of a line with `&&` or `$VARIABLE` in it.

    A step that fails ends it, also before a pipe: else a run whose last line is well would be published.
    """
    return [*SHELL, value] if isinstance(value, str) and value.strip() else value


def argument(value: str) -> str:
    if "\0" in value:
        raise ValueError("must not contain the character NUL")
    return value


def url_path(value: str) -> str:
    return _match(value, URL_PATH, 'must be a path that begins with "/", like "/health"')


def output_file(value: str) -> str:
    parts = value.split("/")
    if not value.isprintable() or "\\" in value or len(value) > 200 or any(part in ("", ".", "..") for part in parts):
        raise ValueError('must be a file below outputs/, like "metrics.json"')
    if parts[0].lower() == "outputs" and len(parts) > 1:
        raise ValueError(f'is looked for below outputs/, where no second outputs/ is; write "{"/".join(parts[1:])}"')
    return value


def json_file(value: str) -> str:
    """As `output_file`, and not of another format by its name."""
    suffix = PurePosixPath(output_file(value)).suffix.lower()
    if suffix in NOT_JSON:
        raise ValueError(f"is no JSON file by its name ({suffix}); `rows`, `nulls` or `query` look into a table")
    return value


def cache_path(value: str) -> str:
    """A file or folder that a run leaves for the next one. `_targets/` is `_targets`."""
    path = value.removesuffix("/")
    parts = path.split("/")
    wrong = not path.isprintable() or "\\" in path or len(path) > 200 or any(part in ("", ".", "..") for part in parts)
    if wrong or set("*?[") & set(path):
        raise ValueError('must be a file or folder below the workload\'s own, like "_targets"')
    if parts[0].lower() in ("inputs", "outputs"):
        raise ValueError(f"lies in {parts[0]}/, which each run gets anew; keep what is to stay in a folder of its own")
    return path


def unique_paths(values: tuple[str, ...]) -> tuple[str, ...]:
    """None of them lies at or below another."""
    for number, value in enumerate(values):
        for other in (*values[:number], *values[number + 1 :]):
            if f"{value}/".lower().startswith(f"{other}/".lower()):
                raise ValueError(f"names {other!r} and {value!r}: one is part of the other; name it once")
    return values


def table_file(value: str) -> str:
    """As `output_file`; `*` stands for what differs in the names of several files."""
    parts = value.split("/")
    if parts[0] == "inputs" and len(parts) < 3:
        raise ValueError('must name a file of an input, like "inputs/ingest-flights/flights.parquet"')
    return output_file(value)


def column(value: str) -> str:
    if not value or "\0" in value or len(value) > 200:
        raise ValueError("must be the name of a column")
    return value


def query(value: str) -> str:
    if not re.match(r"\s*(--[^\n]*\n\s*)*(select|with|from|values|\()", value, re.IGNORECASE) or "\0" in value:
        raise ValueError("must be one SELECT, like \"SELECT count(*) FROM 'flights.parquet'\"")
    if len(value) > LONGEST_VALUE:
        raise ValueError(f"must have up to {LONGEST_VALUE:,} characters")
    if slip := re.search(r"(['\"])(?:\./)?outputs/([^'\"]+)\1", value, re.IGNORECASE):
        raise ValueError(
            f"reads {slip[0]}: files are looked for below outputs/ already; write {slip[1]}{slip[2]}{slip[1]}"
        )
    return value


def dotted_path(value: str) -> str:
    if not value.isprintable() or len(value) > 200 or not all(value.split(".")):
        raise ValueError('must be a key of the JSON file, like "auc" or "test.auc"')
    return value


@cache
def zones() -> frozenset[str]:
    """Names of time zones that this machine knows, without its own aliases, which AWS does not know."""
    return frozenset(available_timezones() - {"localtime", "Factory", "posixrules"})


def timezone(value: str) -> str:
    if value not in zones():
        # Old abbreviations such as EST know no summer time: never the better word for CEST.
        near = nearest(value, (zone for zone in zones() if "/" in zone or zone == "UTC"))
        hint = f"; did you mean '{near}'?" if near else '; allowed: IANA names, like "UTC" or "Europe/Amsterdam"'
        raise ValueError(f"is not a time zone{hint}")
    return value


def env_name(value: str) -> str:
    if not ENV_NAME.fullmatch(value):
        raise ValueError("is not a name of a variable; allowed: A-Z, 0-9 and _, a letter first")
    if value in TAKEN_VARIABLES or value.startswith(TAKEN_PREFIXES):
        raise ValueError(
            f"is set by the platform; taken: {', '.join(TAKEN_VARIABLES)} and what begins with "
            f"{', '.join(TAKEN_PREFIXES)}"
        )
    return value


def hardware_name(value: str) -> str:
    """Which there are, the stack's settings say (`herd.infra.spec.rules_offer`)."""
    return _match(value, FOLDER_NAME, f"is not a name of hardware; allowed: {', '.join(MANAGED)}, vm or a pool's")


def secret_name(value: str) -> str:
    """Whoever writes the secret itself here is told so, and what was written is not shown."""
    rule = f"must be the name of a secret ({names.SECRET_RULE}), never its value: `herd secret set NAME` keeps that"
    return _match(value, names.SECRET, rule)


def param_name(value: str) -> str:
    return _match(value, PARAM_NAME, "is not a name of a parameter; allowed: a-z, 0-9 and _, a letter first")


def text_value(value: str) -> str:
    """A process takes no NUL in its environment, and a task definition has 64 KB for everything."""
    if "\0" in value or len(value) > LONGEST_VALUE:
        raise ValueError(f"must be text of up to {LONGEST_VALUE} characters without NUL")
    return value


def scalar(value: Any) -> bool | int | float | str:
    if isinstance(value, str):
        return text_value(value)
    if isinstance(value, float) and not math.isfinite(value) or isinstance(value, int) and abs(value) >= 2**63:
        raise ValueError("must be a finite number of at most 64 bits")
    if not isinstance(value, bool | int | float):
        raise ValueError("must be text in quotes, a number, true or false")
    return value


def unique(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """For lists of names and of reads."""
    written = [getattr(value, "name", value) for value in values]
    for name in written:
        if written.count(name) > 1:
            raise ValueError(f"names '{name}' twice")
    return values
