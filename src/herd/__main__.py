"""`herd`: the command line. `python -m herd` does the same."""

from __future__ import annotations

import gc
import sys

NEW_OBJECTS = 50_000
"""After so many Python looks for cycles. After 700, as by itself, that is a tenth of a short command's time."""


def main() -> int:
    """Run one command; its exit status: 0, 1 failure, 2 wrong input."""
    gc.set_threshold(NEW_OBJECTS)
    from herd.toolchain import terminal

    terminal.prepare()
    from herd.commands.cli import app

    try:
        app(prog_name="herd")
    except SystemExit as exit:
        return exit.code if isinstance(exit.code, int) else 1
    finally:
        gc.freeze()  # else Python, when it ends, looks through all modules for garbage: a quarter of a command's time
    return 0


if __name__ == "__main__":
    sys.exit(main())
