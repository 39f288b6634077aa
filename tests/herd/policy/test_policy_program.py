"""The whole program, in every profile and on all hardware, passes every rule, and has what the rules look at."""

from __future__ import annotations

import pytest
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser

from herd.policy.catalogue import RULES, examine
from tests.herd.policy.program import ENVIRONMENTS, resources, stack

pytestmark = pytest.mark.xdist_group("program-environments")  # the runs of tests.herd.policy.program


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_the_program_passes_every_rule(name: str) -> None:
    assert [str(finding) for finding in examine(resources(name), stack(name))] == []


def test_the_program_has_what_most_rules_look_at() -> None:
    """A rule about something that no environment has proves nothing here; few are, and all are named."""
    types = {resource.type for name in ENVIRONMENTS for resource in resources(name)}
    idle = {rule.id for rule in RULES if not any(kind in types or kind == "aws:*" for kind in rule.types)}
    assert idle == {"iam-no-users", "secrets-not-in-state", "secrets-owned"}


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_every_machine_is_read_by_a_parser_of_the_language(name: str) -> None:
    machines = [resource for resource in resources(name) if resource.type == "aws:sfn/stateMachine:StateMachine"]
    assert machines
    for machine in machines:
        AmazonStateLanguageParser.parse(machine.props["definition"])
