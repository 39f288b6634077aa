"""What runs a function's handler: an interpreter of this machine with the language's bootstrap, or its own."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import sys
from pathlib import Path

from localcloud.agent.functions.function import Function

BOOTSTRAPS = Path(__file__).parent / "bootstraps"

_NODE_FOLDERS = ("/usr/local/bin", "/usr/bin", "/opt/homebrew/bin")


class CannotRun(Exception):
    """This machine has nothing that runs a function of that runtime; the text is for the function's owner."""


def command(function: Function, package: Path, mark: str) -> tuple[str, ...]:
    """The program that serves a function from its unpacked package. `mark` is the line that it writes to standard
    output after an invocation's last line. Raises `CannotRun`.
    """
    if re.fullmatch(r"python3\.\d+", function.runtime):
        spec = importlib.util.find_spec("boto3")
        assert spec is not None and spec.origin is not None
        # Without site-packages: what is installed beside the local cloud is not on AWS.
        bootstrap = str(BOOTSTRAPS / "python3.py")
        return (sys.executable, "-s", "-S", bootstrap, str(Path(spec.origin).parents[1]), mark)
    if re.fullmatch(r"nodejs\d+\.x", function.runtime):
        return (_node(function), "--enable-source-maps", str(BOOTSTRAPS / "node.mjs"), mark)
    if function.runtime.startswith("provided"):
        bootstrap_file = package / "bootstrap"
        if not bootstrap_file.is_file() or not os.access(bootstrap_file, os.X_OK):
            raise CannotRun(f"Couldn't find valid bootstrap(s): [/var/task/bootstrap]. {function.runtime} needs an "
                            "executable file `bootstrap` at the root of the package")  # fmt: skip
        return (str(bootstrap_file),)
    raise CannotRun(
        f"The local cloud does not run functions of the runtime {function.runtime or '(none)'}: it has python3.x, "
        "nodejsN.x and provided"
    )


def _node(function: Function) -> str:
    search = os.pathsep.join([os.environ.get("PATH", ""), *_NODE_FOLDERS])
    program = shutil.which("node", path=search)
    if program is None:
        raise CannotRun(f"The runtime {function.runtime} needs `node`, and there is none on this machine's PATH. "
                        "Install Node.js, for example with your system's package manager")  # fmt: skip
    return program


def execution_environment(runtime: str) -> str:
    """The value of AWS_EXECUTION_ENV."""
    return f"AWS_Lambda_{runtime}"
