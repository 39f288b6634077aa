"""The environment variables with which `pulumi` and `aws` work on a local environment and reach no real account.

Herd's own runs of Pulumi get them, and `herd env` prints them for a shell.
"""

from __future__ import annotations

import csv
import io
import os
import secrets
import shlex
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType

from herd import PACKAGE
from herd.checkout import stack_config
from herd.checkout.find import Checkout
from herd.errors import HerdError
from herd.targets import local_cloud
from herd.targets.local_cloud import LocalCloud
from herd.toolchain import pulumi_cli

RULES = PACKAGE / "policy"
"""The policy pack that every update and preview of an environment runs."""

KEPT_FILES = 12
"""Files that are kept of each of Pulumi's logs, histories and backups, which it never removes."""

QUIET = {
    "PULUMI_SKIP_UPDATE_CHECK": "true",
    "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
    "PULUMI_IGNORE_AMBIENT_PLUGINS": "true",
    "PULUMI_DISABLE_REGISTRY_RESOLVE": "true",
    "PULUMI_SUPPRESS_NEO_LINK": "true",
}
"""Pulumi makes no network requests, and uses no plugins from PATH."""

REMOVED = (
    "PULUMI_CONFIG_PASSPHRASE",
    "PULUMI_ACCESS_TOKEN",
    "PULUMI_STACK",
    "PULUMI_DEBUG_PROVIDERS",
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "DOCKER_AUTH_CONFIG",
)
"""Variables that take precedence over the local cloud's files and would lead to the person's real account."""


def variables(
    checkout: Checkout, environment: str, pulumi: Path, base: Mapping[str, str] = os.environ
) -> dict[str, str | None]:
    """Variables to set, or (None) to unset, on top of `base`."""
    aws = checkout.cloud / "aws"
    return {
        **dict.fromkeys(REMOVED),
        **{name: None for name in base if name.startswith("AWS_ENDPOINT_URL_")},
        **QUIET,
        "PATH": _path(checkout, pulumi, base.get("PATH", os.defpath)),
        "PULUMI_HOME": str(checkout.pulumi_home),
        "PULUMI_BACKEND_URL": checkout.pulumi.as_uri(),
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(checkout.pulumi / "passphrase"),
        "PULUMI_OPTION_STACK": environment,
        "PULUMI_OPTION_CONFIG_FILE": str(stack_config.path_of(checkout, environment)),
        # Safe here because the local cloud's plugins keep a ledger; never on AWS (docs/decisions/0004).
        "PULUMI_SKIP_CHECKPOINTS": "true",
        **policy_pack(base),
        "AWS_SHARED_CREDENTIALS_FILE": str(aws / "credentials"),
        "AWS_CONFIG_FILE": str(aws / "config"),
        "AWS_EC2_METADATA_DISABLED": "true",
        **{name: _no_proxy(base.get(name, "")) for name in ("NO_PROXY", "no_proxy")},
    }


def policy_pack(base: Mapping[str, str] = os.environ) -> dict[str, str | None]:
    """Herd's policy pack, added to those of the person's own variable. A variable that is empty turns all off."""
    variable = "PULUMI_OPTION_POLICY_PACK"
    configured = base.get(variable)
    if configured == "":
        return {variable: ""}
    own = str(RULES)
    packs = [pack for flag in _from_csv(configured or "") for pack in _from_csv(flag)]
    others = [pack for pack in packs if pack and Path(pack).name != "policy"]
    # Pulumi reads the variable as CSV, and each of its values as the option's, which is CSV again. It silently skips
    # what it cannot read: a comma or a quotation mark in the folder's name would turn the rules off.
    return {variable: _to_csv([_to_csv([pack]) for pack in [own, *others]])}


def _from_csv(line: str) -> list[str]:
    return next(csv.reader([line]), [])


