"""What is different between two locks, or two lists of system packages, in words."""

from __future__ import annotations

from collections.abc import Mapping


def lines(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """`~ curl 5.2.0 -> 6.0.0`, `+ xml2 1.3.6`, `- mime 0.12`: name -> version on both sides, in order of names."""
    said = []
    for name in sorted({*before, *after}, key=lambda name: (name.lower(), name)):
        match before.get(name), after.get(name):
            case None, version:
                said.append(f"+ {name} {version}".rstrip())
            case version, None:
                said.append(f"- {name} {version}".rstrip())
            case old, new if old != new:
                said.append(f"~ {name} {old} -> {new}")
    return said
