"""Runs the whole program under Pulumi's mocks and keeps what it registered, with parents and dependencies."""

import asyncio
import json
import os
import runpy
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any
from unittest.mock import patch

import grpc
import pulumi
from pulumi.runtime import mocks
from pulumi.runtime import resource as registration
from pulumi.runtime.proto import source_pb2

from herd.infra.offer import Offer
from herd.infra.settings.schema import Settings
from herd.infra.spec.load import load_specs
from herd.project import Project

PROGRAM = Path(__file__).parents[4] / "infra"
"""The sample's, which is every team's to begin with."""

ACCOUNT, REGION = "123456789012", "eu-west-1"
SETTINGS = Settings("herd", "dev", REGION, ACCOUNT, allow_public=True)

TEAM = {
    "defaults.toml": 'owner = "data@example.com"\nreview_by = 2027-06-30\n',
    "images/python/Dockerfile": "FROM scratch\n",
    "images/python/requirements.lock": "# none\n",
    "lib/features/__init__.py": "X = 1\n",
    "jobs/ingest/workload.toml": 'schedule = "0 6 * * 1-5"\ntimezone = "Europe/Amsterdam"\nreads = ["ingest"]\n',
    "jobs/ingest/main.py": "print(1)\n",
    "jobs/train/workload.toml": (
        'after = ["ingest"]\nreads = ["ingest"]\nuses = ["features"]\nfan_out = ["small", "large"]\n'
        'hardware = "fargate-spot"\n[[check]]\nfile = "metrics.json"\nvalue = "auc"\nmin = 0.7\n'
    ),
    "jobs/train/main.py": "print(2)\n",
    "jobs/lonely/workload.toml": 'schedule = "@daily"\nretries = 0\noverlap = "allow"\n',
    "jobs/lonely/main.py": "print(3)\n",
    "reports/page/workload.toml": 'after = ["train"]\nreads = ["train"]\n',
    "reports/page/main.py": "print(4)\n",
    "apis/answers/workload.toml": (
        'command = ["python", "serve.py"]\nreads = ["train"]\naccess = "public"\n[replicas]\nmin = 1\nmax = 3\n'
    ),
    "apis/answers/serve.py": "print(5)\n",
    "apis/inside/workload.toml": 'command = ["python", "serve.py"]\nport = 9000\n',
    "apis/inside/serve.py": "print(6)\n",
}
"""A small team: a pipeline of three, a job of its own, a public and an internal API."""


def write_team(root: Path, files: Mapping[str, str]) -> Path:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return root


@dataclass
class Registered:
    """One resource as it was registered. `inputs` have the names of the wire: camelCase."""

    type: str
    name: str
    inputs: dict[str, Any]
    urn: str
    parent: str
    depends_on: set[str]
    ignore_changes: list[str]
    property_dependencies: dict[str, frozenset[str]] = field(default_factory=dict)

    @property
    def is_component(self) -> bool:
        return self.type.startswith("herd:infra:")


@dataclass
class Program:
    """Everything that one run of the program registered, and what it exports."""

    resources: list[Registered] = field(default_factory=list)
    exports: dict[str, Any] = field(default_factory=dict)

    def of(self, kind: str) -> list[Registered]:
        """Resources whose type ends so: `of("ecs/service:Service")`."""
        return [resource for resource in self.resources if resource.type.endswith(kind)]

    def one(self, kind: str, name: str) -> Registered:
        (found,) = [resource for resource in self.of(kind) if resource.name == name]
        return found

    def below(self, component: str) -> list[Registered]:
        """The component of that name and its children."""
        (root,) = [resource for resource in self.resources if resource.name == component and resource.is_component]
        return [root, *(resource for resource in self.resources if resource.parent == root.urn)]

    def definition(self, component: str) -> dict[str, Any]:
        """The state machine of a job or, with `<name>-pipeline`, of a pipeline."""
        loaded: dict[str, Any] = json.loads(
            self.one("sfn/stateMachine:StateMachine", f"{component}-machine").inputs["definition"]
        )
        return loaded

    def container(self, workload: str) -> dict[str, Any]:
        """The one container of a workload's task definition."""
        text = self.one("ecs/taskDefinition:TaskDefinition", f"{workload}-task").inputs["containerDefinitions"]
        (container,) = json.loads(text)
        assert isinstance(container, dict)
        return container

    def task(self, workload: str) -> dict[str, Any]:
        """What the runner of `workload` is told."""
        variables = {entry["name"]: entry["value"] for entry in self.container(workload)["environment"]}
        loaded: dict[str, Any] = json.loads(variables["HERD_TASK"])
        return loaded

    def everything(self) -> dict[str, Any]:
        """All inputs by URN, to compare two runs."""
        return {resource.urn: plain(resource.inputs) for resource in self.resources}


