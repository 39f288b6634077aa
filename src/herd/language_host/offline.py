"""Runs the program without an engine and without a cloud: `python -P offline.py '<settings as JSON>' <result file>`.

Like `program.py` it runs with the program's interpreter. Every resource that the program registers is recorded and
answered as in a first preview: outputs that only AWS can know stay unknown. Look-ups are answered as by an account that
has everything that the settings name. The settings are `program` (its folder), `project`, `stack`, `account`, `region`,
`vpc`, `tags` (of adopted resources) and, optionally, `deployed`: then every resource is answered as one that is there,
with an ARN and an id, so that two runs can be compared. The result is JSON, `{"resources": […], "outputs": {…},
"error": null or text}`, with inputs and outputs in Pulumi's wire format.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import runpy
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pulumi
import pulumi.runtime
from google.protobuf import json_format
from pulumi.runtime import mocks
from pulumi.runtime.stack import Stack, run_pulumi_func


class Cloud(mocks.Mocks):
    """Pulumi's mocks with the fewest outputs that the program needs."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.account, self.region, self.vpc = settings["account"], settings["region"], settings["vpc"]
        self.tags = settings["tags"]
        self.is_deployed = bool(settings.get("deployed"))

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        # These go into the task definitions, which could not be looked at without them.
        known = {
            "aws:ecr/repository:Repository": {"repositoryUrl": f"registry.invalid/{args.inputs.get('name')}"},
            "aws:s3/bucket:Bucket": {"bucketRegionalDomainName": f"{args.inputs.get('bucket')}.s3.invalid"},
            "aws:cloudfront/distribution:Distribution": {"domainName": "cloudfront.invalid"},
            "docker:index/image:Image": {"repoDigest": f"registry.invalid/{args.name}@sha256:{'0' * 64}"},
        }
        made = {**args.inputs, **known.get(args.typ, {})}
        if not self.is_deployed:
            return "", made
        return f"{args.name}-id", {"arn": self._arn(args), **made, **self._of_content(args)}

    def _arn(self, args: mocks.MockResourceArgs) -> str:
        """One that says to a person what it is of."""
        service, _, kind = args.typ.split(":")[1].partition("/")
        if service == "s3" and "bucket" in args.inputs:
            return f"arn:aws:s3:::{args.inputs['bucket']}"
        name = args.inputs.get("name") or args.name
        if kind == "taskDefinition":  # each registration is a new revision
            inputs = json.dumps(args.inputs, sort_keys=True, default=str)
            name = f"{name}:{hashlib.sha256(inputs.encode()).hexdigest()[:8]}"
        return f"arn:aws:{service}:{self.region}:{self.account}:{kind}/{name}"

    def _of_content(self, args: mocks.MockResourceArgs) -> dict[str, Any]:
        """An image's digest is that of what is in it, which its tag names."""
        if args.typ != "docker:index/image:Image":
            return {}
        repository, _, tag = str(args.inputs.get("imageName")).rpartition(":")
        return {"repoDigest": f"{repository}@sha256:{hashlib.sha256(tag.encode()).hexdigest()}"}

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        asked = args.args
        name = next((str(asked[key]) for key in ("id", "name", "bucket", "arn", "repositoryName") if key in asked), "x")
        # Every look-up succeeds, with a resource in this account and region.
        result = {
            "id": name,
            "arn": name if name.startswith("arn:") else f"arn:aws:x:{self.region}:{self.account}:{name}",
            "accountId": self.account,
            "userId": self.account,
            "region": self.region,
            "bucketRegion": self.region,
            "names": [f"{self.region}{zone}" for zone in "abc"],
            "zoneIds": [],
            "groupNames": [],
            "zoneId": "Z0",
            "cidrBlock": "10.0.0.0/16",
            "repositoryUrl": f"{self.account}.dkr.ecr.{self.region}.amazonaws.com/{name}",
            "imageDigest": f"sha256:{'0' * 64}",
            "userName": "AWS",
            "verifiedForSendingStatus": True,
            "password": "",
            "resourceTagMappingLists": [
                {"resourceArn": arn, "tags": self.tags, "complianceDetails": []}
                for arn in asked.get("resourceArnLists") or []
            ],
        }
        if args.token == "aws:index/getCallerIdentity:getCallerIdentity":
            result["arn"] = f"arn:aws:iam::{self.account}:root"
        if args.token == "aws:ec2/getSubnet:getSubnet":
            # Which zone a subnet lies in cannot be known here; no two share one.
            result |= {"availabilityZone": name, "vpcId": self.vpc}
        return {**result, **asked}, []


class Monitor(mocks.MockMonitor):
    """Records the registered resources, with their parents and the dependencies of each input."""

    def __init__(self, cloud: Cloud) -> None:
        super().__init__(cloud)
        self.registered: list[dict[str, Any]] = []
        self.outputs: dict[str, Any] = {}

    def RegisterResource(self, request: Any) -> Any:
        response = super().RegisterResource(request)  # type: ignore[no-untyped-call]
        if request.type != "pulumi:pulumi:Stack":
            self.registered.append(
                {
                    "type": request.type,
                    "name": request.name,
                    "props": json_format.MessageToDict(request.object),
                    "urn": response.urn,
                    "parent": request.parent,
                    "custom": request.custom,
                    "ignored": list(request.ignoreChanges),
                    "links": {
                        key: sorted(dependencies.urns) for key, dependencies in request.propertyDependencies.items()
                    },
                }
            )
        return response

    def RegisterResourceOutputs(self, request: Any) -> Any:
        if "::pulumi:pulumi:Stack::" in request.urn:
            self.outputs = json_format.MessageToDict(request.outputs)
        return super().RegisterResourceOutputs(request)  # type: ignore[no-untyped-call]


def run(settings: dict[str, Any]) -> dict[str, Any]:
    """Run the program; the resources that it registered, and the error with which it ended, or None."""
    pulumi.runtime.set_all_config(pulumi.runtime.get_config_env(), pulumi.runtime.get_config_secret_keys_env())
    cloud = Cloud(settings)
    monitor = Monitor(cloud)
    loop = asyncio.new_event_loop()
    loop.set_default_executor(ThreadPoolExecutor(16))
    asyncio.set_event_loop(loop)
    mocks.set_mocks(cloud, project=settings["project"], stack=settings["stack"], preview=True, monitor=monitor)
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    program = settings["program"]
    sys.path.insert(0, program)
    sys.argv = [program]
    error = None
    try:
        loop.run_until_complete(run_pulumi_func(lambda: _run_file(program)))
    except pulumi.RunError as refused:
        error = str(refused)
    except Exception as failed:
        error = f"the program failed:\n{''.join(traceback.format_exception(failed)).rstrip()}"
    return {"resources": monitor.registered, "outputs": monitor.outputs, "error": error}


def _run_file(program: str) -> None:
    runpy.run_path(program, run_name="__main__")
    root = pulumi.runtime.get_root_resource()
    if isinstance(root, Stack):
        root.register_outputs(root.outputs)


if __name__ == "__main__":
    settings, result = json.loads(sys.argv[1]), Path(sys.argv[2])
    result.write_text(json.dumps(run(settings)))
    sys.stdout.flush()
    # gRPC's threads may still be winding down.
    os._exit(0)
