"""What the guard raises."""

from __future__ import annotations

from localcloud.request.access import Access


class CannotAssume(Exception):
    """A service may not act for a role: the text says what the role's trust policy lacks."""


class Denied(Exception):
    """A caller lacks a permission: the text names principal, action, resource and the missing statement."""

    def __init__(self, message: str, access: Access):
        super().__init__(message)
        self.access = access