def plain(value: Any) -> Any:
    """With archives and assets, which are never equal, as what they hold."""
    match value:
        case pulumi.AssetArchive():
            return {name: plain(asset) for name, asset in sorted(value.assets.items())}
        case pulumi.FileAsset():
            return Path(value.path)
        case pulumi.StringAsset():
            return value.text
        case dict():
            return {key: plain(one) for key, one in value.items()}
        case list():
            return [plain(one) for one in value]
        case _:
            return value


PROOF = {"resourceRecordName": "_x.example", "resourceRecordType": "CNAME", "resourceRecordValue": "_y.example"}
"""What ACM asks for in a zone before it issues a certificate."""


Answer = Callable[[Mapping[str, Any]], dict[str, Any]]


class Refused(grpc.RpcError):
    """What a look-up that the provider refuses is on the wire; the program sees it as an ordinary exception."""

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.UNKNOWN

    def details(self) -> str:
        return self.reason


def _pushed(image_name: str) -> str:
    """The reference by digest of what was pushed under `repository:tag`."""
    return f"{image_name.rpartition(':')[0]}@sha256:{'0' * 64}"


class _Cloud(mocks.Mocks):
    """Answers as AWS would where the program goes on with the answer; `there` answers look-ups in another way."""

    def __init__(self, project: str, stack: str, there: Mapping[str, Answer]) -> None:
        self._there = there
        self._own_tags = {"herd:project": project, "herd:environment": stack}

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        computed = {
            "docker:index/image:Image": {"repoDigest": _pushed(str(args.inputs.get("imageName")))},
            "aws:ecr/repository:Repository": {"repositoryUrl": f"registry.example/{args.inputs.get('name')}"},
            "aws:s3/bucket:Bucket": {"bucketRegionalDomainName": f"{args.inputs.get('bucket')}.s3.{REGION}.example"},
            "aws:cloudfront/distribution:Distribution": {"domainName": "d1.cloudfront.example"},
            "aws:acm/certificate:Certificate": {"domainValidationOptions": [PROOF]},
            "aws:lb/loadBalancer:LoadBalancer": {"dnsName": f"{args.inputs.get('name')}.elb.example"},
        }
        return f"{args.name}-id", {"arn": f"arn:{args.name}", **args.inputs, **computed.get(args.typ, {})}

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        answers: dict[str, dict[str, Any]] = {
            "pulumi:pulumi:readStackOutputs": {},
            "pulumi:pulumi:readStackResourceOutputs": {},
            "aws:route53/getZone:getZone": {"zoneId": "Z1", "id": "Z1"},
            "aws:s3/getAccountPublicAccessBlock:getAccountPublicAccessBlock": {"blockPublicPolicy": False},
            "aws:s3/getBucket:getBucket": {
                "bucket": args.args.get("bucket"),
                "bucketRegion": REGION,
                "region": REGION,
                "id": args.args.get("bucket"),
                "arn": f"arn:aws:s3:::{args.args.get('bucket')}",
            },
            "aws:ecr/getRepository:getRepository": {
                "repositoryUrl": f"registry.example/{args.args.get('name')}",
                "id": args.args.get("name"),
            },
            "aws:resourcegroupstaggingapi/getResources:getResources": {
                # The adopted data bucket is this environment's; nothing else bears its names.
                "resourceTagMappingLists": [
                    {"resourceArn": arn, "tags": self._own_tags, "complianceDetails": []}
                    for arn in args.args.get("resourceArnLists", [])
                    if arn.startswith("arn:aws:s3:::acme-")
                ],
            },
            "aws:ec2/getVpc:getVpc": {"id": args.args.get("id"), "cidrBlock": "10.20.0.0/16"},
            "aws:ec2/getSubnet:getSubnet": {
                "id": args.args.get("id"),
                "vpcId": "vpc-company",
                "availabilityZone": f"{REGION}{str(args.args.get('id'))[-1]}",
            },
            "aws:sesv2/getEmailIdentity:getEmailIdentity": {
                "emailIdentity": args.args.get("emailIdentity"),
                "verifiedForSendingStatus": True,
            },
            "aws:index/getCallerIdentity:getCallerIdentity": {
                "accountId": ACCOUNT,
                "arn": f"arn:aws:iam::{ACCOUNT}:root",
                "id": ACCOUNT,
                "userId": ACCOUNT,
            },
            "aws:index/getAvailabilityZones:getAvailabilityZones": {
                "names": [f"{REGION}{zone}" for zone in "abc"],
                "id": REGION,
                "zoneIds": [],
                "groupNames": [],
            },
        }
        if args.token == "aws:secretsmanager/getSecret:getSecret":
            return self._secret(args.args["name"])
        short = args.token.rpartition(":")[2]
        if short in self._there:
            return self._there[short](args.args), []
        if short == "getImage":
            raise Refused("reading ECR Images: couldn't find resource")
        return answers[args.token], []

    def _secret(self, name: str) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        """Every secret is there but those that are called `missing`."""
        if "missing" in name:
            return {}, [("name", f"reading Secrets Manager Secret ({name}): couldn't find resource")]
        arn = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{name}-AbCdEf"
        return {"arn": arn, "id": arn, "name": name}, []


