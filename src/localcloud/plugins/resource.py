"""What every resource type is made of: a table of properties and the names of the API's operations.

A type that AWS treats like most is a table and six names; one that needs more overrides a method and keeps the rest.
Types know AWS's API and nothing of Pulumi's protocol; `provider.py` is the other half.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from botocore.exceptions import ClientError

from localcloud.images import Images
from localcloud.plugins.comparison import changes
from localcloud.plugins.conversion import Spelling, from_api, pascal, to_api
from localcloud.plugins.docker_config import DockerConfig
from localcloud.plugins.schema import Field, Fields, table
from localcloud.plugins.tags import Tagging
from localcloud.plugins.values import Props
from localcloud.registry_logins import Logins

_GONE = re.compile(r"NotFound|NoSuch|NonExistent|DoesNotExist|MissingException|^404$")
_SAID_GONE = re.compile(
    r"No scal(able target|ing policy) found|AutoScalingGroup name not found"
)  # both Auto Scalings say it by a ValidationError


class ServerLike(Protocol):
    """What the types need of the server: clients whose requests stay in this process."""

    account: str
    region: str
    endpoint: str
    logins: Logins

    def client(self, service: str, region: str | None = None, principal: str = "root") -> Any: ...


class Notices(Protocol):
    """What is to be said, once, of what is not kept here; empty for nothing."""

    def of(self, definition: Mapping[str, Any]) -> str:
        """Of a task definition's settings."""

    def of_image(self, lines: Sequence[str]) -> str:
        """Of what is said in a Dockerfile."""


class NoNotices:
    """Where no tasks run."""

    def of(self, definition: Mapping[str, Any]) -> str:
        return ""

    def of_image(self, lines: Sequence[str]) -> str:
        return ""


@dataclass(frozen=True)
class Cloud:
    """Where a resource lives, as its provider instance was configured."""

    server: ServerLike
    images: Images | None = None
    region: str = ""
    default_tags: Mapping[str, str] = field(default_factory=dict)
    directory: str = "."
    log: Callable[[str], None] = lambda message: None
    note: Callable[[str], None] = lambda message: None
    warn: Callable[[str], None] = lambda message: None
    docker: DockerConfig = field(default_factory=DockerConfig)
    notices: Notices = field(default_factory=NoNotices)

    @property
    def account(self) -> str:
        """The account's twelve digits."""
        return self.server.account

    @property
    def host(self) -> str:
        """host:port of the local cloud's one port."""
        return self.server.endpoint.split("://", 1)[-1]

    @property
    def port(self) -> str:
        """`:PORT` of the addresses that resources answer with."""
        name, colon, number = self.host.partition(":")
        return colon + number

    def registry_host(self, region: str | None = None) -> str:
        """host:port of the account's image registry."""
        return f"{self.account}.dkr.ecr.{region or self.region}.localhost{self.port}"

    def client(self, service: str) -> Any:
        """A boto3 client of the configured region."""
        return self.server.client(service, self.region)

    def arn(self, service: str, resource: str, regional: bool = True) -> str:
        """An ARN of this account."""
        return f"arn:aws:{service}:{self.region if regional else ''}:{self.account}:{resource}"


class HalfCreated(Exception):
    """The resource exists, but a later step of its creation or update failed; the engine keeps it and tries again."""

    def __init__(self, identifier: str, live: Props, reason: str):
        super().__init__(reason)
        self.identifier, self.live, self.reason = identifier, live, reason


@dataclass(frozen=True)
class Autoname:
    """How a name is made when none is given: `<logical name>-<7 hex digits>`, as pulumi-aws does, in AWS's limits."""

    property: str = "name"
    limit: int = 255
    lower: bool = False
    forbidden: str = r"[^A-Za-z0-9_.-]"
    prefix: str = "namePrefix"
    random: bool = True  # whether digits follow, so that two can be made of one name


