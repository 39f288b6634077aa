"""The table of what services publish, and that nothing else can be published."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import botocore.session
import pytest

import localcloud
from localcloud.agent.agent import Agent
from localcloud.metrics.catalogue import METRICS, PAGES, TABLE

SOURCES = Path(localcloud.__file__).parent


def test_each_metric_has_a_page_of_aws_and_a_unit_that_exists() -> None:
    assert len(TABLE.strip().splitlines()) == len(METRICS), "each stands there once"
    units = botocore.session.get_session().get_service_model("cloudwatch").shape_for("StandardUnit").enum
    for metric in METRICS.values():
        assert metric.page.startswith("https://docs.aws.amazon.com/") and metric.unit in units
        assert metric.dimensions


def test_a_metric_that_does_not_exist_cannot_be_published(ticking: Agent) -> None:
    of = {"StateMachineArn": "arn"}
    with pytest.raises(KeyError, match="ExecutionsFailedCount"):
        ticking.meters.count("eu-west-1", "AWS/States", "ExecutionsFailedCount", of)


def test_namespaces_are_written_by_the_meters_only() -> None:
    """Whoever names a namespace of AWS's hands it to the meters, which hold it to the table."""
    callers: dict[str, set[str]] = {}
    for path in SOURCES.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                named = [it.value for it in node.args if isinstance(it, ast.Constant) and it.value in PAGES]
                for namespace in named:
                    callers.setdefault(node.func.attr, set()).add(str(namespace))
    assert set(callers) == {"count", "record", "measure", "counted"}
    assert set.union(*callers.values()) <= {namespace for namespace, _ in METRICS}


def test_a_measurement_is_published_under_each_set_of_dimensions(ticking: Agent, server: Any) -> None:
    ticking.meters.count("eu-west-1", "AWS/Lambda", "Errors", {"FunctionName": "f"})
    ticking.meters.count("eu-west-1", "AWS/Lambda", "Errors", {"FunctionName": "g"})
    metrics = server.client("cloudwatch").list_metrics(Namespace="AWS/Lambda")["Metrics"]
    dimensions = [[each["Value"] for each in metric["Dimensions"]] for metric in metrics]
    assert dimensions == [[], ["f"], ["g"]]
