"""The examples are real: settings are accepted by the program, Python compiles, generated pages are up to date."""

from __future__ import annotations

import importlib.util
import json
import shutil
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from herd.bootstrap import settings as bootstrap_settings
from herd.infra.images.build_context import Stager
from herd.infra.offer import Offer
from herd.infra.settings import load as settings
from herd.infra.spec.load import load_specs
from herd.policy import exceptions
from herd.policy.catalogue import BY_ID
from tests.docs.markdown import PAGES, ROOT, Block, blocks, name_of

TEAMS = ("jobs", "reports", "apis", "lib", "images")

WITH_EXAMPLES = [page for page in PAGES if any(block.language in ("toml", "python", "yaml") for block in blocks(page))]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A checkout with the sample in it, as a reader of the pages has."""
    for folder in TEAMS:
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "defaults.toml", tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", WITH_EXAMPLES, ids=name_of)
def test_examples_are_accepted_as_they_stand(page: Path, project: Path) -> None:
    """Written one after the other, as a reader would."""
    offer = Offer()
    for block in blocks(page):
        match block.language:
            case "toml":
                write(block, project)
                exceptions.read(project, BY_ID)
                if (block.file or "").endswith("workload.toml"):
                    with_script(project / Path(block.file or "").parent)
                load_specs(project, "dev", offer)
                load_specs(project, "prod", offer)
            case "python":
                write(block, project)
                compile(block.text, name_of(page), "exec")
            case "yaml":
                offer = accept_stack(block) or offer


def test_the_example_of_a_warehouse_is_accepted(project: Path) -> None:
    """Its life on the real engine: tests/live/test_live_warehouse.py."""
    example = ROOT / "docs/examples/warehouse"
    shutil.copytree(example, project, dirs_exist_ok=True)
    offer = accept_stack(Block(example, "yaml", "# Pulumi.dev.yaml\n" + (example / "Pulumi.dev.yaml").read_text()))
    assert offer is not None and "load-sales" in load_specs(project, "dev", offer).workloads
    for file in example.rglob("*.py"):
        compile(file.read_text(), file.name, "exec")


def test_the_example_in_r_is_accepted(project: Path) -> None:
    """Its life in containers: tests/live/test_live_r.py."""
    example = ROOT / "docs/examples/flights-r"
    shutil.copytree(example, project, dirs_exist_ok=True)
    workloads = load_specs(project, "dev").workloads
    names = {path.parent.name for path in example.glob("*/*/workload.toml")}
    assert len(names) == 5 and names <= set(workloads)
    stager = Stager(project, "dev")
    for name in names:
        stager.stage(workloads[name])  # the Dockerfile is as renv.lock says


def write(block: Block, project: Path) -> None:
    assert block.file, f"the first line must be a comment that names the file:\n{block.text}"
    path = project / block.file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(block.text)


def with_script(folder: Path) -> None:
    """A page may show settings without code: then whatever they start is there."""
    settings = tomllib.loads((folder / "workload.toml").read_text())
    for command in (settings.get("command", ["python", "main.py"]), settings.get("publish", [])):
        script = folder / (command[1] if isinstance(command, list) and command else "main.py")
        if not script.exists():
            script.write_text("")


def accept_stack(block: Block) -> Offer | None:
    """What it offers to workloads; None for the settings of something else than a stack."""
    given: dict[str, Any] = yaml.safe_load(block.text)["config"]
    if block.file == "bootstrap/Pulumi.main.yaml":
        bootstrap_settings.parse("herd-bootstrap", as_told(given))
        return None
    assert block.file and block.file.startswith("Pulumi.")
    account = {"aws:region": "eu-west-1", "aws:allowedAccountIds": ["123456789012"], "herd:account": "123456789012"}
    parsed = settings.parse("herd", block.file.split(".")[1], as_told({**account, **given}))
    return Offer(parsed.pools, parsed.connections, parsed.datasets)


def as_told(given: dict[str, Any]) -> dict[str, str]:
    """How Pulumi hands values to the program."""
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in given.items()}


def generator(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "name", ["reference_commands", "reference_local_rules", "reference_policies", "reference_resource_types"]
)
def test_generated_pages_are_what_the_code_says(name: str) -> None:
    module = generator(name)
    is_current = module.PAGE.read_text(encoding="utf-8") == module.page()
    assert is_current, "write it again with: .venv/bin/python docs/generate.py"
