"""Metric math: expressions over series of the same periods.

A subset of https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html: arithmetic,
comparisons, AND, OR, and the functions in `FUNCTIONS`. What is not there is refused by name. Where one side of an
operation has no data point, or a division is by zero, the result has none.
"""

from __future__ import annotations

import math
import operator
import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Line = list[float | None]
"""A value for each period, None where there is none."""

Value = float | Line | list[Line]
"""A scalar, a time series, or an array of time series."""

_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+)|(?P<word>[A-Za-z_][A-Za-z0-9_]*)|(?P<text>\"[^\"]*\"|'[^']*')"
    r"|(?P<sign>&&|\|\||==|!=|<=|>=|[-+*/^<>()\[\],]))"
)

_BINARY: Sequence[Mapping[str, Callable[[float, float], float]]] = (
    {"||": lambda a, b: float(bool(a) or bool(b)), "OR": lambda a, b: float(bool(a) or bool(b))},
    {"&&": lambda a, b: float(bool(a) and bool(b)), "AND": lambda a, b: float(bool(a) and bool(b))},
    {
        "==": lambda a, b: float(a == b), "!=": lambda a, b: float(a != b), "<": lambda a, b: float(a < b),
        "<=": lambda a, b: float(a <= b), ">": lambda a, b: float(a > b), ">=": lambda a, b: float(a >= b),
    },
    {"+": operator.add, "-": operator.sub},
    {"*": operator.mul, "/": operator.truediv},
    {"^": operator.pow},
)  # fmt: skip
"""Operators, those that bind loosest first."""

DEEPEST = 50


@dataclass(frozen=True)
class Node:
    """A part of an expression: `kind` is number, id, op, call or array."""

    kind: str
    name: str = ""
    number: float = 0.0
    parts: tuple[Node, ...] = ()


class _Parser:
    def __init__(self, text: str):
        self._tokens: list[tuple[str, str]] = []
        self._place = 0
        self._depth = 0
        place = 0
        while text[place:].strip():
            match = _TOKEN.match(text, place)
            if match is None:
                raise ValueError(f"{text[place:].strip()[:20]!r} cannot be read")
            kind = str(match.lastgroup)
            self._tokens.append((kind, match[kind]))
            place = match.end()

    def whole(self) -> Node:
        node = self._level(0)
        if self._place < len(self._tokens):
            raise ValueError(f"{self._tokens[self._place][1]!r} is not expected")
        return node

    def _peek(self) -> str:
        return self._tokens[self._place][1] if self._place < len(self._tokens) else ""

    def _take(self, *wanted: str) -> str:
        token = self._peek()
        if not token or (wanted and token not in wanted):
            raise ValueError(f"{token!r} where {' or '.join(wanted)} is expected" if token else "it ends too early")
        self._place += 1
        return token

    def _level(self, level: int) -> Node:
        if level == len(_BINARY):
            return self._unary()
        node = self._level(level + 1)
        while self._peek().upper() in _BINARY[level]:
            name = self._take().upper()
            node = Node("op", name, parts=(node, self._level(level + 1)))
        return node

    def _unary(self) -> Node:
        self._depth += 1
        if self._depth > DEEPEST:
            raise ValueError(f"it is nested deeper than {DEEPEST} times")
        try:
            if self._peek() == "-":
                self._take()
                return Node("op", "-", parts=(Node("number"), self._unary()))
            return self._atom()
        finally:
            self._depth -= 1

    def _atom(self) -> Node:
        if self._place >= len(self._tokens):
            raise ValueError("it ends too early")
        kind, token = self._tokens[self._place]
        if token == "(":
            self._take("(")
            node = self._level(0)
            self._take(")")
            return node
        if token == "[":
            return Node("array", parts=self._list("[", "]"))
        self._place += 1
        if kind == "number":
            return Node("number", number=float(token))
        if kind == "text":
            return Node("text", token[1:-1])
        if kind != "word":
            raise ValueError(f"{token!r} is not expected")
        if self._peek() == "(":
            return Node("call", token.upper(), parts=self._list("(", ")"))
        return Node("id", token)

    def _list(self, opening: str, closing: str) -> tuple[Node, ...]:
        self._take(opening)
        parts: list[Node] = []
        while self._peek() != closing:
            if parts:
                self._take(",")
            parts.append(self._level(0))
        self._take(closing)
        return tuple(parts)


def parse(text: str) -> Node:
    """An expression. Raises ValueError."""
    return _Parser(text).whole()


