"""EC2's launch templates: their tags are theirs, and can be changed."""

from __future__ import annotations

from typing import Any

from moto.ec2.models import launch_templates as models


def apply() -> None:
    """Keep a template's own tags out of what its instances get, and answer the present ones."""
    # ec2/responses/launch_templates.py:20 adds the template's tags to the template's data, so that it reads differently
    # from what was declared; ec2/models/launch_templates.py:81 answers for ever the tags of the creation.
    version = models.LaunchTemplateVersion
    stock = version.__init__

    def init(self: Any, template: Any, number: int, data: dict[str, Any], description: str) -> None:
        kept = [each for each in data.get("TagSpecifications", []) if each.get("ResourceType") != "launch-template"]
        rest = {name: value for name, value in data.items() if name != "TagSpecifications"}
        stock(self, template, number, {**rest, "TagSpecifications": kept} if kept else rest, description)

    version.__init__ = init
    models.LaunchTemplate.tags = property(lambda self: self.get_tags(), lambda self, tags: None)