def _to_csv(values: list[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(values)
    return line.getvalue()


def apply(changes: Mapping[str, str | None], base: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment of a child process: `base` with the changes made."""
    merged = {**base, **changes}
    return {name: value for name, value in merged.items() if value is not None}


def script(
    changes: Mapping[str, str | None],
    base: Mapping[str, str] = os.environ,
    commands: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """The changes for `eval` in a POSIX shell; nothing is unset that is not set.

    `commands`: variables whose value is what a command prints, when the shell evaluates it.
    """
    unset = sorted(name for name, value in changes.items() if value is None and name in base)
    lines = [f"unset {' '.join(unset)}"] if unset else []
    lines += [f"export {name}={shlex.quote(value)}" for name, value in sorted(changes.items()) if value is not None]
    lines += [f'export {name}="$({command})"' for name, command in sorted(commands.items())]
    return "\n".join(lines)


def prepare(
    checkout: Checkout,
    environment: str,
    cloud: LocalCloud,
    pulumi: Path,
    expired: Sequence[str] | None = None,
    lifetime: Mapping[str, str] | None = None,
) -> dict[str, str | None]:
    """Make what the variables point to (state folder, passphrase, settings, plugins), then the variables."""
    checkout.folder("pulumi")
    ensure_passphrase(checkout)
    stack_config.prepare(checkout, environment, local_cloud.credentials(checkout).region, expired, lifetime)
    _plugins(checkout, cloud, pulumi)
    return variables(checkout, environment, pulumi)


def _path(checkout: Checkout, pulumi: Path, path: str) -> str:
    return first_on_path(checkout.root / ".venv" / "bin", with_pulumi(pulumi, path))


def with_pulumi(pulumi: Path, path: str) -> str:
    """PATH on which `pulumi` is this one."""
    if shutil.which("pulumi", path=path) == str(pulumi):
        return path
    return first_on_path(pulumi.parent, path)


def first_on_path(folder: Path, path: str) -> str:
    """PATH with this folder first, once."""
    own = str(folder)
    return os.pathsep.join([own, *(entry for entry in path.split(os.pathsep) if entry != own)])


def _no_proxy(value: str) -> str:
    """A company's proxy knows nothing of this machine's own addresses."""
    present = [entry for entry in value.split(",") if entry]
    return ",".join([*present, *(entry for entry in ("127.0.0.1", "localhost", ".localhost") if entry not in present)])


def ensure_passphrase(checkout: Checkout) -> None:
    """Make a random passphrase if there is none yet: Pulumi encrypts the secrets in its state with it.

    Raises HerdError where there is a state and its passphrase is missing: a new one would not decrypt it.
    """
    if trouble := lost_passphrase(checkout):
        raise HerdError(trouble)
    path = checkout.pulumi / "passphrase"
    if _holds_words(path):
        return
    path.unlink(missing_ok=True)
    # Written beside and linked, so that a kill or a full disk leaves no empty file, which would then be used.
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix="passphrase-")
    try:
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_urlsafe(32))
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):  # another environment's command was quicker
            os.link(draft, path)
    finally:
        os.unlink(draft)


def lost_passphrase(checkout: Checkout) -> str:
    """Where there is a state whose passphrase is missing: a sentence with what to do; else ""."""
    path = checkout.pulumi / "passphrase"
    stacks = checkout.pulumi / ".pulumi" / "stacks" / checkout.project
    if _holds_words(path) or not any(stacks.glob("*.json")):
        return ""
    return (
        f"{path} is missing or empty, and nothing else decrypts Pulumi's state. Put it back from a copy; or remove "
        f"{checkout.pulumi}, and `herd up` adopts what the local cloud holds and the files declare"
    )


def _holds_words(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except FileNotFoundError:
        return False


def _plugins(checkout: Checkout, cloud: LocalCloud, pulumi: Path) -> None:
    """The local cloud's plugins, and a language host where Pulumi came without one; of its own release."""
    home = checkout.folder("pulumi-home")
    stamp = home / "made-for"
    # With the home: the plugins of a copied checkout would otherwise go on leading to the original's local cloud.
    wanted = f"{cloud.instance}\n{cloud.code}\n{pulumi}\n{checkout.cloud}\n"
    if stamp.exists() and stamp.read_bytes() == wanted.encode():
        return
    from localcloud import provider_executables  # in most commands they are there

    provider_executables.install_plugins(checkout.cloud, home, str(checkout.python))
    host = home / "plugins" / f"language-python-v{pulumi_cli.VERSION}" / "pulumi-language-python"
    if pulumi_cli.has_language_host(pulumi):
        shutil.rmtree(host.parent, ignore_errors=True)
    else:
        host.parent.mkdir(parents=True, exist_ok=True)
        own = pulumi_cli.OWN_HOST / "pulumi-language-python"
        host.write_text(f'#!/bin/sh\nexec {shlex.quote(str(own))} "$@"\n')
        host.chmod(0o755)
    stamp.write_text(wanted)


def prune(checkout: Checkout) -> None:
    """Keep the last of what Pulumi writes at each run and never removes: logs, history, backups of the state."""
    backend = checkout.pulumi / ".pulumi"
    for folder in (checkout.pulumi_home / "logs", *backend.glob("history/*/*"), *backend.glob("backups/*/*")):
        for path in sorted(folder.glob("*"), key=_age, reverse=True)[KEPT_FILES:]:
            path.unlink(missing_ok=True)


def _age(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # another command of the checkout prunes too
        return 0.0
