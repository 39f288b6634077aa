"""docs/reference/local-rules.md: what the local cloud refuses as AWS does, and what is patched in moto."""

import ast
from collections.abc import Iterator
from pathlib import Path

from localcloud.request import models
from localcloud.rules import AFTERWARDS, RULES, policies, rules_of, shapes
from localcloud.rules.documents import Kind

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reference" / "local-rules.md"

HEAD = """\
<!-- Written by docs/generate.py from the code. Do not edit. -->
# What the local cloud refuses, as AWS does

Every request is judged before it is carried out, whoever sends it: Pulumi, the command line, a task, `boto3`.
What passes here and fails on AWS is a defect: please report it. [The local cloud](../local-cloud.md) says the rest.
"""

MODELS = """\
## What the service models say

Lengths, patterns, sets of values, ranges, sizes of lists, and what must be given are checked by botocore's models of
the services, with AWS's own messages, all problems at once. In the services that programs use most:
"""

IN_USE = (
    "acm", "application-autoscaling", "autoscaling", "cloudfront", "cloudwatch", "dynamodb", "ec2", "ecr", "ecs",
    "elbv2", "events", "iam", "kms", "logs", "route53", "s3", "s3control", "scheduler", "secretsmanager", "sns", "sqs",
    "ssm", "stepfunctions", "sts",
)  # fmt: skip


def page() -> str:
    lines = [HEAD, MODELS, "| service | operations | of them with something to check |", "| --- | --- | --- |"]
    lines += [f"| {service} | {whole} | {judged} |" for service, whole, judged in counted()]
    lines += [
        "",
        "Objects in S3 (their bytes, keys and headers) are not judged. Not checked, because the models are wrong:",
    ]
    lines += ["", "| service | what | why |", "| --- | --- | --- |"]
    lines += [f"| {service} | `{shape.lstrip('*')}` | {why} |" for (service, shape), why in shapes.EXCEPTIONS.items()]
    lines += ["", "Nor is what says where a list goes on (`NextToken`, `Marker` …): moto makes these, longer than AWS."]
    lines += ["", "## What they do not say", "", "| operation | rule |", "| --- | --- |", *rules()]
    lines += ["", "## Policy documents", "", *documents()]
    lines += ["", "## Where moto is made to answer otherwise", "", "| file | what |", "| --- | --- |", *patches()]
    return "\n".join(lines) + "\n"


def counted() -> Iterator[tuple[str, int, int]]:
    """Service, its operations, and those of them that have constraints."""
    for service in IN_USE:
        names = models.model(service).operation_names
        yield service, len(names), sum(shapes.checker_of(service, name) is not None for name in names)


def rules() -> Iterator[str]:
    for service, operation in sorted({*RULES, *AFTERWARDS}):
        for rule in rules_of(service, operation):
            if rule not in (policies.document_is_valid, policies.attribute_is_valid):
                yield f"| {service} {operation} | {first_line(rule.__doc__)} |"


def documents() -> Iterator[str]:
    """Which operations' documents are read, by what they are attached to."""
    yield "Version, effects, actions, ARNs, principals, condition operators and keys, unknown elements, names that are"
    yield "there twice; 6,144 characters in a managed policy, 10,240 in all inline policies of a role, 2,048 in a trust"
    yield "policy, 20,480 bytes in a bucket's. Checked in:"
    yield ""
    for kind in Kind:
        named = [f"{service} {name}" for (service, name), (_, of, _) in policies.DOCUMENTS.items() if of is kind]
        more = [f"{service} {name}" for service, name in policies.ATTRIBUTES] if kind is Kind.RESOURCE else []
        yield f"- {kind.value}: {', '.join(sorted(named + more))}"


def patches() -> Iterator[str]:
    """First lines of the modules that change moto."""
    folder = ROOT / "src/localcloud/patches"
    for file in sorted(folder.rglob("*.py")):
        if file.name not in ("__init__.py", "hooks.py"):
            name = file.relative_to(folder).with_suffix("").as_posix()
            yield f"| `{name}` | {first_line(ast.get_docstring(ast.parse(file.read_text('utf-8'))))} |"


def first_line(text: str | None) -> str:
    return " ".join((text or "").split("\n\n")[0].split()).replace("|", "\\|")
