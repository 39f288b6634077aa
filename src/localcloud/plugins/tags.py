"""How each AWS service takes, changes and lists tags: seven dialects, one interface."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Tags = dict[str, str]


@dataclass(frozen=True)
class Tagging:
    """One service's dialect.

    `argument` is the member of the create call, `pairs` the spelling of a tag's members (None: a plain map),
    `resource` the argument that names the tagged resource in the tag calls, "X[]" where it is a list.
    """

    argument: str = "Tags"
    pairs: tuple[str, str] | None = ("Key", "Value")
    add: str = "tag_resource"
    remove: str = "untag_resource"
    list: str = "list_tags_for_resource"
    resource: str = "ResourceArn"
    keys: str = "TagKeys"
    key_pairs: bool = False  # EC2 takes pairs where the others take keys

    def wrap(self, tags: Mapping[str, str]) -> Any:
        """Tags as the service's calls take them."""
        if self.pairs is None:
            return dict(tags)
        key, value = self.pairs
        return [{key: name, value: text} for name, text in tags.items()]

    def unwrap(self, answer: Any) -> Tags:
        """Tags as the service's answers hold them."""
        if not answer:
            return {}
        if self.pairs is None:
            return dict(answer)
        key, value = self.pairs
        return {pair[key]: pair.get(value, "") for pair in answer if not pair[key].startswith("aws:")}

    def creating(self, tags: Mapping[str, str]) -> dict[str, Any]:
        """The create call's argument."""
        return {self.argument: self.wrap(tags)} if tags else {}

    def change(self, client: Any, resource: str, old: Mapping[str, str], new: Mapping[str, str]) -> None:
        """Make a resource's tags `new`; may be repeated."""
        gone = {name: text for name, text in old.items() if name not in new}
        if gone:
            keys = self.wrap(gone) if self.key_pairs else list(gone)
            getattr(client, self.remove)(**self._names(resource), **{self.keys: keys})
        added = {name: text for name, text in new.items() if old.get(name) != text}
        if added:
            getattr(client, self.add)(**self._names(resource), **{self.argument: self.wrap(added)})

    def read(self, client: Any, resource: str) -> Tags:
        """A resource's tags."""
        answer = getattr(client, self.list)(**self._names(resource))
        tags = answer.get(self.argument, answer.get("Tags", answer.get("tags", answer.get("TagList"))))
        if tags is None:  # load balancing answers with one description a resource
            tags = answer["TagDescriptions"][0]["Tags"] if answer.get("TagDescriptions") else []
        return self.unwrap(tags)

    def _names(self, resource: str) -> dict[str, Any]:
        name = self.resource.removesuffix("[]")
        return {name: [resource] if self.resource.endswith("[]") else resource}


@dataclass(frozen=True)
class Ec2Tagging(Tagging):
    """EC2's: tag specifications that name the kind of resource, and pairs for keys."""

    kind: str = ""
    add: str = "create_tags"
    remove: str = "delete_tags"
    resource: str = "Resources[]"
    keys: str = "Tags"
    key_pairs: bool = True

    def creating(self, tags: Mapping[str, str]) -> dict[str, Any]:
        """The create call's argument."""
        if not tags:
            return {}
        return {"TagSpecifications": [{"ResourceType": self.kind, "Tags": self.wrap(tags)}]}


LOWER = ("key", "value")
