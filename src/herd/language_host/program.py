"""Runs one Pulumi program: `python -P program.py '<settings as JSON>' <program> [argument …]`.

A file of its own that imports nothing of Herd: it runs with the interpreter of the *program's* virtual environment.
The settings are the keyword arguments of `pulumi.runtime.Settings`; the configuration comes in PULUMI_CONFIG and
PULUMI_CONFIG_SECRET_KEYS. Exit status: 0; 32 when it failed and the person has seen why, so that the engine adds
nothing; else the program's own.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import runpy
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any

import pulumi
import pulumi.runtime

ALREADY_SHOWN = 32
"""The official host's status for "the error is on the screen"."""

MINIMUM_THREADS = 16
"""Each registration blocks a thread until the engine has dealt with it; fewer than `--parallel` would be slow."""


NEW_OBJECTS = 50_000
"""So many are made before Python looks for garbage among the newest. Its usual 700 make the import of a provider's SDK
a tenth slower; a program lives for seconds and leaves hardly any.
"""


def run(settings: dict[str, Any], program: str, arguments: list[str]) -> int:
    """Run the program against the engine that `settings` names, and report its errors there."""
    pulumi.runtime.set_all_config(pulumi.runtime.get_config_env(), pulumi.runtime.get_config_secret_keys_env())
    pulumi.runtime.configure(pulumi.runtime.Settings(**settings))
    # asyncio reports each task that was cut short by the one real error; that error is shown below.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    # The program's folder comes first, as it does with `python program.py`; -P kept this file's own folder out.
    sys.path.insert(0, program if os.path.isdir(program) else os.path.dirname(program))
    sys.argv = [program, *arguments]
    loop = asyncio.new_event_loop()
    loop.set_default_executor(ThreadPoolExecutor(max(MINIMUM_THREADS, settings.get("parallel") or 0)))
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(pulumi.runtime.run_in_stack(lambda: _run_file(program)))
    except pulumi.RunError as error:
        pulumi.log.error(str(error))
        return ALREADY_SHOWN
    except SystemExit as exit:
        return _status(exit.code)
    except Exception as error:
        pulumi.log.error(f"the program failed:\n{_readable(error, program)}")
        return ALREADY_SHOWN
    return 0


def _run_file(program: str) -> None:
    runpy.run_path(program, run_name="__main__")


def _status(code: object) -> int:
    """What `sys.exit(code)` means to a shell; a text is shown and counts as a failure."""
    if code is None:
        return 0
    if isinstance(code, int):
        return code
    pulumi.log.error(str(code))
    return ALREADY_SHOWN


def _readable(error: Exception, program: str) -> str:
    """The traceback from the program's own first frame on: the frames above it are this host's and asyncio's."""
    folder = program if os.path.isdir(program) else os.path.dirname(program)
    frame: TracebackType | None = error.__traceback__
    while frame is not None and not frame.tb_frame.f_code.co_filename.startswith(folder + os.sep):
        frame = frame.tb_next
    if frame is None and isinstance(error, SyntaxError):
        # It names the file and line by itself; no frame of the program has run.
        return "".join(traceback.format_exception_only(error)).rstrip()
    return "".join(traceback.format_exception(type(error), error, frame or error.__traceback__)).rstrip()


if __name__ == "__main__":
    gc.set_threshold(NEW_OBJECTS)
    status = run(json.loads(sys.argv[1]), sys.argv[2], sys.argv[3:])
    sys.stdout.flush()
    sys.stderr.flush()
    # gRPC's threads may still be winding down; waiting for them costs up to a second and changes nothing.
    os._exit(status)
