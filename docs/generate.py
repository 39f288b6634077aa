"""Writes the reference pages from the code: `.venv/bin/python docs/generate.py`.

docs/reference/settings.md            every setting of a workload and of a stack
docs/reference/workload.schema.json   the same for editors: they complete and check workload.toml while one types
docs/reference/stack.schema.json      the same for Pulumi.<environment>.yaml
src/herd/bootstrap/Pulumi.yaml        its `config`: what `herd bootstrap` may be told
docs/reference/commands.md            every command of herd (reference_commands.py)
docs/reference/policies.md            the rules that every preview asks (reference_policies.py)
docs/reference/resource-types.md      what the local cloud can be asked to make (reference_resource_types.py)
docs/reference/local-rules.md         what the local cloud refuses, as AWS does (reference_local_rules.py)

Nobody edits these by hand; tests fail when they are not what this script writes.
"""

import json
from collections.abc import Iterable
from dataclasses import MISSING
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from herd.bootstrap import settings as bootstrap_settings
from herd.infra import capacity
from herd.infra.settings.keys import config_key
from herd.infra.settings.reading import Declared, declared
from herd.infra.settings.schema import PROFILES, SETTINGS, Prod
from herd.infra.spec import models
from herd.infra.spec import values as words
from herd.infra.spec.checks import CHECKS, Check, Measured
from herd.infra.spec.deadlines import SPARE_MINUTES
from herd.infra.spec.image_settings import ImageSettings
from herd.infra.spec.models import (
    ApiSpec,
    AppSpec,
    BatchSpec,
    JobSpec,
    Read,
    Replicas,
    ReportSpec,
    WorkloadSpec,
    settings_of,
)
from herd.runner.contract import names, schedule
from herd.runner.contract.renderers import RENDER, RENDERERS
from herd.runner.contract.schedule import parse

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "docs" / "reference"
BOOTSTRAP = ROOT / "src" / "herd" / "bootstrap" / "Pulumi.yaml"

TITLES = ("workload.toml", "Pulumi.<environment>.yaml")

SCHEDULES = ("0 6 * * 1-5", "*/20 8-18 * * *", "0 4 */2 * *", *schedule.WORDS, "every 2 hours")


def pages() -> dict[Path, str]:
    """File -> content of what is said about settings."""
    return {
        REFERENCE / "settings.md": settings_page(),
        REFERENCE / "workload.schema.json": json.dumps(schema(), indent=2, ensure_ascii=False) + "\n",
        REFERENCE / "stack.schema.json": json.dumps(stack_schema(), indent=2, ensure_ascii=False) + "\n",
        BOOTSTRAP: bootstrap_project(),
    }


def settings_page() -> str:
    common = list(settings_of(WorkloadSpec))
    batch = [setting for setting in settings_of(BatchSpec) if setting not in common]
    job = [setting for setting in settings_of(JobSpec) if setting not in (*common, *batch)]
    report = [setting for setting in settings_of(ReportSpec) if setting not in (*common, *batch)]
    api = [setting for setting in settings_of(ApiSpec) if setting not in common]
    app = [setting for setting in settings_of(AppSpec) if setting not in common]
    return "\n".join(
        [
            "<!-- Written by docs/generate.py from the code. Do not edit. -->",
            "# Settings",
            "",
            "A workload is a folder of `jobs/`, `reports/`, `apis/` or `apps/` with a `workload.toml`, which may be",
            "empty. Later files win:",
            "`defaults.toml` → `workload.toml` → its `[environments.<environment>]` table. `[env]`,",
            "`[params]` and `replicas` are merged key by key, everything else is replaced. `herd explain NAME` shows",
            "each value and where it comes from.",
            "",
            "The first line `#:schema ../../docs/reference/workload.schema.json` makes editors with TOML support check",
            "the file while you type.",
            "",
            "## Every workload",
            "",
            *table(WorkloadSpec, common),
            "",
            "## Jobs and reports",
            "",
            *table(BatchSpec, batch),
            "",
            "## Jobs",
            "",
            *table(JobSpec, job),
            "",
            "## Reports",
            "",
            *table(ReportSpec, report),
            "",
            "## APIs",
            "",
            *table(ApiSpec, api),
            "",
            "## Apps",
            "",
            *table(AppSpec, app),
            "",
            "## Inside a table",
            "",
            *checks(),
            *nested("`replicas`", Replicas),
            *nested("An entry of `reads`; a name alone is short for `{ name = … }`.", Read),
            *details(),
            "## An image: image.toml",
            "",
            "Switches of `images/<name>/image.toml`, which may be missing. `herd image lock NAME` writes them into the",
            "Dockerfile, between two marks ([images](../guide/images.md)).",
            "",
            *table(ImageSettings, list(ImageSettings.model_fields)),
            "",
            *stack_settings(),
        ]
    )


