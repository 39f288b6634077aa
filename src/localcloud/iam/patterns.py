"""AWS's wildcards: `*` and `?` in actions, names and ARNs, and policy variables such as `${aws:PrincipalTag/team}`.

Source: "IAM JSON policy elements: Resource", "… Variables and tags" (IAM user guide).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from localcloud.request.access import Value

Context = Mapping[str, Value]
"""Condition keys in lower case -> value or values. A key that is not there is absent, as on AWS."""


class Circumstances(dict[str, Value]):
    """A context whose tags of the resource are only looked up when a policy asks for one of them."""

    def __init__(self, known: Mapping[str, Value], tags: Callable[[], Mapping[str, str]]):
        super().__init__(known)
        self._tags: Callable[[], Mapping[str, str]] | None = tags

    def get(self, key: str, default: Any = None) -> Any:
        if self._tags is not None and ":resourcetag/" in key:
            tags, self._tags = self._tags, None
            service = key.partition(":")[0]
            for name, value in tags().items():
                self[f"aws:resourcetag/{name.lower()}"] = self[f"{service}:resourcetag/{name.lower()}"] = value
        return super().get(key, default)


VARIABLE = re.compile(r"\$\{\s*([^},]+?)\s*(?:,\s*'([^']*)'\s*)?\}")
LITERALS = {"*": "*", "?": "?", "$": "$"}
ARN_PARTS = 6


@lru_cache(maxsize=8192)
def wildcard(pattern: str, ignore_case: bool = False) -> re.Pattern[str]:
    """`*` is any text, `?` any one character."""
    expression = "".join(_WILD.get(character) or re.escape(character) for character in pattern)
    return re.compile(expression, re.DOTALL | (re.IGNORECASE if ignore_case else 0))


@lru_cache(maxsize=8192)
def arn(pattern: str) -> re.Pattern[str]:
    """As `wildcard`, but in an ARN a wildcard stays within its part; only the last part may hold colons.

    Parts that are left out at the end are any: `arn:aws:sqs:*`.
    """
    parts = pattern.split(":", ARN_PARTS - 1)
    parts += ["*"] * (ARN_PARTS - len(parts))
    heads = ("".join(_WITHIN.get(c) or re.escape(c) for c in part) for part in parts[:-1])
    last = "".join(_WILD.get(c) or re.escape(c) for c in parts[-1])
    return re.compile(":".join([*heads, last]), re.DOTALL)


_WILD = {"*": ".*", "?": "."}
_WITHIN = {"*": "[^:]*", "?": "[^:]"}


def like(pattern: str, value: str, context: Context, *, ignore_case: bool = False) -> bool:
    """Whether `value` fits a pattern with wildcards and variables. A variable without value fits nothing."""
    expanded = expand(pattern, context)
    return expanded is not None and wildcard(expanded, ignore_case).fullmatch(_marked(value)) is not None


def arn_like(pattern: str, value: str, context: Context) -> bool:
    """Whether an ARN fits a pattern of one."""
    if pattern == "*":
        return True
    expanded = expand(pattern, context)
    return expanded is not None and arn(expanded).fullmatch(_marked(value)) is not None


# What a variable stands for is text, also where it has a `*` in it. Such characters are set apart while it is matched.
_SET_APART = str.maketrans({"*": "\ue000", "?": "\ue001"})


def expand(pattern: str, context: Context) -> str | None:
    """The pattern with its variables filled in; None if one of them has no value."""
    if "${" not in pattern:
        return pattern
    missing = False

    def fill(match: re.Match[str]) -> str:
        nonlocal missing
        name, default = match[1], match[2]
        if name in LITERALS:
            return LITERALS[name].translate(_SET_APART)
        value = context.get(name.lower(), default)
        if not isinstance(value, str):
            missing = True
            return ""
        return value.translate(_SET_APART)

    filled = VARIABLE.sub(fill, pattern)
    return None if missing else filled


def _marked(value: str) -> str:
    return value.translate(_SET_APART) if "*" in value or "?" in value else value
