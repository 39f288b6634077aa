"""How patched moto tells whoever keeps something of an account beyond moto's models, and the process."""

from __future__ import annotations

from typing import Generic, TypeVar

Keeper = TypeVar("Keeper")


class PerAccount(Generic[Keeper]):
    """Account -> who keeps it. Nobody does while a journal is carried out again."""

    def __init__(self) -> None:
        self._keepers: dict[str, Keeper] = {}

    def connect(self, account: str, keeper: Keeper | None) -> None:
        """From now on this one keeps the account's; None: nobody does."""
        if keeper is None:
            self._keepers.pop(account, None)
        else:
            self._keepers[account] = keeper

    def of(self, account: str) -> Keeper | None:
        """Who keeps the account's, or None."""
        return self._keepers.get(account)