_WORDS = ("REPEAT", "LINEAR")


def check(text: str, ids: Sequence[str]) -> None:
    """Raise ValueError unless an expression can be computed from the metrics with these ids."""
    if text.lstrip().upper().startswith("SELECT"):
        raise ValueError("Metrics Insights queries (SELECT) are not there in the local cloud")
    _check(parse(text), ids)


def _check(node: Node, ids: Sequence[str]) -> None:
    if node.kind == "call":
        if node.name not in FUNCTIONS:
            raise ValueError(f"the function {node.name} is not there in the local cloud, which has "
                             f"{', '.join(sorted(FUNCTIONS))}")  # fmt: skip
        fewest, most = FUNCTIONS[node.name][0]
        if not fewest <= len(node.parts) <= most:
            raise ValueError(f"{node.name} takes {fewest}{f' to {most}' if most > fewest else ''} arguments")
    elif node.kind == "id" and node.name not in ids and node.name.upper() not in _WORDS:
        raise ValueError(f"no metric of this query has the id {node.name}")
    elif node.kind == "text" and node.name:
        raise ValueError(f"the text {node.name!r} cannot be used here")
    for part in node.parts:
        _check(part, ids)


def compute(text: str, lines: Mapping[str, Line], period: int) -> Line:
    """An expression's series over the periods of `lines`, by their ids. Raises ValueError."""
    length = len(next(iter(lines.values()), []))
    value = _Computation(lines, period, length).value(parse(text))
    if isinstance(value, float):
        return [value] * length
    if value and isinstance(value[0], list):
        if len(value) == 1:
            return list(value[0])
        raise ValueError(f"{text} is an array of time series, not one")
    return value  # type: ignore[return-value]


class _Computation:
    def __init__(self, lines: Mapping[str, Line], period: int, length: int):
        self._lines, self.period, self.length = lines, period, length

    def value(self, node: Node) -> Value:
        match node.kind:
            case "number":
                return node.number
            case "id":
                if node.name not in self._lines:
                    raise ValueError(f"no metric has the id {node.name}")
                return self._lines[node.name]
            case "array":
                return [line for part in node.parts for line in _lines(self.value(part), self.length)]
            case "op":
                call = next(level[node.name] for level in _BINARY if node.name in level)
                return _spread(call, self.value(node.parts[0]), self.value(node.parts[1]))
        return FUNCTIONS[node.name][1](self, node.parts)

    def metrics(self) -> list[Line]:
        """All metrics of the query."""
        return list(self._lines.values())


Function = Callable[[_Computation, tuple[Node, ...]], Value]


def _lines(value: Value, length: int) -> list[Line]:
    if isinstance(value, float):
        return [[value] * length]
    if value and isinstance(value[0], list):
        return value
    return [value]  # type: ignore[list-item]


def _one(call: Callable[..., float], *values: float | None) -> float | None:
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return None
    try:
        result = call(*known)
    except (ArithmeticError, ValueError):
        return None
    return float(result) if isinstance(result, (int, float)) and math.isfinite(result) else None


def _spread(call: Callable[..., float], first: Value, second: Value) -> Value:
    """Apply to scalars, and point by point to series and arrays."""
    if isinstance(first, float) and isinstance(second, float):
        answer = _one(call, first, second)
        return math.nan if answer is None else answer
    length = max(len(line) for value in (first, second) if not isinstance(value, float) for line in _lines(value, 0))
    left, right = _lines(first, length), _lines(second, length)
    if len(left) != len(right) and 1 not in (len(left), len(right)):
        raise ValueError("two arrays of different lengths cannot be combined")
    pairs = [(left[i % len(left)], right[i % len(right)]) for i in range(max(len(left), len(right)))]
    answer_lines = [[_one(call, a, b) for a, b in zip(*pair, strict=True)] for pair in pairs]
    return answer_lines if len(answer_lines) > 1 else answer_lines[0]


def _aggregate(call: Callable[[list[float]], float]) -> Function:
    """Over an array point by point to a series; over one series to a scalar."""

    def function(computation: _Computation, parts: tuple[Node, ...]) -> Value:
        values = [computation.value(part) for part in parts]
        lines = [line for value in values for line in _lines(value, computation.length)]
        if len(values) == 1 and not _is_array(parts[0]) and len(lines) == 1 and not isinstance(values[0], float):
            known = [each for each in lines[0] if each is not None]
            return call(known) if known else math.nan
        columns = [[each for each in column if each is not None] for column in zip(*lines, strict=True)]
        return [call(column) if column else None for column in columns]

    return function


