"""One workload: its layers of settings -> a draft of its spec, with everything that is wrong.

A wrong setting is left out and the rest looked at all the same, so that a person sees all problems at once.
"""

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from infra import capacity, spec_files, spec_rules
from infra import spec_words as words
from infra.spec_errors import Problem, did_you_mean, printable, quoted, reword
from infra.spec_files import DEFAULTS, SETTINGS, Found, Layer, Origin
from infra.spec_models import ARTICLE, DEFAULTABLE, MODELS, TABLES, AnySpec, settings_of

_ALL_SETTINGS = {setting for model in MODELS.values() for setting in settings_of(model)} | {"environments"}
_MISSING = {
    "owner": 'owner is missing: say who is told when it fails, here or in defaults.toml, like owner = "me@example.com"',
    "review_by": "review_by is missing: say until when it may run without being looked over, here or in defaults.toml, "
    "like review_by = 2027-06-30",
}
# Stand in for settings that are missing or wrong, so that the rest of the file is still looked at.
_PLACEHOLDERS = {"owner": "nobody", "review_by": date.max, "command": ["true"]}


@dataclass(frozen=True)
class Draft:
    """One workload in one environment, as far as it could be understood. `wrong`: settings that were left out."""

    found: Found
    spec: AnySpec
    origins: Mapping[str, Origin]
    problems: list[Problem]
    source: Mapping[tuple[str, ...], Layer]
    wrong: frozenset[str] = frozenset()

    def accept(self, finding: spec_rules.Finding) -> None:
        """Adds the finding of a rule, unless it follows from a setting that is wrong by itself."""
        keys, message = finding
        if not self.wrong.intersection(keys):
            layers = [self.source[(key,)] for key in keys if (key,) in self.source]
            # The narrowest place that had a say: an [environments.x] table before the file, the file before defaults.
            layer = max(layers, key=_narrowness, default=Layer(self.found.file, {}))
            self.problems.append(layer.problem(keys[0], message))


def _narrowness(layer: Layer) -> int:
    return 2 if layer.section else 0 if layer.file == DEFAULTS else 1


def defaults(root: Path) -> tuple[Layer, list[Problem]]:
    """What the team has in common: defaults.toml, which need not be there."""
    problems: list[Problem] = []
    if not os.path.lexists(root / DEFAULTS):
        return Layer(DEFAULTS, {}), problems
    layer = spec_files.read(root, DEFAULTS, problems)
    return _known(layer, DEFAULTABLE, "a default", problems), problems


def workload(root: Path, found: Found, common: Layer, environment: str) -> tuple[Draft | None, list[Problem]]:
    """The draft for `environment`, and the problems of the file; the tables of other environments are checked too."""
    problems: list[Problem] = []
    if not os.path.lexists(root / found.folder / SETTINGS):
        folder = printable(found.folder.as_posix())
        problems.append(Problem(found.file, "", f"is missing; an empty file is enough to make {folder} a {found.kind}"))
    whole = spec_files.read(root, f"{found.folder.as_posix()}/{SETTINGS}", problems) if not problems else None
    if not whole or problems:
        return None, problems
    known, what = settings_of(MODELS[found.kind]), f"a setting of {ARTICLE[found.kind]}"
    base = whole.but({key: value for key, value in whole.values.items() if key != "environments"})
    base = _known(base, known, what, problems)
    layers = {
        name: _known(whole.but(values, f"[environments.{name}]"), known, what, problems)
        for name, values in _environments(whole, problems)
    }
    common = common.but({key: value for key, value in common.values.items() if key in known})
    drafts = {
        name: _draft(root, found, [common, base, *([layers[name]] if name in layers else [])])
        for name in [environment, *(other for other in layers if other != environment)]
    }
    problems += [problem for draft in drafts.values() for problem in draft.problems]
    drafts[environment].problems.clear()
    return drafts[environment], problems


