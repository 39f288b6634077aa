"""The system libraries that R packages need, by the rules of rstudio/r-system-requirements (system_requirements.json).

A package says in words what it needs (SystemRequirements in its DESCRIPTION); a rule is some patterns for such words,
and Debian's packages for them by distribution and version.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

RULES_FILE = Path(__file__).with_name("system_requirements.json")
APT_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]{1,80}")


@dataclass(frozen=True)
class Distribution:
    """`debian`, `13`. As text: `debian-13`."""

    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name}-{self.version}"


@dataclass(frozen=True)
class _Dependency:
    systems: tuple[tuple[str, frozenset[str]], ...]
    packages: tuple[str, ...]
    before: tuple[str, ...]
    after: tuple[str, ...]

    def is_for(self, distribution: Distribution) -> bool:
        return any(
            name == distribution.name and (not versions or distribution.version in versions)
            for name, versions in self.systems
        )


@dataclass(frozen=True)
class Rules:
    """All rules; `date` is that of the commit they were taken from."""

    date: str
    by_name: Mapping[str, tuple[tuple[re.Pattern[str], ...], tuple[_Dependency, ...]]]


@dataclass(frozen=True)
class Needed:
    """What a set of packages needs of the system.

    `libraries`: Debian's package -> the R packages that need it. `before` and `after`: commands around their
    installation, with the R packages. `unknown`: R package -> what it asks for where no rule knows it.
    """

    libraries: Mapping[str, tuple[str, ...]]
    before: Mapping[str, tuple[str, ...]]
    after: Mapping[str, tuple[str, ...]]
    unknown: Mapping[str, str]


@cache
def rules() -> Rules:
    content = json.loads(RULES_FILE.read_text("utf-8"))
    return Rules(
        content["date"],
        {
            name: (
                tuple(re.compile(pattern, re.IGNORECASE) for pattern in rule["patterns"]),
                tuple(
                    _Dependency(
                        tuple((one["distribution"], frozenset(one["versions"])) for one in entry["systems"]),
                        # Of alternatives the first.
                        tuple(entry["packages"] or [one.split("|")[0].strip() for one in entry["apt_satisfy"]]),
                        tuple(entry["pre_install"]),
                        tuple(entry["post_install"]),
                    )
                    for entry in rule["dependencies"]
                ),
            )
            for name, rule in content["rules"].items()
        },
    )


def needed(requirements: Mapping[str, str], distribution: Distribution) -> Needed:
    """What R packages need, from R package -> its SystemRequirements."""
    libraries, before, after = dict[str, list[str]](), dict[str, list[str]](), dict[str, list[str]]()
    unknown = {}
    for package, text in sorted(requirements.items(), key=lambda entry: entry[0].lower()):
        words = " ".join(text.split())
        matched = list(_matching(words, distribution))
        for dependency in matched:
            for names, into in (
                (dependency.packages, libraries),
                (dependency.before, before),
                (dependency.after, after),
            ):
                for name in names:
                    if package not in into.setdefault(name, []):
                        into[name].append(package)
        if not matched and asks_for_more(words):
            unknown[package] = words
    return Needed(_settled(libraries), _settled(before), _settled(after), unknown)


def _matching(words: str, distribution: Distribution) -> Iterable[_Dependency]:
    for patterns, dependencies in rules().by_name.values():
        if any(pattern.search(words) for pattern in patterns):
            # The first entry for a system is the narrower one.
            yield from [one for one in dependencies if one.is_for(distribution)][:1]


def _settled(packages: Mapping[str, list[str]]) -> dict[str, tuple[str, ...]]:
    return {name: tuple(users) for name, users in sorted(packages.items())}


_OF_THE_COMPILER = re.compile(
    r"\(?\b(gnu\s+|usual\s+)?(g?make|gnumake|c\+\+\s*-?\s*\d*\w*|fortran|gcc|g\+\+|none|R)\b[^,;]*", re.IGNORECASE
)


def asks_for_more(words: str) -> bool:
    """Whether SystemRequirements name more than a compiler, which every image that builds R packages has."""
    return bool(re.search(r"\w", _OF_THE_COMPILER.sub("", words)))