def table(model: type[BaseModel], settings: list[str]) -> list[str]:
    schema = model.model_json_schema()
    rows = ["| setting | type | default | meaning |", "| --- | --- | --- | --- |"]
    fields = settings_of(model)
    for setting in settings:
        field = model.model_fields[fields[setting]]
        meaning = (field.description or "").replace("|", "\\|")
        if field.examples:
            meaning += f"; for example `{field.examples[0]}`"
        kind = type_of(schema["properties"][setting], schema.get("$defs", {}))
        rows.append(
            f"| `{setting}` | {kind} | {default_of(setting, field.default, model in CHECKS.values())} | {meaning} |"
        )
    return rows


def nested(title: str, model: type[BaseModel]) -> list[str]:
    return [title, "", *table(model, list(settings_of(model))), ""]


def checks() -> list[str]:
    """`[[check]]`, a kind at a time: its own settings, and those of several kinds once."""
    lines = ["`[[check]]`: one rule of the output gate. What is asked for makes its kind:", ""]
    for model in CHECKS.values():
        kind, meaning = model.kind, (model.__doc__ or "").rstrip(".")
        limits = " Takes limits." if issubclass(model, Measured) else ""
        own = [name for name in model.model_fields if name not in Check.model_fields | Measured.model_fields]
        shared = [name for name in model.model_fields if name == "max" and model.model_fields[name].default is not None]
        lines += [f"`{kind}`: {meaning[0].lower()}{meaning[1:]}.{limits}", "", *table(model, [*own, *shared]), ""]
    lines += [
        "The limits of a number:",
        "",
        *table(Measured, [n for n in Measured.model_fields if n not in Check.model_fields]),
        "",
    ]
    return [*lines, "Every kind:", "", *table(Check, list(Check.model_fields)), ""]


def type_of(schema: dict[str, Any], definitions: dict[str, Any]) -> str:
    """A JSON schema in a few words: `number, 1 to 10`, `list of text`."""
    if "$ref" in schema:
        return "table"
    if len(schema.get("enum", ())) > 5:
        return f"one of {', '.join(map(str, schema['enum']))}"
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    if "anyOf" in schema:
        kinds = [type_of(part, definitions) for part in schema["anyOf"] if part != {"type": "null"}]
        return " or ".join(dict.fromkeys(kinds))
    match schema.get("type"):
        case "array":
            return f"list of {type_of(schema['items'], definitions)}" if schema.get("items") else "list"
        case "string":
            return "date" if schema.get("format") == "date" else "text"
        case "integer":
            return "whole number" + bounds(schema)
        case "number":
            return "number" + bounds(schema)
        case "boolean":
            return "true or false"
        case _:
            return "table"