class _Monitor(mocks.MockMonitor):
    """Keeps what mocks alone do not show: parent, dependencies, ignored changes."""

    def __init__(self, program: Program, cloud: _Cloud) -> None:
        super().__init__(cloud)
        self._program = program

    def RegisterResource(self, request: Any) -> Any:
        response = super().RegisterResource(request)  # type: ignore[no-untyped-call]
        if request.type != "pulumi:pulumi:Stack":
            self._program.resources.append(
                Registered(
                    type=request.type,
                    name=request.name,
                    inputs=mocks.rpc.deserialize_properties(request.object),
                    urn=response.urn,
                    parent=request.parent,
                    depends_on=set(request.dependencies),
                    ignore_changes=list(request.ignoreChanges),
                    property_dependencies={
                        key: frozenset(found.urns) for key, found in request.propertyDependencies.items()
                    },
                )
            )
        return response


def login(account: str) -> dict[str, str]:
    """What Docker has to know before an image can be pushed."""
    registry = f"{account}.dkr.ecr.{REGION}.amazonaws.com"
    return {"DOCKER_AUTH_CONFIG": json.dumps({"auths": {registry: {"auth": "QVdTOmE="}}})}


def run_program(
    root: Path,
    settings: Settings = SETTINGS,
    there: Mapping[str, Answer] = MappingProxyType({}),
    preview: bool = False,
) -> Program:
    """Runs `infra/`, the team's own if it has one, on the team in `root`. `there`: function (`getImage`) -> its answer.

    Docker has a login for the registry, and the registry has no image.
    """

    return run_made(settings.project, settings.environment, make_program(root, settings), there, preview)


def make_program(root: Path, settings: Settings) -> Callable[[], Mapping[str, Any]]:
    """What registers everything of the team in `root` and gives back what is exported."""

    def make() -> Mapping[str, Any]:
        exports: dict[str, Any] = {}
        program = root / "infra" if (root / "infra").is_dir() else PROGRAM
        project = partial(load_project, settings, root)
        # As the language host does: the program's folder comes first.
        with (
            patch.object(Project, "here", project),
            patch.object(pulumi, "export", exports.__setitem__),
            patch.object(sys, "path", [str(program), *sys.path]),
        ):
            runpy.run_path(str(program / "__main__.py"), run_name="__main__")
        return exports

    return make


def load_project(settings: Settings, root: Path) -> Project:
    """What `Project.here()` makes of these settings and the team in `root`."""
    return Project(settings, load_specs(root, settings.environment, Offer.of(settings)), root)


def run_made(
    project: str,
    stack: str,
    make: Callable[[], Mapping[str, Any]],
    there: Mapping[str, Answer] = MappingProxyType({}),
    preview: bool = False,
) -> Program:
    """Runs `make`, which registers resources and gives back what is exported."""
    program = Program()
    monitor = _Monitor(program, _Cloud(project, stack, there))
    run_with(monitor, project, stack, make, program.exports.update, preview)
    return program


def run_with(
    monitor: mocks.MockMonitor,
    project: str,
    stack: str,
    make: Callable[[], Mapping[str, Any]],
    exported: Callable[[Mapping[str, Any]], None],
    preview: bool = False,
    account: str = ACCOUNT,
) -> None:
    """Runs `make` with a monitor that is told of each resource; `exported` gets what is exported.

    Docker has a login for the registry of `account`.
    """

    @pulumi.runtime.test
    def run() -> pulumi.Output[None]:
        return pulumi.Output.all(**make()).apply(exported)

    # A resource's place in the program's source is for the engine's messages; to find it takes a fifth of a run.
    no_place = patch.object(registration, "_get_stack_trace", source_pb2.StackTrace)
    with no_place, _event_loop(), patch.dict(os.environ, {**login(account), **os.environ}):
        pulumi.runtime.set_mocks(
            monitor.mocks, project=project, stack=stack, organization="acme", preview=preview, monitor=monitor
        )
        run()


@contextmanager
def _event_loop() -> Iterator[None]:
    """Pulumi wants one in the main thread. Those it makes in its worker threads (`sync_await`) it never closes: an open
    one that is collected later would fail whichever test runs by then.
    """
    make, made = asyncio.new_event_loop, list[asyncio.AbstractEventLoop]()

    def noted() -> asyncio.AbstractEventLoop:
        made.append(make())
        return made[-1]

    with patch.object(asyncio, "new_event_loop", noted):
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        try:
            yield
        finally:
            loop.run_until_complete(loop.shutdown_default_executor())
            asyncio.set_event_loop(None)
            for each in made:
                each.close()
