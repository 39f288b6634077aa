"""Pulumi's provider protocol (proto/pulumi/provider.proto of 3.259.0): requests in, answers and errors out.

Errors: FAILED_PRECONDITION tells the engine that nothing happened; a half-made resource is UNKNOWN with its details, so
that the engine keeps it. What is not a method here answers UNIMPLEMENTED, which the engine expects of small providers.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any

import grpc
from botocore.exceptions import ClientError
from google.protobuf import empty_pb2

from localcloud.plugins.configuration import configure, problems_of
from localcloud.plugins.functions import FUNCTIONS
from localcloud.plugins.naming import Autonaming
from localcloud.plugins.provider import Provider
from localcloud.plugins.refusals import Incomplete, Refused
from localcloud.plugins.values import UnsupportedValue, dump, load
from localcloud.plugins.wire import plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2
from localcloud.plugins.words import NotOne, said

log = logging.getLogger(__name__)
_KINDS = provider_pb2.PropertyDiff.Kind


def _guarded(method: Callable[..., Any]) -> Callable[..., Any]:
    """Errors as the engine understands them; a defect of ours is logged with its traceback and told as such."""

    @functools.wraps(method)
    def call(self: Servicer, request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return method(self, request, context)
        except (Refused, UnsupportedValue) as refusal:
            code, text = grpc.StatusCode.FAILED_PRECONDITION, str(refusal)
        except Incomplete as half:
            code, text = grpc.StatusCode.UNKNOWN, str(half)
            context.set_trailing_metadata((("grpc-status-details-bin", _half_made(half)),))
        except Exception as error:
            log.exception("%s failed", method.__name__)
            code, text = (
                grpc.StatusCode.INTERNAL,
                f"defect of the local cloud in {method.__name__}: {error!r} (see its log)",
            )
        context.abort(code, text)

    return call


def _half_made(half: Incomplete) -> bytes:
    status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=str(half))
    details = provider_pb2.ErrorResourceInitFailed(
        id=half.identifier, properties=dump(half.outputs), inputs=dump(half.inputs), reasons=[half.reason]
    )
    status.details.add().Pack(details)
    return bytes(status.SerializeToString())


class Servicer(provider_pb2_grpc.ResourceProviderServicer):
    """One provider instance."""

    def __init__(self, provider: Provider, version: str):
        self.provider, self.version = provider, version

    # ── the instance ─────────────────────────────────────────────────────────────────────────────────────────────────

    @_guarded
    def Handshake(self, request: Any, context: Any) -> Any:
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=False, supports_autonaming_configuration=True)

    @_guarded
    def Attach(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()

    @_guarded
    def Cancel(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()

    @_guarded
    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version=self.version)

    @_guarded
    def CheckConfig(self, request: Any, context: Any) -> Any:
        failures = [
            provider_pb2.CheckFailure(property=problem.path, reason=problem.reason)
            for problem in problems_of(self.provider, load(request.news))
        ]
        return provider_pb2.CheckResponse(inputs=request.news, failures=failures)

    @_guarded
    def DiffConfig(self, request: Any, context: Any) -> Any:
        old, new = load(request.old_inputs), load(request.news)
        for ours in ("version", "pluginDownloadURL"):
            old.pop(ours, None), new.pop(ours, None)
        same = old == new
        moved = old.get("region") != new.get("region")
        return provider_pb2.DiffResponse(
            changes=provider_pb2.DiffResponse.DIFF_NONE if same else provider_pb2.DiffResponse.DIFF_SOME,
            diffs=sorted(key for key in {**old, **new} if old.get(key) != new.get(key)),
            replaces=["region"] if moved else [],
        )

    @_guarded
    def Configure(self, request: Any, context: Any) -> Any:
        configure(self.provider, load(request.args))
        return provider_pb2.ConfigureResponse(
            acceptSecrets=False, supportsPreview=True, supports_autonaming_configuration=True
        )

    @_guarded
    def Invoke(self, request: Any, context: Any) -> Any:
        function = FUNCTIONS.get(request.tok)
        if function is None:
            raise Refused(
                f"the local cloud does not support the function {request.tok}. Supported: {', '.join(FUNCTIONS)}"
            )
        arguments = load(request.args)
        try:
            answer = function(self.provider.cloud, arguments)
        except (ClientError, NotOne) as error:
            raise Refused(said(request.tok, arguments, error, self.provider.cloud.account)) from error
        return provider_pb2.InvokeResponse(**{"return": dump(answer)})

    # ── resources ────────────────────────────────────────────────────────────────────────────────────────────────────

    @_guarded
    def Check(self, request: Any, context: Any) -> Any:
        naming = None
        if request.HasField("autonaming"):
            mode, modes = request.autonaming.mode, type(request.autonaming)
            naming = Autonaming(request.autonaming.proposed_name, mode == modes.ENFORCE, mode == modes.DISABLE)
        inputs, problems = self.provider.check(
            request.urn, load(request.olds), load(request.news), request.randomSeed, naming
        )
        failures = [provider_pb2.CheckFailure(property=problem.path, reason=problem.reason) for problem in problems]
        return provider_pb2.CheckResponse(inputs=dump(inputs), failures=failures)

    @_guarded
    def Diff(self, request: Any, context: Any) -> Any:
        difference = self.provider.diff(
            request.urn,
            request.id,
            load(request.old_inputs),
            load(request.olds),
            load(request.news),
            request.ignoreChanges,
        )
        details = {
            path: provider_pb2.PropertyDiff(
                kind=_KINDS.Value(f"{how.upper()}_REPLACE" if replaces else how.upper()), inputDiff=True
            )
            for path, how, replaces in difference.details
        }
        return provider_pb2.DiffResponse(
            changes=provider_pb2.DiffResponse.DIFF_SOME if difference.changed else provider_pb2.DiffResponse.DIFF_NONE,
            diffs=list(difference.changed),
            replaces=list(difference.replaces),
            deleteBeforeReplace=difference.delete_first and bool(difference.replaces),
            detailedDiff=details,
            hasDetailedDiff=True,
        )

    @_guarded
    def Create(self, request: Any, context: Any) -> Any:
        identifier, outputs = self.provider.create(request.urn, load(request.properties), request.preview)
        return provider_pb2.CreateResponse(id=identifier, properties=dump(outputs))

    @_guarded
    def Read(self, request: Any, context: Any) -> Any:
        resource = self.provider.read(request.urn, request.id, load(request.inputs), load(request.properties))
        if resource is None:
            return provider_pb2.ReadResponse()
        identifier, outputs, inputs = resource
        return provider_pb2.ReadResponse(id=identifier, properties=dump(outputs), inputs=dump(inputs))

    @_guarded
    def Update(self, request: Any, context: Any) -> Any:
        outputs = self.provider.update(
            request.urn, request.id, load(request.old_inputs), load(request.olds), load(request.news), request.preview
        )
        return provider_pb2.UpdateResponse(properties=dump(outputs))

    @_guarded
    def Delete(self, request: Any, context: Any) -> Any:
        self.provider.delete(request.urn, request.id, load(request.properties))
        return empty_pb2.Empty()