def bounds(schema: dict[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is None:
        return ""
    return f", {low} to {high}" if high is not None else f", {low} or more"


def default_of(setting: str, value: Any, required: bool = False) -> str:
    calculated = {
        "command": "by what is there, see below",
        "memory_gb": "the least that goes with `cpu`",
        "schedule": '`"none"`',
        "deadline_minutes": f"what time limits and retries can take, and {SPARE_MINUTES} minutes",
    }
    if setting in calculated and not required:
        return calculated[setting]
    if value is PydanticUndefined:
        return "must be given"
    if value is None or value == () or value == {}:
        return "–"
    if isinstance(value, BaseModel):
        return "`{ " + ", ".join(f"{key} = {inner}" for key, inner in value.model_dump().items()) + " }`"
    return f"`{json.dumps(value)}`"


def details() -> list[str]:
    lines = ["## The command by what is there", "", "| file | command | in |", "| --- | --- | --- |"]
    kinds_of: dict[str, list[str]] = {}
    for name, kind in models.KINDS.items():
        for file in kind.commands:
            kinds_of.setdefault(file, []).append(f"{name}s")
    for file, kinds in kinds_of.items():
        command = next(kind.commands[file] for kind in models.KINDS.values() if file in kind.commands)
        lines.append(f"| `{file}` | `{' '.join(command)}` | {', '.join(kinds)} |")
    for suffix in RENDERERS:
        lines.append(f"| `report{suffix}`, or any `*{suffix}` | `{RENDER} report{suffix}` | reports |")
    lines += ["", "## CPU and memory", "", "| `cpu` | `memory_gb` |", "| --- | --- |"]
    lines += [f"| {cpu:g} | {capacity.describe(sizes)} |" for cpu, sizes in capacity.FARGATE_MEMORY_GB.items()]
    lines += ["", "## Schedules", "", "| written | on AWS |", "| --- | --- |"]
    lines += [f"| `{text}` | `{parse(text).expression}` |" for text in SCHEDULES]
    lines += [
        "",
        "Sunday is 0 or 7. Only one of day of the month and day of the week can be set. In spring a wall time that the",
        "clock skips is skipped; in autumn one that comes twice runs once.",
        "",
        "## Names",
        "",
        f"- A workload: {names.WORKLOAD_RULE}. Names are unique over all kinds.",
        f"- Variables of `[env]` are upper case. Taken: {code(words.TAKEN_VARIABLES)}, and what begins with",
        f"  {code(words.TAKEN_PREFIXES)}.",
        "- In TOML everything below a table's header belongs to the table: plain settings stand above the first `[`.",
        "",
        "## The team's defaults",
        "",
        f"`defaults.toml` may set {code(sorted(models.DEFAULTABLE))}.",
        "",
    ]
    return lines


def code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def stack_settings() -> list[str]:
    lines = [
        "## Settings of an environment",
        "",
        "In `Pulumi.<environment>.yaml`, or with `pulumi config set herd:<setting> <value>`; also `aws:region` and",
        "`aws:allowedAccountIds`, a list of the one account. `Pulumi.prod.yaml` is an example. Two defaults are those",
        "of the profiles dev and prod; each can be set all the same.",
        "",
        "The first line `# yaml-language-server: $schema=docs/reference/stack.schema.json` makes editors check the",
        "file while you type.",
        "",
        "| setting | type | default | meaning |",
        "| --- | --- | --- | --- |",
    ]
    for key, one in SETTINGS.items():
        lines.append(stack_row(key, one))
    for key, one in SETTINGS.items():
        if one.table:
            lines += ["", f"`{key}`, {'each' if one.json_schema.get('additionalProperties') else 'the table'}:", ""]
            lines += ["| setting | type | default | meaning |", "| --- | --- | --- | --- |"]
            lines += [stack_row(name, part) for name, part in declared(one.table).items()]
    return [*lines, ""]


def stack_row(key: str, one: Declared) -> str:
    return f"| `{key}` | {type_of(one.json_schema, {})} | {stack_default(key, one)} | {one.description} |"


def stack_default(key: str, one: Declared) -> str:
    if one.mark(Prod):
        return " / ".join(f"`{json.dumps(defaults[key])}`" for defaults in PROFILES.values())
    if one.default is MISSING:
        return "by `driver`" if key == "port" else "must be given"
    empty = one.written in ("", [], {}, None) or isinstance(one.written, dict) and not any(one.written.values())
    return "–" if empty else f"`{json.dumps(one.written)}`"


def stack_schema() -> dict[str, Any]:
    """A JSON schema of Pulumi.<environment>.yaml, for editors. Pulumi takes every value as text too, or encrypted."""
    properties: dict[str, Any] = {}
    definitions: dict[str, Any] = {
        "encrypted": {"type": "object", "required": ["secure"], "properties": {"secure": {"type": "string"}}}
    }
    for name, one in SETTINGS.items():
        schema = one.json_schema
        definitions |= schema.pop("$defs", {})
        schema.pop("description", None)
        default = {} if one.default is MISSING or one.mark(Prod) else {"default": one.written}
        choices = [schema, {"$ref": "#/$defs/encrypted"}]
        if not one.is_collection and schema.get("type") != "string":
            choices.insert(1, {"type": "string"})
        properties[config_key(name)] = {"description": one.description, **default, "anyOf": choices}
    whole: dict[str, Any] = without_titles(
        {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "title": "Pulumi.<environment>.yaml",
            "type": "object",
            "properties": {
                "config": {
                    "type": "object",
                    "properties": properties,
                    "propertyNames": {
                        "anyOf": [{"not": {"pattern": f"^{config_key('')}"}}, {"enum": list(properties)}]
                    },
                }
            },
            "$defs": definitions,
        }
    )
    return whole


def bootstrap_project() -> str:
    """src/herd/bootstrap/Pulumi.yaml with its `config`, which Pulumi checks before the program runs."""
    head, _, _ = (BOOTSTRAP).read_text(encoding="utf-8").partition("\nconfig:\n")
    config: dict[str, Any] = {"aws:region": "eu-west-1"}
    for name, one in bootstrap_settings.SETTINGS.items():
        schema = one.json_schema
        entry: dict[str, Any] = {"type": schema["type"]}
        if schema["type"] == "array":
            entry["items"] = {"type": "string"}
        if one.default is not MISSING:
            entry["default"] = one.written
        config[name] = {**entry, "description": one.description}
    written = yaml.safe_dump({"config": config}, sort_keys=False, width=1000, allow_unicode=True)
    return f"{head}\n{written}"


def schema() -> dict[str, Any]:
    """One JSON schema for all kinds: a file does not say of which kind it is."""
    properties: dict[str, Any] = {}
    definitions: dict[str, Any] = {}
    for kind in models.KINDS.values():
        one = kind.model.model_json_schema()
        definitions |= one.get("$defs", {})
        properties |= {setting: one["properties"][setting] for setting in settings_of(kind.model)}
    settings: dict[str, Any] = {
        "type": "object",
        "additionalProperties": False,
        "properties": dict(sorted(properties.items())),
    }
    definitions["settings"] = settings
    environments = {
        "type": "object",
        "description": "settings of one environment; they win over those above",
        "additionalProperties": {"$ref": "#/$defs/settings"},
    }
    whole: dict[str, Any] = without_titles(
        {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "title": "workload.toml",
            **settings,
            "properties": {**settings["properties"], "environments": environments},
            "$defs": definitions,
        }
    )
    return whole


def without_titles(value: Any) -> Any:
    """pydantic names every field again in a title; editors would show both."""
    if isinstance(value, list):
        return [without_titles(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {k: without_titles(v) for k, v in value.items() if not (k == "title" and v not in TITLES)}


def main() -> None:
    # Its neighbours, which Python finds when this file runs as a script.
    import reference_commands
    import reference_local_rules
    import reference_policies
    import reference_resource_types

    modules = (reference_commands, reference_local_rules, reference_policies, reference_resource_types)
    others = {module.PAGE: module.page() for module in modules}
    for path, content in {**pages(), **others}.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
