"""Makes a fresh checkout ready: `python3 src/herd/toolchain/setup.py [--dev | --test]`.

Runs with the system's Python, before there is a `.venv`, so: standard library only.

    uv         from PATH, or installed into the user's cache
    .venv      from requirements.lock (with --dev requirements-dev.lock), by hash, with bytecode; this checkout on it
    linters    with --dev, from requirements-audit.lock, into the user's cache: they cannot share the project's packages
    Pulumi     from PATH, or built once from its Go modules into the user's cache
    browser    with --test (which has all of --dev), from PATH, by Selenium's manager, or from Debian's packages

What cannot be brought is said first. Takes some milliseconds when all of it is there.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - this is where an older one is told so
    sys.exit(
        f"Herd needs Python 3.11 or newer; {sys.executable} is {sys.version.split()[0]}: `make PYTHON=python3.12 …`"
    )

from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
if __name__ == "__main__":
    # sys.path begins with this file's folder, where a module's name may hide one of the standard library's.
    sys.path[0] = str(ROOT / "src")

from herd.foreign import shown  # noqa: E402
from herd.toolchain import browser, machine, packages, preflight, pulumi_cli, terminal  # noqa: E402


def main(arguments: list[str]) -> int:
    terminal.prepare()
    cache = machine.user_cache()
    tests = "--test" in arguments
    develop = tests or "--dev" in arguments
    try:
        selenium_brings = preflight.look(ROOT, cache, tests)
        packages.ensure(ROOT, cache, packages.DEVELOP if develop else packages.RUN)
        if selenium_brings:
            browser.ensure(cache, ROOT / ".venv/bin/python", reachable=True)
        if develop:
            packages.ensure_made(ROOT, cache, packages.AUDIT)
        pulumi_cli.ensure(cache)
    except machine.ToolMissing as error:
        print(shown(f"error: {error}"), file=sys.stderr)
        return 1
    except OSError as error:
        if (words := machine.disk_error(error)) is None:
            raise
        print(shown(f"error: {words}"), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
