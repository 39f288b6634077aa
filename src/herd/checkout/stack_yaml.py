"""YAML as Pulumi's engine reads it: a key that stands twice is an error, not the last of its values."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import yaml

from herd.foreign import shown


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """PyYAML's own takes the last value of a key that stands twice, and says nothing."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        first: dict[Any, int] = {}
        for key_node, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            key, line = key_node.value, key_node.start_mark.line + 1
            if isinstance(key_node, yaml.ScalarNode) and key != "<<":
                if key in first:
                    raise ValueError(f"{shown(key)[:100]} stands twice, in the lines {first[key]} and {line}; "
                                     "remove one of them")  # fmt: skip
                first[key] = line
        mapping: dict[Hashable, Any] = super().construct_mapping(node, deep)
        return mapping


def load(text: str) -> Any:
    """Raises yaml.YAMLError, and ValueError for a key that stands twice."""
    return yaml.load(text, Loader=_Loader)


def words(error: Exception) -> str:
    """What is wrong with a file, for the person who wrote it."""
    if isinstance(error, UnicodeDecodeError):
        return "is not UTF-8 text; save it as UTF-8"
    if isinstance(error, RecursionError):
        return "is nested too deeply to be a settings file"
    mark = getattr(error, "problem_mark", None)
    place = f", line {mark.line + 1}" if mark is not None else ""
    if "'\\t'" in str(error):
        return f"is not YAML{place}: it is indented by a tab; YAML takes spaces only"
    if isinstance(error, yaml.YAMLError):
        problem = getattr(error, "problem", None) or str(error)
        return f"is not YAML{place}: {' '.join(shown(str(problem)).split())}"
    return str(error)
