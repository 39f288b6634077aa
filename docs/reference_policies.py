"""docs/reference/policies.md: the rules that every preview asks, from the rules themselves."""

from collections.abc import Iterator
from pathlib import Path

from herd.policy.catalogue import CONCERNS, RULES
from herd.policy.model import Rule

PAGE = Path(__file__).parent / "reference" / "policies.md"

HEAD = """\
<!-- Written by docs/generate.py from the code. Do not edit. -->
# Policies

What every environment is held to, on a laptop and on AWS alike, before anything of it is made.
[The guide](../guide/policies.md) says when they are asked, and how to accept an exception.
"""


def page() -> str:
    lines = [HEAD, f"{len(RULES)} rules. A mandatory one refuses the resource; an advisory one says so and goes on."]
    for concern, module in CONCERNS.items():
        # "Rules about what runs: task definitions, services, the cluster." -> what follows the word.
        about = (module.__doc__ or "").splitlines()[0].removeprefix("Rules about ").rstrip(".")
        lines += ["", f"## {concern.capitalize()}", "", f"{about[0].upper()}{about[1:]}.", "", *table(module.rules.all)]
    return "\n".join(lines) + "\n"


def table(rules: list[Rule]) -> Iterator[str]:
    yield "| rule | what must hold, and why | AWS |"
    yield "| --- | --- | --- |"
    for rule in rules:
        level = " (advisory)" if rule.level == "advisory" else ""
        yield f"| `{rule.id}`{level} | {cell(rule.says)} {cell(rule.why)} | [{rule.control or 'guide'}]({rule.link}) |"


def cell(text: str) -> str:
    return text.replace("|", "\\|")
