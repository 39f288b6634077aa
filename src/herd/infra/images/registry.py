"""Has Docker a login for the account's image registry? Read from Docker's own configuration, as its clients read it.

The program holds no registry credentials: as inputs of a resource they would lie in Pulumi's state, which the role that
previews pull requests can decrypt (docs/decisions/0019). pulumi-docker asks Docker's configuration itself when it
pushes. Here it is only looked whether that can be: before anything is made, and never at the credentials.
The plugin for docker that stands in on a laptop reads the same files, for the credentials themselves. The two share
nothing on purpose: that is a distribution of its own, and knows nothing of herd.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pulumi

HELPER_SECONDS = 20
EVERY = "*"


def refuse_without_login(registry: str, workload: str, environment: Mapping[str, str] = os.environ) -> None:
    """Raises pulumi.RunError in an update where Docker knows no host that begins with `registry`.

    A preview pushes nothing, and is made by who may not.
    """
    if pulumi.runtime.is_dry_run() or any(host.startswith((registry, EVERY)) for host in hosts(environment)):
        return
    raise pulumi.RunError(
        f"{workload}: its image cannot be pushed, because Docker has no login for the registry {registry}…: name "
        'ECR\'s credential helper in Docker\'s configuration ("credHelpers": {"<the registry>": "ecr-login"}), or let '
        'Herd log in, by `herd up` or, before plain `pulumi up`, by eval "$(herd env)" (with `--stack NAME` for one on '
        "AWS); nothing was changed"
    )


def hosts(environment: Mapping[str, str]) -> Iterator[str]:
    """The registries that Docker would have credentials for, or EVERY.

    In docker/cli's order: DOCKER_AUTH_CONFIG, then config.json's helpers, its store, its own entries.
    """
    yield from _table(_json(environment.get("DOCKER_AUTH_CONFIG", "")), "auths")
    folder = environment.get("DOCKER_CONFIG") or Path(environment.get("HOME") or "~").expanduser() / ".docker"
    try:
        config = _json((Path(folder) / "config.json").read_text())
    except (OSError, UnicodeDecodeError):
        return
    path = environment.get("PATH")
    for host, helper in _table(config, "credHelpers").items():
        if isinstance(helper, str) and shutil.which(f"docker-credential-{helper}", path=path):
            yield _host(host)
    if isinstance(store := config.get("credsStore"), str):
        if store == "ecr-login" and shutil.which("docker-credential-ecr-login", path=path):
            yield EVERY  # it logs in to every registry of ECR, and lists those only that it knows already
        yield from map(_host, _listed(store, environment))
    yield from (_host(host) for host, entry in _table(config, "auths").items() if entry)


def _listed(store: str, environment: Mapping[str, str]) -> list[str]:
    """What a credential store has, by name; it keeps the credentials to itself."""
    program = shutil.which(f"docker-credential-{store}", path=environment.get("PATH"))
    if program is None:
        return []
    try:
        done = subprocess.run(
            [program, "list"],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=HELPER_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return list(_json(done.stdout))


def _host(address: str) -> str:
    return address.removeprefix("https://").removeprefix("http://")


def _table(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = config.get(name)
    return value if isinstance(value, dict) else {}


def _json(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