def _is_array(node: Node) -> bool:
    return node.kind == "array" or node.name == "METRICS"


def _count(computation: _Computation, parts: tuple[Node, ...]) -> Value:
    return float(len(_lines(computation.value(parts[0]), computation.length)))


def _each(call: Callable[[float], float]) -> Function:
    def function(computation: _Computation, parts: tuple[Node, ...]) -> Value:
        return _spread(lambda value, _: call(value), computation.value(parts[0]), 0.0)

    return function


def _fill(computation: _Computation, parts: tuple[Node, ...]) -> Value:
    lines = _lines(computation.value(parts[0]), computation.length)
    word = parts[1].name.upper() if parts[1].kind == "id" else ""
    if word == "REPEAT":
        filled = [_repeat(line) for line in lines]
    elif word == "LINEAR":
        filled = [_linear(line) for line in lines]
    else:
        by = _lines(computation.value(parts[1]), computation.length)[0]
        filled = [[b if a is None else a for a, b in zip(line, by, strict=True)] for line in lines]
    return filled if len(filled) > 1 else filled[0]


def _repeat(line: Line) -> Line:
    answer: Line = []
    for value in line:
        answer.append(value if value is not None or not answer else answer[-1])
    return answer


def _linear(line: Line) -> Line:
    known = [(place, value) for place, value in enumerate(line) if value is not None]
    answer = list(line)
    for (start, first), (end, last) in zip(known, known[1:], strict=False):
        for place in range(start + 1, end):
            answer[place] = first + (last - first) * (place - start) / (end - start)
    return answer


def _if(computation: _Computation, parts: tuple[Node, ...]) -> Value:
    values = [computation.value(part) for part in parts]
    if all(isinstance(value, float) for value in values):
        otherwise = values[2] if len(values) > 2 else math.nan
        return values[1] if values[0] else otherwise
    tested, then, *rest = (_lines(value, computation.length)[0] for value in values)
    otherwise_line: Line = rest[0] if rest else [None] * computation.length
    return [
        None if test is None else (yes if test else no)
        for test, yes, no in zip(tested, then, otherwise_line, strict=True)
    ]


def _change(computation: _Computation, parts: tuple[Node, ...], per_second: bool) -> Value:
    line = _lines(computation.value(parts[0]), computation.length)[0]
    answer: Line = [None] * len(line)
    before: tuple[int, float] | None = None
    for place, value in enumerate(line):
        if value is None:
            continue
        if before is not None:
            seconds = (place - before[0]) * computation.period
            answer[place] = (value - before[1]) / (seconds if per_second else 1)
        before = place, value
    return answer


def _running_sum(computation: _Computation, parts: tuple[Node, ...]) -> Value:
    total, answer = 0.0, []
    for value in _lines(computation.value(parts[0]), computation.length)[0]:
        total += value or 0.0
        answer.append(None if value is None else total)
    return answer


FUNCTIONS: Mapping[str, tuple[tuple[int, int], Function]] = {
    "ABS": ((1, 1), _each(abs)),
    "AVG": ((1, 10), _aggregate(statistics.fmean)),
    "CEIL": ((1, 1), _each(math.ceil)),
    "DIFF": ((1, 1), lambda computation, parts: _change(computation, parts, per_second=False)),
    "FILL": ((2, 2), _fill),
    "FLOOR": ((1, 1), _each(math.floor)),
    "IF": ((2, 3), _if),
    "LOG": ((1, 1), _each(math.log)),
    "LOG10": ((1, 1), _each(math.log10)),
    "MAX": ((1, 10), _aggregate(max)),
    "METRICS": ((0, 0), lambda computation, parts: computation.metrics()),
    "METRIC_COUNT": ((1, 1), _count),
    "MIN": ((1, 10), _aggregate(min)),
    "PERIOD": ((1, 1), lambda computation, parts: float(computation.period)),
    "RATE": ((1, 1), lambda computation, parts: _change(computation, parts, per_second=True)),
    "RUNNING_SUM": ((1, 1), _running_sum),
    "STDDEV": ((1, 10), _aggregate(statistics.pstdev)),
    "SUM": ((1, 10), _aggregate(math.fsum)),
    "TIME_SERIES": ((1, 1), lambda computation, parts: _lines(computation.value(parts[0]), computation.length)[0]),
}  # fmt: skip
"""Name -> how few and how many arguments it takes, and what it does."""
