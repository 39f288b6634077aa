"""The files of a checkout that hold secrets in clear, on purpose. There are no others: a test searches for them.

All belong to one person's laptop: random keys of the local cloud, worthless anywhere else.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

from herd.checkout.find import Checkout

PURPOSES = {
    "cloud/aws/credentials": "the person's key for the local cloud",
    "cloud/journal/key": "decrypts the bodies in the local cloud's journal",
    "cloud/plugins/ledger.key": "opens what the local cloud's plugins remember of each resource",
    "pulumi/passphrase": "opens the secrets in Pulumi's state",
}
"""Below `.herd/`: what holds a secret, and what for."""

CLOSED = ("cloud/aws/config", "cloud/cloud.log", "cloud/endpoint.json", "cloud/port",
          "cloud/journal/requests", "cloud/plugins/ledger.sqlite", "cloud/runtime")  # fmt: skip
"""Hold no secret, yet are nobody else's business."""


def exposed(checkout: Checkout) -> Iterator[Path]:
    """Files and folders that another user of this machine may read or change."""
    for path in (checkout.state, checkout.cloud, checkout.pulumi):
        if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077:
            yield path
    for name in (*PURPOSES, *CLOSED):
        path = checkout.state / name
        if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077:
            yield path


def close(path: Path) -> None:
    """Let nobody but the owner in."""
    path.chmod(0o700 if path.is_dir() else 0o600)
