"""IAM: a user who is renamed or moved keeps tags and access keys, and takes nobody's name."""

from __future__ import annotations

from typing import Any

from moto.iam.exceptions import EntityAlreadyExists
from moto.iam.models import IAMBackend


def apply() -> None:
    """Let UpdateUser carry along what moto keeps by a user's name or ARN."""
    # iam/models.py:2691 replaces a user who has the new name already. Tags stay with the former ARN, access keys with
    # the former name.
    stock = IAMBackend.update_user

    def update_user(self: Any, user_name: str, new_path: str | None = None, new_user_name: str | None = None) -> None:
        user = self.get_user(user_name)
        if new_user_name and new_user_name != user_name and new_user_name in self.users:
            raise EntityAlreadyExists(f"User with name {new_user_name} already exists.")
        former, tags = user.arn, user.tags or []
        stock(self, user_name, new_path, new_user_name)
        if user.arn != former:
            self.tagger.delete_all_tags_for_resource(former)
            self.tagger.tag_resource(user.arn, tags)
        for key in user.access_keys:
            key.user_name = user.name

    IAMBackend.update_user = update_user
