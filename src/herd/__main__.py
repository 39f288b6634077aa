"""`herd`: the command line. `python -m herd` does the same."""

from __future__ import annotations

import sys


def main() -> int:
    """Run one command; its exit status: 0, 1 failure, 2 wrong input."""
    from herd.toolchain import terminal

    terminal.prepare()
    from herd.commands.cli import app

    try:
        app(prog_name="herd")
    except SystemExit as exit:
        return exit.code if isinstance(exit.code, int) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
