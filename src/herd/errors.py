"""The errors that the command line prints without a traceback, each with its exit status."""

from __future__ import annotations


class HerdError(Exception):
    """Something failed. The text is printed as it is, with what to do. Exit status 1."""

    status = 1


class Interrupted(HerdError):
    """The person pressed Ctrl-C, and running operations were ended in order. Exit status 1."""


class WrongInput(HerdError):
    """An argument or a settings file is wrong: nothing was changed.

    Exit status 2.
    """

    status = 2


FEW = 12
"""Up to so many names are all listed beside a suggestion."""


def unknown(name: str, known: list[str], what: str) -> str:
    """`no workload 'churm'; did you mean 'churn'? There are: churn, sales`"""
    from difflib import get_close_matches

    close = get_close_matches(name, known, 1)
    all_ = f"there are: {', '.join(sorted(known)) or 'none'}"
    if not close:
        return f"no {what} {name!r}; {all_}"
    return f"no {what} {name!r}; did you mean {close[0]!r}?" + (f" T{all_[1:]}" if len(known) <= FEW else "")
