"""What rules are about: resources of a stack as Pulumi knows them, and the rules themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Level = Literal["mandatory", "advisory"]

FOLDERS = {"Job": "jobs", "Report": "reports", "Api": "apis", "App": "apps"}
"""Kind of a workload's component -> the folder that its files lie in."""

CONTROLS = "https://docs.aws.amazon.com/securityhub/latest/userguide/{service}-controls.html#{service}-{number}"


class _Unknown:
    """A value that only AWS will give. It equals nothing, contains nothing, and no rule finds fault with it."""

    def __eq__(self, other: object) -> bool:
        return False

    __hash__ = None  # type: ignore[assignment]

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __contains__(self, item: object) -> bool:
        return False

    def __bool__(self) -> bool:
        return True

    def get(self, key: str, default: Any = None) -> Any:
        return self

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Any = _Unknown()


@dataclass(frozen=True)
class Resource:
    """One resource, or a file (it has no type).

    `props` have Pulumi's names (camelCase); `links` say which resources an input came from (URNs).
    """

    type: str
    name: str
    props: Mapping[str, Any]
    urn: str = ""
    parent: str = ""
    links: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @property
    def file(self) -> str:
        """Where a person would change it: the settings file of the workload it belongs to, else the environment."""
        if not self.type:
            return self.name
        kind, _, name = self.parent.rpartition("::")
        folder = FOLDERS.get(kind.rsplit(":", 1)[-1])
        return f"{folder}/{name}/workload.toml" if folder else "environment"

    def lacks(self, key: str, *wanted: Any) -> bool:
        """Whether the input is known and is none of `wanted`."""
        value = self.props.get(key)
        return value is not UNKNOWN and value not in wanted

    def has(self, key: str) -> bool:
        """Whether the input is given, known or not."""
        value = self.props.get(key)
        return value is UNKNOWN or bool(value)


@dataclass(frozen=True)
class Stack:
    """What is known of the stack beside its resources: its name and its settings (`{"herd:profile": "prod"}`)."""

    environment: str = "dev"
    project: str = "herd"
    config: Mapping[str, str] = field(default_factory=dict)

    def setting(self, name: str, *, dev: str = "", prod: str = "") -> str:
        """A setting's text; where the stack leaves it to its profile, that profile's."""
        value = self.config.get(f"herd:{name}", "profile")
        return (prod if self.is_prod else dev) if value == "profile" else value

    def on(self, name: str) -> bool:
        """A setting that is off in dev and on in prod, unless the stack says otherwise."""
        return self.setting(name, dev="false", prod="true") == "true"

    @property
    def is_prod(self) -> bool:
        return self.config.get("herd:profile", "dev") == "prod"


Check = Callable[[Resource, Stack], Iterable[str]]
WholeCheck = Callable[[Sequence[Resource], Stack], Iterable[tuple[Resource, str]]]


@dataclass(frozen=True)
class Rule:
    """One rule. `says` is what must hold, `why` what happens otherwise; `control` is AWS's own (Security Hub), if any.

    `check` judges one resource of `types` and gives one line a problem; `whole` judges all of a stack together.
    """

    id: str
    says: str
    why: str
    control: str
    link: str
    level: Level
    types: tuple[str, ...]
    check: Check | None = None
    whole: WholeCheck | None = None


@dataclass(frozen=True)
class Finding:
    """A rule that is broken. Never holds a value that could be a secret: names, ports and permissions only."""

    rule: Rule
    resource: Resource
    problem: str

    @property
    def mandatory(self) -> bool:
        return self.rule.level == "mandatory"

    def __str__(self) -> str:
        by = f"{self.rule.id}, AWS {self.rule.control}" if self.rule.control else self.rule.id
        about = f"{self.resource.name}: " if self.resource.type else ""
        return f"{self.resource.file}: {about}{self.problem} ({by})"


class Rules:
    """The rules of one concern, collected by decorators: `@rules.each("tasks-logged", type, says=…, why=…)`.

    Where AWS has a control (`ECS.9`), the link to it follows from its name.
    """

    def __init__(self) -> None:
        self.all: list[Rule] = []

    def each(
        self, id: str, *types: str, says: str, why: str, control: str = "", link: str = "", level: Level = "mandatory"
    ) -> Callable[[Check], Check]:
        def add(check: Check) -> Check:
            self.all.append(Rule(id, says, why, control, link or _link(control), level, types, check=check))
            return check

        return add

    def whole(
        self, id: str, *types: str, says: str, why: str, control: str = "", link: str = "", level: Level = "mandatory"
    ) -> Callable[[WholeCheck], WholeCheck]:
        def add(check: WholeCheck) -> WholeCheck:
            self.all.append(Rule(id, says, why, control, link or _link(control), level, types, whole=check))
            return check

        return add


def _link(control: str) -> str:
    service, number = control.lower().split(".")
    return CONTROLS.format(service=service, number=number)
