"""What botocore's service models say of arguments, checked as AWS's servers check it and its SDKs do not.

Required members, lengths, patterns, sets of values, sizes of lists and maps, ranges of numbers. A checker is compiled
once for each operation; one without constraints costs nothing. Where a model is wrong, or says less than the service
takes, `EXCEPTIONS` says so with the reason.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

from localcloud.request import Arguments, Refused
from localcloud.request.models import model

Problem = tuple[str, str]
"""Where (`tags.1.member.key`), and AWS's words for what is wrong there."""

Check = Callable[[Any, str], Iterator[Problem]]

EXCEPTIONS: Mapping[tuple[str, str], str] = {
    ("ec2", "InstanceType"): "new instance types appear every month; EC2 itself says which it has",
    ("ec2", "*enum"): "EC2 answers unknown values differently by operation; its models lag behind it",
    ("s3", "BucketLocationConstraint"): "the model's list of regions lags behind AWS's",
    ("s3", "*required"): "an empty configuration is told by its XML; S3's own errors come from moto",
}
"""Service and shape (or `*enum`, `*required`: all of its) → why it is not checked."""

MADE_HERE = re.compile(
    r"(Next|Starting|Continuation|Pagination|next|pagination)?_?([Tt]oken|[Mm]arker)|LastEvaluated\w+"
)
"""Members whose values moto made, longer than AWS's: where a list goes on."""

CODES: Mapping[str, tuple[str, str]] = {
    "ecs": ("InvalidParameterException", "InvalidParameterException"),
    "ecr": ("InvalidParameterException", "InvalidParameterException"),
    "logs": ("InvalidParameterException", "InvalidParameterException"),
    "secretsmanager": ("InvalidParameterException", "InvalidParameterException"),
    "ec2": ("InvalidParameterValue", "MissingParameter"),
    "sns": ("InvalidParameter", "InvalidParameter"),
    "sqs": ("InvalidParameterValue", "MissingParameter"),
    "s3": ("InvalidArgument", "MalformedXML"),
    "s3control": ("InvalidArgument", "MalformedXML"),
    "cloudfront": ("InvalidArgument", "InvalidArgument"),
    "route53": ("InvalidInput", "InvalidInput"),
}
"""Service → code where a value is wrong, code where one is missing."""

CODES_BY_PROTOCOL: Mapping[str, str] = {"query": "ValidationError"}
_SHOWN = 200  # characters of a value in a message


def check(service: str, operation: str, protocol: str, arguments: Arguments) -> None:
    """Raise `Refused` with all that the model forbids, in AWS's words."""
    checker = checker_of(service, operation)
    if checker is None:
        return
    problems = list(checker(arguments, ""))
    if not problems:
        return
    missing = all(words.endswith("must not be null") for _, words in problems)
    wrong, absent = CODES.get(service) or (CODES_BY_PROTOCOL.get(protocol, "ValidationException"),) * 2
    errors = "error" if len(problems) == 1 else "errors"
    message = "; ".join(words for _, words in problems)
    raise Refused(absent if missing else wrong, f"{len(problems)} validation {errors} detected: {message}")


@cache
def checker_of(service: str, operation: str) -> Check | None:
    """What judges an operation's arguments; None if nothing can be wrong with them."""
    known = model(service)
    if known is None or operation not in known.operation_names:
        return None
    shape = known.operation_model(operation).input_shape
    return None if shape is None else _Compiler(service).of(shape)


