"""Redacts texts for publication: no account numbers, names, addresses, keys and paths.

Known words (the stack's settings, the names of the person and the machine) are replaced wherever they occur, and so is
everything that has the form of an identifier. It replaces too much rather than too little.
"""

from __future__ import annotations

import getpass
import os
import re
import socket
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

FORMS: tuple[tuple[str, str], ...] = (
    (r"-----BEGIN [^-]*-----.*?(-----END [^-]*-----|\Z)", "<secret>"),
    (r"arn:[\w-]*:[^\s\"'`,;)\]}>]*", "<arn>"),
    (r"[A-Za-z][A-Za-z0-9+.-]*://[^\s\"'`,;)\]}>]*", "<address>"),
    (r"[^\s\"'`<>,;:()]+@[^\s\"'`<>,;:()]+", "<e-mail>"),
    (r"(?<![A-Za-z0-9])(?:AKIA|ASIA|ABIA|ACCA|AGPA|AIDA|AIPA|ANPA|ANVA|APKA|AROA|ASCA)[A-Z0-9]{8,}", "<key>"),
    (r"(?<![\w.])[~.]{0,2}/(?:[^\s\"'`,;:()\[\]]+)", "<path>"),
    (r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}", "<id>"),
    (r"(?<![A-Za-z0-9])[a-z]{1,8}-[0-9a-f]{8,17}(?![A-Za-z0-9])", "<id>"),
    (r"[0-9]{4}-[0-9]{4}-[0-9]{4}(?![0-9])", "<account>"),
    (r"(?<![0-9])[0-9]{12}(?![0-9])", "<account>"),
    (r"(?<![0-9.])[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?![0-9.])", "<ip>"),
    (r"(?<![0-9A-Za-z:])(?:[0-9A-Fa-f]{0,4}:){3,7}[0-9A-Fa-f]{0,4}(?![0-9A-Za-z:])", "<ip>"),
    (r"(?<![A-Za-z0-9_-])(?:[A-Za-z0-9_-]{1,63}\.)+[A-Za-z][A-Za-z0-9-]+(?::[0-9]+)?", "<host>"),
    (r"[A-Za-z0-9+/=_-]{20,}", "<id>"),
    (r"[0-9]{9,}", "<number>"),
)
"""Patterns and their replacements, in this order: whole identifiers before their parts."""

ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)")

SECRET_VARIABLES = re.compile(r"(?i)pass|secret|token|key|credential")

OWN_WORDS = frozenset(
    {
        "true",
        "false",
        "none",
        "create",
        "public",
        "nat",
        "endpoints",
        "bucket",
        "cloudfront",
        "profile",
        "http",
        "https",
    }
    | {"on", "off", "dev", "prod", "aws", "verify", "python"}
)
"""Values of settings that identify nobody. A stack with such a name is redacted all the same."""


class Redaction:
    """`Redaction(words)(text)`: the text without these words and without identifiers."""

    def __init__(self, words: Mapping[str, str]) -> None:
        """`words`: word -> its replacement, like `{"acme": "<name>"}`."""
        ordered = sorted((word for word in words if word.strip()), key=len, reverse=True)
        self._places = {word.lower(): words[word] for word in ordered}
        self._known = re.compile("|".join(map(_anywhere, ordered)) or r"(?!)", re.IGNORECASE)

    def __call__(self, text: str) -> str:
        # First: control characters could hide a part of a word, or control the terminal of a reader.
        text = "".join(letter for letter in ANSI.sub("", text) if letter.isprintable() or letter == "\n")
        text = self._known.sub(lambda match: self._places.get(match[0].lower(), "<name>"), text)
        for form, place in FORMS:
            text = re.sub(form, place, text, flags=re.DOTALL)
        return text


def _anywhere(word: str) -> str:
    """A pattern for a word: a long one matches within other words too, a short one only by itself."""
    escaped = re.escape(word)
    return escaped if len(word) > 3 else rf"(?<![A-Za-z0-9]){escaped}(?![A-Za-z0-9])"


def words_of_settings(values: Any) -> Iterator[str]:
    """Every text in a stack's settings that could identify its owner."""
    if isinstance(values, Mapping):
        for key, value in values.items():
            # Names of tags are the company's own, names of settings are Herd's.
            yield from words_of_settings([*value, *value.values()] if key == "tags" and value else value)
    elif isinstance(values, list | tuple):
        for value in values:
            yield from words_of_settings(value)
    elif isinstance(values, str) and len(values) > 1 and values.lower() not in OWN_WORDS:
        yield values


def words_of_this_machine(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Word -> replacement: the person's and the machine's names, the home folder, values of secret variables."""
    words = {
        value: "<secret>" for name, value in environment.items() if SECRET_VARIABLES.search(name) and len(value) > 5
    }
    home = str(Path.home())
    names: Iterable[str] = (socket.gethostname(), socket.gethostname().partition(".")[0], _person())
    words |= {name: "<name>" for name in names if len(name) > 1 and name not in ("root", "localhost")}
    return {**words, **({home: "<home>"} if len(home) > 2 else {})}


def _person() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without an entry in passwd
        return ""
