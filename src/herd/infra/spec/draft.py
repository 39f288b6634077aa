"""One workload: its layers of settings -> a draft of its spec, with everything that is wrong.

A wrong setting is left out and the rest looked at all the same, so that a person sees all problems at once.
"""

import os
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from herd.infra import capacity
from herd.infra.messages import Problem, did_you_mean, nearest, printable, quoted, reword
from herd.infra.spec import files, rules_workload
from herd.infra.spec.checks import CHECKS
from herd.infra.spec.files import DEFAULTS, SETTINGS, Layer, Origin, WorkloadFolder
from herd.infra.spec.models import DEFAULTABLE, KINDS, OF_DUE_TIMES, TABLES, AnySpec, JobSpec, WorkloadSpec, settings_of
from herd.runner.contract import names

AnyModel = TypeVar("AnyModel", bound=WorkloadSpec)

# Setting -> what has it, for a sentence: `port` -> `an api`.
_ALL_SETTINGS = {"environments": "a whole workload.toml"} | {
    setting: " or ".join(kind.article for kind in KINDS.values() if setting in settings_of(kind.model))
    for one in KINDS.values()
    for setting in settings_of(one.model)
}
_PLACES = {kind.article for kind in KINDS.values()}
_MISSING = {
    "owner": 'owner is missing: say who answers for it, here or in defaults.toml, like owner = "me@example.com"',
    "review_by": "review_by is missing: say until when it may run without being looked over, here or in defaults.toml, "
    "like review_by = 2027-06-30",
}
# Stand in for settings that are missing or wrong, so that the rest of the file is still looked at.
_PLACEHOLDERS = {"owner": "nobody", "review_by": date.max, "command": ["true"]}


@dataclass(frozen=True)
class Draft:
    """One workload in one environment, as far as it could be understood. `wrong`: settings that were left out."""

    entry: WorkloadFolder
    spec: AnySpec
    origins: Mapping[str, Origin]
    problems: list[Problem]
    source: Mapping[tuple[str, ...], Layer]
    wrong: frozenset[str] = frozenset()

    def accept(self, finding: rules_workload.Finding) -> None:
        """Adds the finding of a rule, unless it follows from a setting that is wrong by itself."""
        keys, message = finding
        if not self.wrong.intersection(keys):
            layers = [self.source[(key,)] for key in keys if (key,) in self.source]
            # The narrowest place that had a say: an [environments.x] table before the file, the file before defaults.
            layer = max(layers, key=_narrowness, default=Layer(self.entry.file, {}))
            if self.source.get((keys[0],), layer) is not layer:
                message += f"; {keys[0]} stands in {self.origins[keys[0]]}"
            self.problems.append(layer.problem(keys[0], message))


def _narrowness(layer: Layer) -> int:
    return 2 if layer.section else 0 if layer.file == DEFAULTS else 1


def defaults(root: Path) -> tuple[Layer, list[Problem]]:
    """What the team has in common: defaults.toml, which need not be there."""
    problems: list[Problem] = []
    if not os.path.lexists(root / DEFAULTS):
        return Layer(DEFAULTS, {}), problems
    layer = files.read(root, DEFAULTS, problems)
    layer = _known(layer, DEFAULTABLE, "defaults.toml", problems)
    # A job has every setting that can be a default: so a wrong one is found even where no workload takes it.
    settings = {**_PLACEHOLDERS, "name": "no-name", "folder": Path(), **layer.values}
    _validated(JobSpec, settings, {(key,): layer for key in layer.values}, problems, DEFAULTS)
    return layer, problems


def workload(
    root: Path, entry: WorkloadFolder, common: Layer, environment: str, copy_of: str = ""
) -> tuple[Draft | None, list[Problem]]:
    """The draft for `environment`, and the problems of the file; the tables of other environments are checked too.

    `copy_of`: the environment whose table comes below that of `environment`.
    """
    problems: list[Problem] = []
    if files.astray(root, root / entry.folder):
        return None, problems  # told with the other links
    if not os.path.lexists(root / entry.folder / SETTINGS):
        folder = printable(entry.folder.as_posix())
        article = KINDS[entry.kind].article
        other = next((path.name for path in (root / entry.folder).iterdir() if path.stem.lower() == "workload"), None)
        how = f"rename {printable(other)} to it" if other else f"an empty file is enough to make {folder} {article}"
        problems.append(Problem(entry.file, "", f"is missing; {how}"))
    whole = files.read(root, f"{entry.folder.as_posix()}/{SETTINGS}", problems) if not problems else None
    if not whole or problems:
        return None, problems
    known, place = settings_of(KINDS[entry.kind].model), KINDS[entry.kind].article
    base = whole.but({key: value for key, value in whole.values.items() if key != "environments"})
    base = _known(base, known, place, problems)
    layers = {
        name: _known(whole.but(values, f"[environments.{name}]"), known, place, problems)
        for name, values in _environments(root, whole, problems)
    }
    common = common.but({key: value for key, value in common.values.items() if key in known})
    tables = {environment: (copy_of, environment), **{name: (name,) for name in layers if name != environment}}
    drafts = {
        name: _draft(root, entry, [common, base, *(layers[one] for one in laid if one in layers)])
        for name, laid in tables.items()
    }
    problems += [problem for draft in drafts.values() for problem in draft.problems]
    drafts[environment].problems.clear()
    return drafts[environment], problems


