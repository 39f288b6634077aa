"""What the command line says when something is wrong: in the person's words, with what to do, and an exit status."""

from __future__ import annotations


class HerdError(Exception):
    """Something failed. The text is shown as it is; there is no traceback. Exit status 1."""

    status = 1


class Interrupted(HerdError):
    """The person pressed Ctrl-C, and what was under way was ended in order. Exit status 1."""


class WrongInput(HerdError):
    """What the person wrote, on the command line or in a settings file, cannot be used: nothing was touched.

    Exit status 2.
    """

    status = 2


FEW = 12
"""So many names are all listed beside a suggestion."""


def unknown(name: str, known: list[str], what: str) -> str:
    """`no workload 'churm'; did you mean 'churn'? There are: churn, sales`"""
    from difflib import get_close_matches

    close = get_close_matches(name, known, 1)
    all_ = f"there are: {', '.join(sorted(known)) or 'none'}"
    if not close:
        return f"no {what} {name!r}; {all_}"
    return f"no {what} {name!r}; did you mean {close[0]!r}?" + (f" T{all_[1:]}" if len(known) <= FEW else "")