class _Compiler:
    """Makes checkers of one operation's shapes; a shape that holds itself is looked up when it is met again."""

    def __init__(self, service: str):
        self._service = service
        self._made: dict[str, Check | None] = {}
        self._making: set[str] = set()

    def of(self, shape: Any) -> Check | None:
        name = f"{shape.type_name}:{shape.name}:{sorted(map(str, shape.metadata.items()))}"
        if name in self._making:
            return lambda value, path: iter(()) if (again := self._made.get(name)) is None else again(value, path)
        if name not in self._made:
            self._making.add(name)
            self._made[name] = self._compile(shape)
            self._making.discard(name)
        return self._made[name]

    def _compile(self, shape: Any) -> Check | None:
        checks: list[Check | None] = list(self._own(shape))
        match shape.type_name:
            case "structure":
                checks += [self._structure(shape)]
            case "list":
                checks += [_items(self.of(shape.member))]
            case "map":
                checks += [_entries(self.of(shape.key), self.of(shape.value))]
        real = [each for each in checks if each is not None]
        return _all(real) if real else None

    def _own(self, shape: Any) -> Iterator[Check]:
        if (self._service, shape.name) in EXCEPTIONS:
            return
        limits, secret = shape.metadata, bool(shape.metadata.get("sensitive"))
        match shape.type_name:
            case "string":
                values = limits.get("enum") if (self._service, "*enum") not in EXCEPTIONS else None
                pattern = _compiled(limits["pattern"]) if limits.get("pattern") else None
                if values or pattern or {"min", "max"} & set(limits):
                    yield _text(limits, pattern, tuple(values or ()), secret)
            case "list" | "map" | "blob" if {"min", "max"} & set(limits):
                yield _size(limits)
            case "integer" | "long" | "float" | "double" if {"min", "max"} & set(limits):
                yield _number(limits)

    def _structure(self, shape: Any) -> Check | None:
        required = () if (self._service, "*required") in EXCEPTIONS else tuple(shape.required_members)
        judged_here = {name: each for name, each in shape.members.items() if not MADE_HERE.fullmatch(name)}
        members = {name: self.of(member) for name, member in judged_here.items()}
        judged = {name: each for name, each in members.items() if each is not None}
        if not required and not judged:
            return None

        def check(value: Any, path: str) -> Iterator[Problem]:
            if not isinstance(value, Mapping):
                return
            for name in required:
                if value.get(name) is None:
                    where = _join(path, name)
                    yield where, f"Value null at '{where}' failed to satisfy constraint: Member must not be null"
            for name, each in judged.items():
                inner = value.get(name)
                if inner is not None:
                    yield from each(inner, _join(path, name))

        return check


def _all(checks: list[Check]) -> Check:
    if len(checks) == 1:
        return checks[0]

    def check(value: Any, path: str) -> Iterator[Problem]:
        for each in checks:
            yield from each(value, path)

    return check


def _items(member: Check | None) -> Check | None:
    if member is None:
        return None

    def check(value: Any, path: str) -> Iterator[Problem]:
        for index, item in enumerate(value if isinstance(value, list) else ()):
            yield from member(item, f"{path}.{index + 1}.member")

    return check


def _entries(key: Check | None, value: Check | None) -> Check | None:
    if key is None and value is None:
        return None

    def check(entries: Any, path: str) -> Iterator[Problem]:
        for name, item in entries.items() if isinstance(entries, Mapping) else ():
            if key is not None:
                yield from key(name, path)
            if value is not None:
                yield from value(item, f"{path}.{name}.member")

    return check


def _text(limits: Mapping[str, Any], pattern: re.Pattern[str] | None, values: tuple[str, ...], secret: bool) -> Check:
    least, most = limits.get("min"), limits.get("max")

    def check(value: Any, path: str) -> Iterator[Problem]:
        if not isinstance(value, str):
            return
        if values and value not in values:
            yield _said(path, value, secret, f"Member must satisfy enum value set: [{', '.join(values)}]")
            return
        if least is not None and len(value) < int(least):
            yield _said(path, value, secret, f"Member must have length greater than or equal to {least}")
        elif most is not None and len(value) > int(most):
            yield _said(path, value, secret, f"Member must have length less than or equal to {most}")
        if pattern is not None and not pattern.fullmatch(value):
            yield _said(path, value, secret, f"Member must satisfy regular expression pattern: {limits['pattern']}")

    return check


def _size(limits: Mapping[str, Any]) -> Check:
    least, most = limits.get("min"), limits.get("max")

    def check(value: Any, path: str) -> Iterator[Problem]:
        count = len(value) if isinstance(value, list | Mapping | bytes | str) else None
        if count is None:
            return
        if least is not None and count < int(least):
            yield _said(path, value, True, f"Member must have length greater than or equal to {least}")
        elif most is not None and count > int(most):
            yield _said(path, value, True, f"Member must have length less than or equal to {most}")

    return check


