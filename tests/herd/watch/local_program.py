"""The whole program deployed into a local cloud of this process: its own resources, without an engine.

Pulumi's SDK registers each resource with a monitor; this one hands it to the local cloud's own provider, so what the
stories run on is what `herd up` makes, made in a second or two.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError
from pulumi.runtime import mocks
from pulumi.runtime.proto import resource_pb2

from herd.infra.settings.schema import Settings
from localcloud.plugins import Plugins
from localcloud.plugins.functions import FUNCTIONS
from localcloud.plugins.provider import Provider
from localcloud.plugins.values import Props, dump, load
from localcloud.plugins.words import said
from tests.herd.infra.program.mocks import Refused, make_program, run_with

DIGEST = f"sha256:{'0' * 64}"
STACK_REFERENCES = ("pulumi:pulumi:readStackOutputs", "pulumi:pulumi:readStackResourceOutputs")


@dataclass(frozen=True)
class Made:
    """A resource as the provider made it."""

    urn: str
    type: str
    id: str
    inputs: Props
    outputs: Props

    @property
    def part(self) -> str:
        """Its type and name, as in `MetricAlarm watch-silent`."""
        return f"{self.type.rpartition(':')[2]} {self.urn.rpartition('::')[2]}"


class _Nothing(mocks.Mocks):
    """Every resource and function is somebody else's here."""

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        return f"{args.name}-id", dict(args.inputs)

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        if args.token in STACK_REFERENCES:
            return {}, []
        raise AssertionError(f"nobody answers {args.token}")


class _Deploys(mocks.MockMonitor):
    """Makes what the program registers. `without`: resources that were taken out of the program, by name."""

    def __init__(self, provider: Provider, without: Callable[[str, str], bool]):
        super().__init__(_Nothing())
        self.made: list[Made] = []
        self._provider = provider
        self._without = without

    def Invoke(self, request: Any) -> Any:
        function = FUNCTIONS.get(request.tok)
        if function is None:
            return super().Invoke(request)  # type: ignore[no-untyped-call]
        arguments = load(request.args)
        try:
            answer = function(self._provider.cloud, arguments)
        except ClientError as error:
            raise Refused(said(request.tok, arguments, error, self._provider.cloud.account)) from error
        return resource_pb2.ResourceInvokeResponse(**{"return": dump(answer)})

    def RegisterResource(self, request: Any) -> Any:
        if not request.type.startswith("aws:") or self._without(request.type, request.name):
            return self._stand_in(request)
        urn = str(self.make_urn(request.parent, request.type, request.name))  # type: ignore[no-untyped-call]
        inputs, problems = self._provider.check(urn, {}, load(request.object), bytes(range(32)), None)
        assert not problems, (request.name, problems)
        identifier, outputs = self._provider.create(urn, inputs, False)
        self.made.append(Made(urn, request.type, identifier, inputs, outputs))
        return resource_pb2.RegisterResourceResponse(urn=urn, id=identifier, object=dump(outputs))

    def _stand_in(self, request: Any) -> Any:
        """A component, or an image, which nothing here runs: it is known by the digest of its reference."""
        answer = super().RegisterResource(request)  # type: ignore[no-untyped-call]
        if request.type == "docker:index/image:Image":
            name = str(load(request.object)["imageName"])
            outputs = {**load(answer.object), "repoDigest": f"{name.rpartition(':')[0]}@{DIGEST}"}
            answer = resource_pb2.RegisterResourceResponse(urn=answer.urn, id=answer.id, object=dump(outputs))
        return answer


def deploy(
    plugins: Plugins,
    root: Path,
    settings: Settings,
    without: Callable[[str, str], bool] = lambda type, name: False,
) -> tuple[list[Made], Mapping[str, Any]]:
    """Every resource of the program on the team in `root`, and what it exports."""
    monitor = _Deploys(plugins.provider("aws"), without)
    exports: dict[str, Any] = {}
    make = make_program(root, settings)
    run_with(monitor, settings.project, settings.environment, make, exports.update, account=settings.account)
    return monitor.made, exports
