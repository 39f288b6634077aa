"""AWS's API as botocore knows it, read once: each of its sessions would parse the same megabytes again."""

from __future__ import annotations

from functools import cache

import botocore.session


def share() -> None:
    """Let every session of this process have what one has read. Before the first import of moto."""
    if not hasattr(botocore.session.create_loader, "cache_info"):
        botocore.session.create_loader = cache(botocore.session.create_loader)