def gone(error: ClientError) -> bool:
    """Whether AWS says that the thing does not exist."""
    details = error.response.get("Error", {})
    return bool(_GONE.search(str(details.get("Code", ""))) or _SAID_GONE.search(str(details.get("Message", ""))))


def dig(value: Any, path: str) -> Any:
    """The member at a dotted path; the first item where it is a list; None where there is nothing."""
    for part in filter(None, path.split(".")):
        value = value.get(part) if isinstance(value, Mapping) else None
        if isinstance(value, list):
            value = value[0] if value else None
    return value


class Resource:
    """A type that AWS treats like most; see the module."""

    token: ClassVar[str]
    service: ClassVar[str]
    table: ClassVar[str]
    meanings: ClassVar[Mapping[str, Callable[[str], Any]]] = {}
    spelling: ClassVar[Spelling] = pascal
    tagging: ClassVar[Tagging | None] = None
    autoname: ClassVar[Autoname | None] = None
    regional: ClassVar[bool] = True
    delete_first: ClassVar[bool] = False
    instead: ClassVar[Mapping[str, str]] = {}  # a property that is refused → the type that takes its place
    recomputed: ClassVar[frozenset[str]] = frozenset()  # outputs that an update changes
    arn_of_another: ClassVar[bool] = False  # `arn` is that of what it belongs to

    create_call: ClassVar[str] = ""
    create_answer: ClassVar[str] = ""  # dotted path from the answer to the resource's description
    identifier: ClassVar[str] = ""  # the description's member that is Pulumi's id
    reads_back: ClassVar[bool] = False  # the answer of the creation does not say it all
    named_by: ClassVar[str] = ""  # the property that is Pulumi's id, where the answer does not say it
    read_call: ClassVar[str] = ""
    read_key: ClassVar[str] = ""  # the argument that names it, "X[]" where it is a list
    read_answer: ClassVar[str] = ""
    update_call: ClassVar[str] = ""
    delete_call: ClassVar[str] = ""
    delete_key: ClassVar[str] = ""  # read_key where left out

    fields: ClassVar[Fields]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "table" in cls.__dict__:
            fields = dict(table(cls.table, **cls.meanings))
            if cls.regional:
                fields["region"] = Field("region", replaces=True, chosen=True, member="-")
            if cls.tagging is not None:
                fields["tags"] = Field("tags", "map", member="-")
                fields["tagsAll"] = Field("tagsAll", "map", output=True, member="-")
            cls.fields = fields

    # ── what the type's own code may replace ─────────────────────────────────────────────────────────────────────────

    def validate(self, inputs: Props) -> list[tuple[str, str]]:
        """Rules over several properties: pairs of property and reason. Unknown values may occur."""
        return []

    def prepared(self, cloud: Cloud, olds: Props, inputs: Props) -> Props:
        """The inputs as they will be kept, after Check."""
        return inputs

    def planned(self, cloud: Cloud, olds: Props, inputs: Props) -> None:
        """What the real provider asks AWS while it plans, in previews too; raises for what AWS refuses then."""

    def differences(self, old_inputs: Props, olds: Props, news: Props) -> list[str]:
        """Names of the properties that an update would change."""
        return changes(self.fields, old_inputs, news)

    def derived(self, cloud: Cloud, props: Props) -> Props:
        """Outputs that follow from the properties alone, known already in a preview."""
        return {}

    def create(self, cloud: Cloud, inputs: Props) -> tuple[str, Props]:
        """Make it; Pulumi's id and the properties that AWS answered with."""
        answer = self.call(
            cloud, self.create_call, **self.arguments(cloud, inputs), **self.creating_tags(cloud, inputs)
        )
        described = dig(answer, self.create_answer) if self.create_answer else answer
        identifier = inputs[self.named_by] if self.named_by else described[self.identifier]
        live = self.read(cloud, str(identifier), {}) if self.reads_back else self.live(cloud, described)
        return str(identifier), live or {}

    def read(self, cloud: Cloud, identifier: str, props: Props) -> Props | None:
        """Its properties as they are now (tags as `tagsAll`), or None when it does not exist."""
        answer = self.call(cloud, self.read_call, **self.key(self.read_key, identifier, props))
        described = dig(answer, self.read_answer) if self.read_answer else answer
        if not described:
            return None
        live = self.live(cloud, described)
        if self.tagging is not None and "tagsAll" not in live:
            live["tagsAll"] = self.tagging.read(cloud.client(self.service), self.tagged(identifier, live))
        return live

    def update(self, cloud: Cloud, identifier: str, old: Props, new: Props, changed: set[str]) -> Props:
        """Make it `new`; may be repeated and `old` may be out of date. Answers the outputs that changed."""
        if self.update_call and changed - {"tags", "tagsAll"}:
            key = self.key(self.delete_key or self.read_key, identifier, old)
            self.call(cloud, self.update_call, **{**self.arguments(cloud, new, updating=True), **key})
        return {}

    def delete(self, cloud: Cloud, identifier: str, props: Props) -> None:
        """Remove it. That it is gone already is no error (the caller sees to that)."""
        self.call(cloud, self.delete_call, **self.key(self.delete_key or self.read_key, identifier, props))

    def import_id(self, cloud: Cloud, identifier: str) -> str:
        """The id Pulumi keeps for what a person typed after `pulumi import`."""
        return identifier

    def arguments(self, cloud: Cloud, inputs: Props, updating: bool = False) -> Props:
        """The create call's arguments, or the update call's."""
        return to_api(self.fields, inputs, self.spelling)

    def live(self, cloud: Cloud, described: Mapping[str, Any]) -> Props:
        """Properties out of the API's description."""
        live = from_api(self.fields, described, self.spelling)
        if self.tagging is not None and self.tagging.argument in described:
            live["tagsAll"] = self.tagging.unwrap(described[self.tagging.argument])
        return live

    def tagged(self, identifier: str, props: Props) -> str:
        """What the service's tag calls name the resource by."""
        return str(props.get("arn") or identifier)

    # ── helpers ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def call(self, cloud: Cloud, operation: str, **arguments: Any) -> Any:
        """One API call."""
        return getattr(cloud.client(self.service), operation)(**arguments)

    def all(self, cloud: Cloud, operation: str, member: str, **arguments: Any) -> list[Any]:
        """What a call lists, of all its pages, read before anything of it is removed: an answer ends after a page, and
        a page is counted from where the last one ended.
        """
        pages = cloud.client(self.service).get_paginator(operation).paginate(**arguments)
        return [each for page in pages for each in page.get(member) or []]

    def key(self, argument: str, identifier: str, props: Props) -> dict[str, Any]:
        """The argument that names the resource."""
        name = argument.removesuffix("[]")
        return {name: [identifier] if argument.endswith("[]") else identifier}

    def all_tags(self, cloud: Cloud, inputs: Props) -> dict[str, str]:
        """The provider's default tags under the resource's own."""
        own = inputs.get("tags")
        return {**cloud.default_tags, **(own if isinstance(own, dict) else {})}

    def creating_tags(self, cloud: Cloud, inputs: Props) -> Props:
        """The create call's argument for tags."""
        return self.tagging.creating(self.all_tags(cloud, inputs)) if self.tagging is not None else {}


REGISTRY: dict[str, Resource] = {}


def identity_of(token: str, identifier: str, outputs: Props) -> str:
    """What tells two resources of a type apart: their own ARN where they have one (two task definitions of a family
    share their id), else the id.
    """
    arn, kind = outputs.get("arn"), REGISTRY[token]
    is_own = "arn" in kind.fields and kind.fields["arn"].output and not kind.arn_of_another
    return arn if is_own and isinstance(arn, str) else identifier


def resource_type(cls: type[Resource]) -> type[Resource]:
    """Register a type under its token."""
    REGISTRY[cls.token] = cls()
    return cls
