"""The login to the image registry, for Herd's own updates and for the shell of `herd env`.

It is the value of DOCKER_AUTH_CONFIG, which Docker's clients read before their files. So it is in no file, no process
list and no state, ends with the process, and the rest of the person's Docker configuration stays in force
(docs/decisions/0019). ECR's credentials are valid for twelve hours.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from herd import console
from herd.targets.stack import Stack
from herd.targets.target import Target

VARIABLE = "DOCKER_AUTH_CONFIG"


def variables(target: Stack, base: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The variable for an update of `target`; none where no image is pushed or AWS gives no login.

    Without one an update that has something to push says so itself, and one that has not needs none.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    if "docker" not in target.plugins:
        return {}
    try:
        return {VARIABLE: config(target, base)}
    except (BotoCoreError, ClientError) as error:
        console.note(f"no login to the image registry: {error}")
        return {}


def config(target: Stack, base: Mapping[str, str] = os.environ) -> str:
    """Docker's configuration with a fresh login, beside those that the person's own variable has.

    Raises botocore's errors.
    """
    login = target.client("ecr").get_authorization_token()["authorizationData"][0]
    registry = urlsplit(login["proxyEndpoint"]).netloc
    # The person's real logins must not reach the local cloud.
    others = _logins(base.get(VARIABLE, "")) if target.is_shared else {}
    return json.dumps({"auths": {**others, registry: {"auth": login["authorizationToken"]}}})


def command(target: Target) -> str:
    """The shell command that prints `config`: `herd env` prints the command, so that the login itself is not shown."""
    return shlex.join((sys.executable, "-m", "herd", "env", *target.option, "--docker-login"))


def _logins(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text or "{}").get("auths", {})
    except (ValueError, AttributeError):
        return {}
    return value if isinstance(value, dict) else {}
