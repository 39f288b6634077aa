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
