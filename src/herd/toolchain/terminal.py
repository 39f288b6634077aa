"""The terminal's encoding: characters that it lacks are replaced by similar ones. Standard library only."""

from __future__ import annotations

import codecs
import locale
import os
import sys

ENCODING = "HERD_TERMINAL_ENCODING"
"""Passes the terminal's encoding to this program when it starts itself again."""

LIKE = str.maketrans(
    {"✓": "+", "✗": "x", "–": "-", "—": "-", "─": "-", "│": "|", "▸": ">", "·": "*", "…": "...", "→": "->", "’": "'"}
)
"""Replacements for the characters that Herd prints; a tick and a cross must not look the same."""


def prepare() -> None:
    """Make stdout and stderr take every text. Where the locale's encoding is not UTF-8, start again first.

    Files and other programs speak UTF-8 everywhere; the terminal speaks its own encoding. Python knows one encoding
    for both, but for its UTF-8 mode, which can only be chosen when it starts.
    """
    own = locale.getencoding()
    if not sys.flags.utf8_mode and codecs.lookup(own).name != "utf-8":
        environment = {**os.environ, "PYTHONUTF8": "1", ENCODING: own}
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)
    # For this terminal only: programs that we start talk to us, or to a file.
    os.environ.pop("PYTHONIOENCODING", None)
    encoding = os.environ.pop(ENCODING, None)
    codecs.register_error("herd", _something_like_it)
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(encoding=encoding or stream.encoding, errors="herd")


def _something_like_it(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(char if char.isascii() else "?" for char in text.translate(LIKE)), error.end
