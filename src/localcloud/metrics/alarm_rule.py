"""The rule of a composite alarm: states of other alarms, combined.

    ALARM("a") AND (OK(b) OR NOT INSUFFICIENT_DATA(c)) · TRUE · FALSE · AT_LEAST(2, ALARM, (a, b, c))

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutCompositeAlarm.html
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

STATES = ("ALARM", "OK", "INSUFFICIENT_DATA")

MOST_CHILDREN = 100
MOST_ELEMENTS = 500
DEEPEST = 50

_TOKEN = re.compile(r"\s*(?:(?P<sign>[(),])|(?P<quoted>\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')|(?P<word>[^\s(),\"']+))")


@dataclass(frozen=True)
class Rule:
    """A part of a rule: `kind` is a state, NOT, AND, OR, TRUE, FALSE or AT_LEAST."""

    kind: str
    alarm: str = ""
    parts: tuple[Rule, ...] = ()
    least: str = ""

    def alarms(self) -> Iterator[str]:
        """The names or ARNs of the alarms that it looks at."""
        if self.alarm:
            yield self.alarm
        for part in self.parts:
            yield from part.alarms()

    def holds(self, state: Callable[[str], str]) -> bool:
        """Is it true, by the state of each alarm?"""
        match self.kind:
            case "TRUE" | "FALSE":
                return self.kind == "TRUE"
            case "NOT":
                return not self.parts[0].holds(state)
            case "AND":
                return all(part.holds(state) for part in self.parts)
            case "OR":
                return any(part.holds(state) for part in self.parts)
            case "AT_LEAST":
                return sum(part.holds(state) for part in self.parts) >= self._needed()
        return state(self.alarm) == self.kind

    def _needed(self) -> int:
        if self.least.endswith("%"):
            return math.ceil(int(self.least[:-1]) / 100 * len(self.parts))
        return int(self.least)


class _Parser:
    def __init__(self, text: str):
        self._tokens: list[tuple[str, str]] = []
        self._place = self._depth = 0
        place = 0
        while text[place:].strip():
            match = _TOKEN.match(text, place)
            if match is None:
                raise ValueError(f"{text[place:].strip()[:20]!r} cannot be read")
            self._tokens.append((str(match.lastgroup), match[str(match.lastgroup)]))
            place = match.end()

    def whole(self) -> Rule:
        rule = self._any("OR", lambda: self._any("AND", self._not))
        if self._place < len(self._tokens):
            raise ValueError(f"{self._tokens[self._place][1]!r} is not expected")
        return rule

    def _next(self) -> tuple[str, str]:
        return self._tokens[self._place] if self._place < len(self._tokens) else ("", "")

    def _take(self, wanted: str = "") -> tuple[str, str]:
        token = self._next()
        if not token[0]:
            raise ValueError("it ends too early")
        if wanted and token != ("sign", wanted):
            raise ValueError(f"{token[1]!r} where {wanted!r} is expected")
        self._place += 1
        return token

    def _any(self, word: str, part: Callable[[], Rule]) -> Rule:
        parts = [part()]
        while self._next() == ("word", word):
            self._take()
            parts.append(part())
        return parts[0] if len(parts) == 1 else Rule(word, parts=tuple(parts))

    def _not(self) -> Rule:
        self._depth += 1
        if self._depth > DEEPEST:
            raise ValueError(f"it is nested deeper than {DEEPEST} times")
        try:
            if self._next() == ("word", "NOT"):
                self._take()
                return Rule("NOT", parts=(self._not(),))
            return self._atom()
        finally:
            self._depth -= 1

    def _atom(self) -> Rule:
        kind, token = self._take()
        if (kind, token) == ("sign", "("):
            rule = self._any("OR", lambda: self._any("AND", self._not))
            self._take(")")
            return rule
        if kind == "word" and token in ("TRUE", "FALSE"):
            return Rule(token)
        if kind == "word" and token in STATES:
            self._take("(")
            alarm = self._name()
            self._take(")")
            return Rule(token, alarm)
        if (kind, token) == ("word", "AT_LEAST"):
            return self._at_least()
        raise ValueError(f"{token!r} is none of {', '.join(STATES)}, AT_LEAST, NOT, TRUE, FALSE")

    def _at_least(self) -> Rule:
        self._take("(")
        _, least = self._take()
        if not re.fullmatch(r"[1-9]\d{0,2}%?", least):
            raise ValueError(f"AT_LEAST takes a number or a percentage, not {least!r}")
        self._take(",")
        _, state = self._take()
        opposite = state == "NOT"
        if opposite:
            _, state = self._take()
        if state not in STATES:
            raise ValueError(f"{state!r} is none of {', '.join(STATES)}")
        self._take(",")
        self._take("(")
        names = [self._name()]
        while self._next() == ("sign", ","):
            self._take(",")
            names.append(self._name())
        self._take(")")
        self._take(")")
        parts = tuple(Rule(state, name) for name in names)
        return Rule(
            "AT_LEAST", parts=tuple(Rule("NOT", parts=(it,)) for it in parts) if opposite else parts, least=least
        )

    def _name(self) -> str:
        kind, token = self._take()
        if kind == "quoted":
            return re.sub(r"\\(.)", r"\1", token[1:-1])
        if kind != "word":
            raise ValueError(f"{token!r} where the name or ARN of an alarm is expected")
        return token


def parse(text: str) -> Rule:
    """A rule. Raises ValueError, also for one that is too large."""
    rule = _Parser(text).whole()
    if len(set(rule.alarms())) > MOST_CHILDREN:
        raise ValueError(f"a rule looks at {MOST_CHILDREN} alarms at most")
    if _size(rule) > MOST_ELEMENTS:
        raise ValueError(f"a rule has {MOST_ELEMENTS} elements at most")
    return rule


def _size(rule: Rule) -> int:
    return 1 + sum(_size(part) for part in rule.parts)
