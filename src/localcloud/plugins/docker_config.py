"""Docker's configuration, which says who logs in where, as pulumi-docker 5.2.0 reads it (docker/cli 28.5.2).

In this order: DOCKER_AUTH_CONFIG, a registry's own credential helper, the store for all, the file's own entries.
"""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

VARIABLES = ("DOCKER_AUTH_CONFIG", "DOCKER_CONFIG", "HOME", "PATH")
"""What of an engine's environment is needed. Credential helpers get what they find in the files of its HOME."""

HELPER_SECONDS = 30


@dataclass(frozen=True)
class DockerConfig:
    """That of the person whose engine it is. The variables may hold credentials, so they are not shown."""

    environment: Mapping[str, str] = field(default_factory=dict, repr=False)

    def login(self, host: str) -> tuple[str, str] | None:
        """User and password for a registry, or None."""
        config = self._file()
        helper = _table(config, "credHelpers").get(host) or config.get("credsStore")
        return (
            _decoded(_table(_json(self.environment.get("DOCKER_AUTH_CONFIG", "")), "auths").get(host))
            or (self._helped(str(helper), host) if helper else None)
            or _decoded(_table(config, "auths").get(host) or _table(config, "auths").get(f"https://{host}"))
        )

    def _file(self) -> dict[str, Any]:
        home = self.environment.get("HOME")
        folder = self.environment.get("DOCKER_CONFIG") or (f"{home}/.docker" if home else None)
        if folder is None:
            return {}
        try:
            return _json((Path(folder) / "config.json").read_text("utf-8"))
        except (OSError, UnicodeDecodeError):
            return {}

    def _helped(self, helper: str, host: str) -> tuple[str, str] | None:
        name = f"docker-credential-{helper}"
        program = shutil.which(name, path=self.environment.get("PATH")) if re.fullmatch(r"[\w.-]+", helper) else None
        if program is None:
            return None
        try:
            done = subprocess.run(
                [program, "get"],
                input=host,
                env={name: value for name, value in self.environment.items() if name in VARIABLES},
                capture_output=True,
                text=True,
                timeout=HELPER_SECONDS,
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        answer = _json(done.stdout) if done.returncode == 0 else {}
        user, secret = answer.get("Username"), answer.get("Secret")
        return (str(user), str(secret)) if user and secret else None


def _decoded(entry: Any) -> tuple[str, str] | None:
    if not isinstance(entry, dict) or not isinstance(entry.get("auth"), str):
        return None
    try:
        user, colon, password = base64.b64decode(entry["auth"], validate=True).decode().partition(":")
    except ValueError:
        return None
    return (user, password) if user and colon else None


def _table(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = config.get(name)
    return value if isinstance(value, dict) else {}


def _json(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
