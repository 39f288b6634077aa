"""Pulumi's analyzer protocol (`proto/pulumi/analyzer.proto`) over the rules.

Served directly instead of through Pulumi's policy SDK: that would be one more package, which pins others, and half a
second more in each preview.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import empty_pb2, json_format

from herd.language_host.wire import without_sdk
from herd.policy import exceptions
from herd.policy.catalogue import RULES, look_at, look_at_all
from herd.policy.exceptions import EXCEPTIONS_HOLD, Exceptions, ExceptionsError
from herd.policy.model import Finding, Resource, Rule, Stack
from herd.policy.wire import has_unknown, plain

with without_sdk():
    from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc, plugin_pb2

PACK, VERSION = "herd", "1.0.0"
NO_LIMIT = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class Analyzer(analyzer_pb2_grpc.AnalyzerServicer):
    """Judges one update: each resource before it is made, then all of them together."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()
        self._not_known: set[str] = set()
        self._complaint = ""
        self._begin(Stack())

    def _begin(self, stack: Stack) -> None:
        self._stack = stack
        try:
            entries = exceptions.read(self._root, [rule.id for rule in RULES])
        except ExceptionsError as error:
            entries, self._complaint = [], str(error)
        self._exceptions = Exceptions(entries, stack, datetime.now(UTC).date())

    def Handshake(self, request: Any, context: Any) -> Any:
        return analyzer_pb2.AnalyzerHandshakeResponse()

    def ConfigureStack(self, request: Any, context: Any) -> Any:
        self._begin(Stack(request.stack, request.project, dict(request.config)))
        return analyzer_pb2.AnalyzerStackConfigureResponse()

    def Configure(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()

    def Cancel(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version=VERSION)

    def GetAnalyzerInfo(self, request: Any, context: Any) -> Any:
        return analyzer_pb2.AnalyzerInfo(
            name=PACK,
            displayName="Herd",
            version=VERSION,
            description="What every environment is held to",
            policies=[_info(rule) for rule in (*RULES, EXCEPTIONS_HOLD)],
        )

    def Remediate(self, request: Any, context: Any) -> Any:
        return analyzer_pb2.RemediateResponse()

    def Analyze(self, request: Any, context: Any) -> Any:
        resource = _resource(request, request.options.parent)
        with self._lock:
            if has_unknown(resource.props):
                self._not_known.add(resource.name)
            return _answer(self._exceptions.remaining(look_at(resource, self._stack)))

    def AnalyzeStack(self, request: Any, context: Any) -> Any:
        resources = [_resource(entry, entry.parent) for entry in request.resources]
        with self._lock:
            findings = list(self._exceptions.remaining(look_at_all(resources, self._stack)))
            findings += self._exceptions.problems(self._not_known)
            if self._complaint:
                named = Resource(type="", name=exceptions.FILE, props={})
                findings += [Finding(EXCEPTIONS_HOLD, named, line) for line in self._complaint.splitlines()]
            return _answer(findings)


def _resource(entry: Any, parent: str) -> Resource:
    props = plain(json_format.MessageToDict(entry.properties))
    links = {}
    if isinstance(entry, analyzer_pb2.AnalyzerResource):
        links = {key: frozenset(dependencies.urns) for key, dependencies in entry.propertyDependencies.items()}
    return Resource(entry.type, entry.name, props, entry.urn, parent, links)


def _info(rule: Rule) -> Any:
    return analyzer_pb2.PolicyInfo(
        name=rule.id,
        displayName=rule.id,
        description=rule.says,
        message=rule.why,
        enforcementLevel=_level(rule),
        policy_type=analyzer_pb2.POLICY_TYPE_RESOURCE if rule.check else analyzer_pb2.POLICY_TYPE_STACK,
        url=rule.link,
    )


def _level(rule: Rule) -> Any:
    return analyzer_pb2.MANDATORY if rule.level == "mandatory" else analyzer_pb2.ADVISORY


def _answer(findings: Iterable[Finding]) -> Any:
    return analyzer_pb2.AnalyzeResponse(
        diagnostics=[
            analyzer_pb2.AnalyzeDiagnostic(
                policyName=finding.rule.id,
                policyPackName=PACK,
                policyPackVersion=VERSION,
                description=finding.rule.says,
                # Pulumi itself says which rule it is, and which resource.
                message=f"{finding.resource.file}: {finding.problem}\n{finding.rule.why} {finding.rule.link}".rstrip(),
                enforcementLevel=_level(finding.rule),
                urn=finding.resource.urn,
            )
            for finding in findings
        ]
    )


def serve(root: Path) -> None:
    """Print the port and answer until the engine ends it, by a signal or by going away."""
    server = grpc.server(ThreadPoolExecutor(4), options=NO_LIMIT)
    analyzer_pb2_grpc.add_AnalyzerServicer_to_server(Analyzer(root), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: os._exit(0))
    print(port, flush=True)
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(1)
    sys.stdout.flush()
    os._exit(0)
