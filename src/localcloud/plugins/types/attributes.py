"""What SQS and SNS share: most properties are attributes, text under a name, set by calls of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from localcloud.plugins.acceptance import text_of
from localcloud.plugins.conversion import to_api
from localcloud.plugins.resource import Cloud, Resource
from localcloud.plugins.schema import Field
from localcloud.plugins.values import Props


class Attributed(Resource):
    """A type whose properties are attributes, but for those in `plain` and the names of the API in `table`."""

    plain: ClassVar[frozenset[str]] = frozenset()
    read_attributes: ClassVar[str]  # the call, whose answer has Attributes

    def attributes(self, inputs: Props, names: set[str] | None = None) -> dict[str, str]:
        """Attributes as the API takes them; with `names` those that are to be changed, "" or the default if gone."""
        attributes = {}
        for name, known in self._attribute_fields().items():
            value = inputs.get(name)
            if names is not None and name in names and value is None:
                value = _nothing(known)
            if value is not None and (names is None or name in names):
                attributes[known.member or self.spelling(name)] = str(text_of(value))
        return attributes

    def arguments(self, cloud: Cloud, inputs: Props, updating: bool = False) -> Props:
        arguments = to_api(self.fields, inputs, self.spelling, self.plain)
        attributes = self.attributes(inputs)
        return {**arguments, **({"Attributes": attributes} if attributes else {})}

    def live(self, cloud: Cloud, described: Mapping[str, Any]) -> Props:
        """Out of the answer of the call that reads attributes; text stays text where the property is one."""
        answered = described.get("Attributes") or {}
        live: Props = {}
        for name, known in self._attribute_fields(outputs=True).items():
            text = answered.get(known.member or self.spelling(name))
            if text not in (None, ""):
                live[name] = _value(known, str(text))
        return live

    def read(self, cloud: Cloud, identifier: str, props: Props) -> Props | None:
        live = self.live(cloud, self.call(cloud, self.read_attributes, **self.key(self.read_key, identifier, props)))
        if self.tagging is not None:
            live["tagsAll"] = self.tagging.read(cloud.client(self.service), self.tagged(identifier, live))
        return live

    def _attribute_fields(self, outputs: bool = False) -> dict[str, Field]:
        return {
            name: known
            for name, known in self.fields.items()
            if name not in self.plain and known.member != "-" and (outputs or not known.output)
        }


def _nothing(known: Field) -> Any:
    if known.default is not None:
        return known.default
    return False if known.kind == "bool" else ""


def _value(known: Field, text: str) -> Any:
    if known.kind == "bool":
        return text.lower() == "true"
    return float(text) if known.kind in ("int", "number") else text
