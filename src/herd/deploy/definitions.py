"""The state machine definitions of a stack's files, and their validation by Step Functions before any is deployed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from herd.checkout.find import Checkout

if TYPE_CHECKING:
    from herd.infra.spec.load import Specs

NOWHERE = ("subnet-00000000", "subnet-00000001")
"""Placeholders for ids of subnets that are not deployed yet; they do not affect whether a definition is valid."""


def all_of(
    checkout: Checkout, environment: str, specs: Specs, account: str, region: str, partition: str
) -> dict[str, str]:
    """Workload or `pipeline NAME` -> its definition (ASL, JSON) as `herd up` deploys it, with placeholder networks."""
    from herd.infra.naming import Naming
    from herd.infra.states.asl import Target
    from herd.infra.states.job import job_definition
    from herd.infra.states.pipeline import pipeline_definition

    naming = Naming(checkout.project, environment)
    cluster = f"arn:{partition}:ecs:{region}:{account}:cluster/{naming.cluster}"
    target = Target(environment, partition, cluster, naming.bucket(account, "data"), NOWHERE, ("sg-00000000",))
    batch = specs.batch
    definitions = {name: job_definition(spec, naming.family(name), target) for name, spec in batch.items()}
    machines = {name: f"arn:{partition}:states:{region}:{account}:stateMachine:{naming.machine(name)}"
                for name in batch}  # fmt: skip
    for pipeline in specs.pipelines:
        members = {name: batch[name] for level in pipeline.levels for name in level}
        definitions[f"pipeline {pipeline.name}"] = pipeline_definition(pipeline, members, machines, target)
    return {name: json.dumps(definition) for name, definition in definitions.items()}


def refused(client: Any, definitions: dict[str, str]) -> Iterator[str]:
    """Validate definitions with Step Functions; one line for each error, with workload and state. Creates nothing."""
    for name, definition in definitions.items():
        answer = client.validate_state_machine_definition(definition=definition)
        for diagnostic in answer["diagnostics"]:
            if diagnostic["severity"] == "ERROR":
                yield f"{name}: {_state(diagnostic.get('location', ''))}{diagnostic['message']} ({diagnostic['code']})"


def _state(location: str) -> str:
    """`/States/Items/ItemProcessor/States/Run/Parameters` -> `state 'Run': `."""
    _, separator, rest = location.rpartition("/States/")
    name = rest.partition("/")[0].replace("~1", "/").replace("~0", "~")
    return f"state '{name}': " if separator and name else ""