def _environments(root: Path, whole: Layer, problems: list[Problem]) -> Iterator[tuple[str, dict[str, Any]]]:
    tables = whole.values.get("environments", {})
    if not isinstance(tables, dict):
        problems.append(whole.problem("environments", "environments must be tables, like [environments.prod]"))
        return
    there = sorted(path.name[len("Pulumi.") : -len(".yaml")] for path in root.glob("Pulumi.*.yaml"))
    for name, values in tables.items():
        near = nearest(name, there) or next(
            (one for one in there if name.startswith(one) or one.startswith(name)), None
        )
        if near and name not in there and not re.search(r"\d$", name):
            message = (
                f"[environments.{printable(name)}] is for no environment here: there is no "
                f"Pulumi.{printable(name)}.yaml; did you mean '{near}'?"
            )
            problems.append(whole.problem("environments", message))
            continue
        if not names.ENVIRONMENT.fullmatch(name):
            message = f"environments: {quoted(name)} is not a name of an environment; allowed: like dev, prod or pr-17"
            problems.append(whole.problem("environments", message))
        elif not isinstance(values, dict):
            problems.append(
                whole.problem("environments", f"environments.{name} must be a table: [environments.{name}]")
            )
        else:
            yield name, values


def _known(layer: Layer, known: Collection[str], place: str, problems: list[Problem]) -> Layer:
    """The layer without the settings that do not belong there; each of those is a problem. `place`: a job, …"""
    values: dict[str, Any] = {}
    for key, value in layer.values.items():
        if key in known:
            values[key] = _placed(layer, key, value, problems)
        elif key in _ALL_SETTINGS:
            problems.append(layer.problem(key, f"{quoted(key)} is a setting of {_ALL_SETTINGS[key]}, not of {place}"))
        else:
            choices = [*known, *(["environments"] if place in _PLACES and not layer.section else [])]
            problems.append(layer.problem(key, f"unknown setting {quoted(key)}{did_you_mean(key, choices)}"))
    return layer.but(values, layer.section)


def _placed(layer: Layer, table: str, value: Any, problems: list[Problem]) -> Any:
    """A table without the settings that slipped below its header: in TOML everything below [env] belongs to env."""
    if table not in ("env", "params", "replicas", "secrets", "check"):
        return value
    if isinstance(value, list):
        return [_placed(layer, table, item, problems) for item in value]
    if not isinstance(value, dict):
        return value
    models = CHECKS.values() if table == "check" else [TABLES[table]] if table in TABLES else []
    own = {name for model in models for name in model.model_fields}
    slipped = [key for key in value if key in _ALL_SETTINGS and key not in own]
    for key in slipped:
        line = layer.line(key, table)
        header = f"[[{table}]]" if table == "check" else f"[{table}]"
        place = f" (line {line})" if line else ""
        rename = ", or rename the parameter" if table == "params" else ""
        message = f"{quoted(key)} stands below {header}{place}: move it above the first table{rename}"
        problems.append(layer.problem(key, message))
    return {key: inner for key, inner in value.items() if key not in slipped}


def _draft(root: Path, entry: WorkloadFolder, layers: list[Layer]) -> Draft:
    """Merges the layers into a spec; what is wrong is left out, and the rest still looked at."""
    model = KINDS[entry.kind].model
    values, source = files.merge(_without_due_times(layers))
    origins = {".".join(path): layer.origin(path) for path, layer in source.items()}
    problems: list[Problem] = []
    wrong: set[str] = set()
    if "memory_gb" not in values and (memory := _least_memory(values.get("cpu"))):
        values["memory_gb"], origins["memory_gb"] = memory, Origin(f"the least for cpu = {values['cpu']:g}")
    if "command" not in values:
        try:
            values["command"], file = rules_workload.default_command(root / entry.folder, entry.kind)
            origins["command"] = Origin(f"{file} is there")
        except ValueError as missing:
            problems.append(Problem(entry.file, "command", str(missing)))
            values["command"] = _PLACEHOLDERS["command"]
            wrong.add("command")
    values |= {"name": entry.name or "no-name", "folder": entry.folder}
    spec, more = _validated(model, values, source, problems, entry.file)
    wrong |= more
    draft = Draft(entry, spec, origins, problems, source, frozenset(wrong))
    for finding in rules_workload.findings(root, spec):
        draft.accept(finding)
    return draft


def _without_due_times(layers: list[Layer]) -> list[Layer]:
    """An environment whose table says `schedule = "none"` need not take back what only a schedule gives a meaning."""
    *wider, last = layers
    if not (last.section and last.values.get("schedule") == "none"):
        return layers
    kept = [{key: value for key, value in layer.values.items() if key not in OF_DUE_TIMES} for layer in wider]
    return [*(layer.but(values, layer.section) for layer, values in zip(wider, kept, strict=True)), last]


def _least_memory(cpu: object) -> float | None:
    if isinstance(cpu, int | float) and not isinstance(cpu, bool) and cpu in capacity.FARGATE_MEMORY_GB:
        return capacity.least_memory(cpu)
    return None


def _validated(
    model: type[AnyModel],
    values: Mapping[str, Any],
    source: Mapping[tuple[str, ...], Layer],
    problems: list[Problem],
    file: str,
) -> tuple[AnyModel, set[str]]:
    """The spec of the settings that are right, and the names of those that are not; their problems are added."""
    wrong: set[str] = set()
    try:
        return model.model_validate(values), wrong
    except ValidationError as invalid:
        for error in invalid.errors(include_url=False):
            path = tuple(map(str, error["loc"]))
            layer = source.get(path[:2]) or source.get(path[:1]) or Layer(file, {})
            message = _MISSING.get(path[0], "") if error["type"] == "missing" else ""
            problems.append(layer.problem(path[0], message or reword(error, model, TABLES)))
            wrong.add(path[0])
    good = {key: value for key, value in values.items() if key not in wrong}
    return model.model_validate({**_PLACEHOLDERS, **good}), wrong
