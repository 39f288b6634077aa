"""Load balancers: a listener keeps its further certificates when it is changed."""

from __future__ import annotations

from typing import Any

from moto.elbv2 import models


def apply() -> None:
    """Let ModifyListener change the default certificate only."""
    # elbv2/models.py:1885 replaces the whole list of certificates by the default one.
    backend = models.ELBv2Backend
    stock = backend.modify_listener

    def modify_listener(self: Any, arn: str, *args: Any, **kwargs: Any) -> Any:
        (declared,) = self.describe_listeners(None, [arn])
        further = list(declared.certificates or [])[1:]
        listener = stock(self, arn, *args, **kwargs)
        kept = listener.certificates or []
        listener.certificates = [*kept, *(each for each in further if each not in kept)] if kept else kept
        return listener

    backend.modify_listener = modify_listener