def _number(limits: Mapping[str, Any]) -> Check:
    least, most = limits.get("min"), limits.get("max")

    def check(value: Any, path: str) -> Iterator[Problem]:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return
        if least is not None and value < float(least):
            yield _said(path, value, False, f"Member must have value greater than or equal to {least}")
        elif most is not None and value > float(most):
            yield _said(path, value, False, f"Member must have value less than or equal to {most}")

    return check


def _said(path: str, value: Any, hidden: bool, words: str) -> Problem:
    shown = "" if hidden else f" '{str(value)[:_SHOWN]}'"
    return path, f"Value{shown} at '{path}' failed to satisfy constraint: {words}"


def _join(path: str, name: str) -> str:
    inner = name[:1].lower() + name[1:]
    return f"{path}.{inner}" if path else inner


# Java's classes of characters, in Python's words and rather too wide than too narrow.
_CLASSES = {
    r"\p{L}": r"a-zA-Z\u00aa-\U0010ffff",
    r"\p{M}": r"\u0300-\U0010ffff",
    r"\p{Z}": r" \u00a0\u2000-\u200a\u2028\u2029\u3000",
    r"\p{N}": r"0-9\u00b2-\U0010ffff",
    r"\p{S}": r"$+<=>^`|~\u00a2-\U0010ffff",
    r"\p{P}": r"!-#%-*,-/:;?@\[-\]_{}\u00a1-\U0010ffff",
    r"\p{Alnum}": "a-zA-Z0-9",
    r"\p{Alpha}": "a-zA-Z",
    r"\p{Graph}": "!-~",
    r"\p{Print}": " -~",
    r"\p{ASCII}": r"\x00-\x7f",
    r"\p{IsAlphabetic}": r"a-zA-Z\u00aa-\U0010ffff",
    r"\p{IsLetter}": r"a-zA-Z\u00aa-\U0010ffff",
    r"\p{Nd}": "0-9",
    r"\p{Zs}": r" \u00a0\u2000-\u200a\u3000",
    r"\p{Cc}": r"\x00-\x1f\x7f",
    r"\p{Lu}": r"A-Z\u00c0-\U0010ffff",
    r"\p{Ll}": r"a-z\u00df-\U0010ffff",
    r"\p{Space}": r"\s",
    r"\p{Blank}": r" \t",
    r"\p{Digit}": "0-9",
    r"[:alnum:]": "a-zA-Z0-9",
    r"[:alpha:]": "a-zA-Z",
    r"[:digit:]": "0-9",
    r"[:print:]": " -~",
    r"[:graph:]": "!-~",
}
_SURROGATES = re.compile(r"\\uD800\\uDC00-\\uDBFF\\uDFFF", re.IGNORECASE)


@cache
def _compiled(pattern: str) -> re.Pattern[str] | None:
    """A Java pattern in Python; None where there is no such thing, so that it is not checked."""
    text = _in_python(_SURROGATES.sub(r"\\U00010000-\\U0010ffff", pattern))
    text = text.replace(r"\w-", r"\w\-")
    if r"\p{" in text or r"\P{" in text:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a set in a set means something else in Java
        try:
            return re.compile(text, re.DOTALL)
        except (re.error, FutureWarning, DeprecationWarning):
            return None


def _in_python(pattern: str) -> str:
    """With Java's classes replaced: inside of brackets by what they hold, elsewhere by a set of it."""
    translated, at, inside = "", 0, False
    while at < len(pattern):
        name = next((known for known in _CLASSES if pattern.startswith(known, at)), None)
        if name is not None:
            translated += _CLASSES[name] if inside or name.startswith("[:") else f"[{_CLASSES[name]}]"
            at += len(name)
            continue
        step = 2 if pattern[at] == "\\" else 1
        inside = pattern[at] == "[" or (inside and pattern[at] != "]")
        translated += pattern[at : at + step]
        at += step
    return translated
