"""The environment variables that Pulumi needs for a stack on AWS, beside the person's own login and profile.

Herd's own runs of Pulumi get them, and `herd env --stack NAME` prints them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from herd.targets import pulumi_env
from herd.toolchain import pulumi_cli

PLUGINS = ("aws", "docker")
"""The Pulumi packages that the program uses."""


def variables(root: Path, pulumi: Path, base: Mapping[str, str] = os.environ) -> dict[str, str | None]:
    """Variables to set, or (None) to unset, on top of `base`: no update check, the policy pack, a language host."""
    return {"PULUMI_SKIP_UPDATE_CHECK": "true", **pulumi_env.policy_pack(base), **language_host(pulumi, base)}


def language_host(pulumi: Path, base: Mapping[str, str] = os.environ) -> dict[str, str | None]:
    """A Pulumi that was built from its Go modules has no Python language host; it finds Herd's on PATH."""
    path = pulumi_env.with_pulumi(pulumi, base.get("PATH", os.defpath))
    if pulumi_cli.has_language_host(pulumi):
        # It runs the rules and the account's project with the Python of PATH: they lie in a package and name no
        # environment of their own.
        return {"PATH": pulumi_env.first_on_path(Path(sys.prefix) / "bin", path)}
    # With the second one set, the engine would not look there.
    return {"PATH": pulumi_cli.path_with_host(path), "PULUMI_IGNORE_AMBIENT_PLUGINS": None}


def about_host(pulumi: Path) -> str:
    """A line that says that Herd's language host runs the program; "" where Pulumi has the official one."""
    if pulumi_cli.has_language_host(pulumi):
        return ""
    return f"this Pulumi ({pulumi}) came without a language host for Python: Herd's own runs the program"
