"""The generated reference says what the code does."""

import importlib.util
import json
import re
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

from herd.infra.spec.checks import CHECKS

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs" / "generate.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_pages_are_what_the_code_says(generator: ModuleType) -> None:
    stale = [path for path, content in generator.pages().items() if path.read_text(encoding="utf-8") != content]
    assert not stale, "write them again with: .venv/bin/python docs/generate.py"


def test_every_setting_has_a_meaning(generator: ModuleType) -> None:
    schema = generator.schema()
    kinds = [schema["$defs"][model.__name__]["properties"] for model in CHECKS.values()]
    described = [*schema["properties"].values(), *(entry for kind in kinds for entry in kind.values())]
    assert all(entry.get("description") for entry in described)


def test_editors_know_every_setting_of_the_projects_own_workloads(generator: ModuleType) -> None:
    known = set(generator.schema()["properties"])
    for path in ROOT.glob("*/*/workload.toml"):
        assert set(tomllib.loads(path.read_text())) <= known, path


def test_editors_know_every_setting_of_the_projects_own_stacks(generator: ModuleType) -> None:
    config = generator.stack_schema()["properties"]["config"]
    named = [
        re.findall(r"^  (?:# )?(herd:\w+):", path.read_text(), re.MULTILINE) for path in ROOT.glob("Pulumi.*.yaml")
    ]
    assert sum(map(len, named)) > 10 and {key for keys in named for key in keys} <= config["properties"].keys()
    assert all(entry["description"] for entry in config["properties"].values())
    assert config["properties"]["herd:zones"]["anyOf"][0]["enum"] == [2, 3]


def test_the_schema_is_json(generator: ModuleType) -> None:
    text = (ROOT / "docs/reference/workload.schema.json").read_text()
    assert json.loads(text)["$schema"].startswith("http://json-schema.org/")
