"""What a person may show to strangers: texts without account numbers, names, addresses, keys and paths.

Two nets. Words that are known (the stack's settings, the person's name, the machine's) are taken out wherever they
stand; and whatever has the form of an identifier goes, known or not. Too much goes rather than too little.
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
"""Patterns, and what is put in their place; in this order, so that the whole of a thing goes before its parts."""

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
"""Values of settings that everybody has. A stack that is called so is a name all the same, and is told as one."""


class Redaction:
    """`Redaction(words)(text)`: the text without them, and without what has the form of an identifier."""

    def __init__(self, words: Mapping[str, str]) -> None:
        """`words`: each with what is put in its place, like `{"acme": "<name>"}`."""
        ordered = sorted((word for word in words if word.strip()), key=len, reverse=True)
        self._places = {word.lower(): words[word] for word in ordered}
        self._known = re.compile("|".join(map(_anywhere, ordered)) or r"(?!)", re.IGNORECASE)

    def __call__(self, text: str) -> str:
        # First: control characters could hide a part of a word, or drive the terminal of whoever reads the file.
        text = "".join(letter for letter in ANSI.sub("", text) if letter.isprintable() or letter == "\n")
        text = self._known.sub(lambda match: self._places.get(match[0].lower(), "<name>"), text)
        for form, place in FORMS:
            text = re.sub(form, place, text, flags=re.DOTALL)
        return text


def _anywhere(word: str) -> str:
    """A long word is taken out also within another; a short one would tear holes everywhere."""
    escaped = re.escape(word)
    return escaped if len(word) > 3 else rf"(?<![A-Za-z0-9]){escaped}(?![A-Za-z0-9])"


def words_of_settings(values: Any) -> Iterator[str]:
    """Every text and number in a stack's settings that could tell whose they are."""
    if isinstance(values, Mapping):
        for key, value in values.items():
            # Names of tags are the company's as well; those of settings are everybody's.
            yield from words_of_settings([*value, *value.values()] if key == "tags" and value else value)
    elif isinstance(values, list | tuple):
        for value in values:
            yield from words_of_settings(value)
    elif isinstance(values, str) and len(values) > 1 and values.lower() not in OWN_WORDS:
        yield values


def words_of_this_machine(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The person's and the machine's names, the home folder, and what secret variables hold."""
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
    except (KeyError, OSError):  # a user of a container whom no file names
        return ""
