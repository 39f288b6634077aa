"""The small rules for single words of a settings file: one function a rule.

Each returns the value or raises ValueError with the rest of a sentence that begins with the setting and its value:
`image = "../x"` + `must be …`.
"""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any
from zoneinfo import available_timezones

WORKLOAD_NAME = re.compile(r"[a-z][a-z0-9-]{0,28}[a-z0-9]")
FOLDER_NAME = re.compile(r"[a-z][a-z0-9_-]{0,49}")
PACKAGE_NAME = re.compile(r"[a-z][a-z0-9_]{0,49}")
ITEM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,49}")
ENV_NAME = re.compile(r"[A-Z][A-Z0-9_]{0,99}")
PARAM_NAME = re.compile(r"[a-z][a-z0-9_]{0,49}")
URL_PATH = re.compile(r"/[A-Za-z0-9/._~-]{0,199}")
# Characters that AWS takes in the value of a tag, because the owner becomes one.
OWNER = re.compile(r"[\w .:/=+@-]{1,128}")

TAKEN_VARIABLES = ("PATH", "PORT", "HOME", "TMPDIR", "PYTHONPATH")
TAKEN_PREFIXES = ("HERD_", "AWS_", "ECS_")


def _match(value: str, pattern: re.Pattern[str], rule: str) -> str:
    if not pattern.fullmatch(value):
        raise ValueError(rule)
    return value


def workload_name(value: str) -> str:
    return _match(value, WORKLOAD_NAME, "is not a name of a workload: 2 to 30 of a-z, 0-9 and -, a letter first, no - last")


def folder_name(value: str) -> str:
    return _match(value, FOLDER_NAME, "must be the name of a folder below images/: a-z, 0-9, - and _, a letter first")


def package_name(value: str) -> str:
    return _match(value, PACKAGE_NAME, "must be the name of a folder below lib/: a-z, 0-9 and _, so that it can be imported")


def item(value: str) -> str:
    return _match(value, ITEM, "must be 1 to 50 of letters, digits, '.', '_' and '-', a letter or digit first")


def unique_items(values: tuple[str, ...]) -> tuple[str, ...]:
    """Items become folders, and some laptops do not tell upper case from lower case."""
    seen: dict[str, str] = {}
    for value in values:
        if value.lower() in seen:
            raise ValueError(f"names {value!r} twice: each item needs a folder of its own")
        seen[value.lower()] = value
    return values


def owner(value: str) -> str:
    return _match(value.strip(), OWNER, "must say who is told: an address or a team, 1 to 128 letters, digits, spaces and .:/=+@-_")


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
        raise ValueError('is not a time zone; allowed: IANA names, like "UTC" or "Europe/Amsterdam"')
    return value


def params(value: Any) -> Any:
    return value


def env(value: Mapping[str, Any]) -> Any:
    return value