def _environments(whole: Layer, problems: list[Problem]) -> Iterator[tuple[str, dict[str, Any]]]:
    tables = whole.values.get("environments", {})
    if not isinstance(tables, dict):
        problems.append(whole.problem("environments", "environments must be tables, like [environments.prod]"))
        return
    for name, values in tables.items():
        if not words.ENVIRONMENT_NAME.fullmatch(name):
            message = f"environments: {quoted(name)} is not a name of an environment; allowed: like dev, prod or pr-17"
            problems.append(whole.problem("environments", message))
        elif not isinstance(values, dict):
            problems.append(
                whole.problem("environments", f"environments.{name} must be a table: [environments.{name}]")
            )
        else:
            yield name, values


def _known(layer: Layer, known: Collection[str], what: str, problems: list[Problem]) -> Layer:
    """The layer without the settings that do not belong there; each of those is a problem."""
    values: dict[str, Any] = {}
    for key, value in layer.values.items():
        if key in known:
            values[key] = _placed(layer, key, value, problems)
        elif key in _ALL_SETTINGS:
            problems.append(layer.problem(key, f"{quoted(key)} is not {what}; allowed: {', '.join(sorted(known))}"))
        else:
            problems.append(layer.problem(key, f"unknown setting {quoted(key)}{did_you_mean(key, known)}"))
    return layer.but(values, layer.section)


def _placed(layer: Layer, table: str, value: Any, problems: list[Problem]) -> Any:
    """A table without the settings that slipped below its header: in TOML everything below [env] belongs to env."""
    if table not in ("env", "params", "replicas", "check"):
        return value
    if isinstance(value, list):
        return [_placed(layer, table, item, problems) for item in value]
    if not isinstance(value, dict):
        return value
    own = TABLES[table].model_fields if table in TABLES else ()
    slipped = [key for key in value if key in _ALL_SETTINGS and key not in own]
    for key in slipped:
        line = layer.line(key, table)
        header = f"[[{table}]]" if table == "check" else f"[{table}]"
        place = f" (line {line})" if line else ""
        problems.append(
            layer.problem(key, f"{quoted(key)} stands below {header}{place}: move it above the first table")
        )
    return {key: inner for key, inner in value.items() if key not in slipped}


def _draft(root: Path, found: Found, layers: list[Layer]) -> Draft:
    """Merges the layers into a spec; what is wrong is left out, and the rest still looked at."""
    model = MODELS[found.kind]
    values, source = spec_files.merge(layers)
    origins = {".".join(path): layer.origin(path) for path, layer in source.items()}
    problems: list[Problem] = []
    wrong: set[str] = set()
    nowhere = Layer(found.file, {})
    try:
        for key, (value, why) in _worked_out(root, found, values).items():
            values[key], origins[key] = value, Origin(why)
    except ValueError as missing:
        problems.append(nowhere.problem("command", str(missing)))
        values["command"] = _PLACEHOLDERS["command"]
        wrong.add("command")
    given = {"name": found.name or "no-name", "folder": found.folder}
    try:
        spec = model.model_validate({**values, **given})
    except ValidationError as invalid:
        for error in invalid.errors(include_url=False):
            path = tuple(map(str, error["loc"]))
            layer = source.get(path[:2]) or source.get(path[:1]) or nowhere
            message = _MISSING.get(path[0], "") if error["type"] == "missing" else ""
            problems.append(layer.problem(path[0], message or reword(error, model, TABLES)))
            wrong.add(path[0])
        good = {key: value for key, value in values.items() if key not in wrong}
        spec = model.model_validate({**_PLACEHOLDERS, **good, **given})
    draft = Draft(found, spec, origins, problems, source, frozenset(wrong))
    for finding in spec_rules.findings(root, spec):
        draft.accept(finding)
    return draft


def _worked_out(root: Path, found: Found, values: Mapping[str, Any]) -> dict[str, tuple[Any, str]]:
    """Settings that nobody wrote and that follow from others: setting -> (value, from what)."""
    result: dict[str, tuple[Any, str]] = {}
    cpu = values.get("cpu")
    if "memory_gb" not in values and isinstance(cpu, int | float) and cpu in capacity.FARGATE_MEMORY_GB:
        result["memory_gb"] = capacity.least_memory(cpu), f"the least for cpu = {cpu:g}"
    if "command" not in values:
        command, file = spec_rules.default_command(root / found.folder, found.kind)
        result["command"] = command, f"{file} is there"
    return result
