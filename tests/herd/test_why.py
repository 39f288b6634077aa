"""`herd image why`, and what `herd up` writes down for it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from herd.checkout.find import Checkout
from herd.deploy import built_from, why
from herd.deploy.built_from import completed
from herd.infra.images.build_context import Stager, content_hash
from herd.infra.images.contents import Contents
from herd.infra.spec.load import load_specs
from herd.review import words
from herd.runner.contract.documents import BuiltFrom
from herd.runs import runs
from herd.targets.target import Target
from tests.herd.planning import plan

COMMIT, OTHER = "a" * 40, "b" * 40
CLEAN, DIRTY = BuiltFrom(COMMIT, changed=False), BuiltFrom(OTHER, changed=True)
CONTENTS = Contents({"Dockerfile": "0" * 12}, {"six": "1"}, ("x",))


def of(source: BuiltFrom, *contents: Contents) -> dict[str, Any]:
    return {**json.loads(source.to_json()), **(contents[0].as_json() if contents else {})}


@pytest.mark.parametrize(
    ("entry", "source", "expected"),
    [
        pytest.param(None, CLEAN, of(CLEAN, CONTENTS), id="new"),
        pytest.param(None, None, {"schema": 1, **CONTENTS.as_json()}, id="new, without Git"),
        pytest.param(of(CLEAN), DIRTY, of(CLEAN, CONTENTS), id="of an earlier Herd"),
        pytest.param(of(DIRTY, CONTENTS), CLEAN, of(CLEAN, CONTENTS), id="clean meanwhile"),
        pytest.param({"schema": 1, **CONTENTS.as_json()}, CLEAN, of(CLEAN, CONTENTS), id="committed meanwhile"),
    ],
)
def test_what_is_written_down(entry: dict[str, Any] | None, source: BuiltFrom | None, expected: dict[str, Any]) -> None:
    document = completed(entry, source, lambda: CONTENTS)
    assert document == expected
    assert completed(document, source, lambda: CONTENTS) is document, "nothing is written twice"
    if source is not None:
        BuiltFrom.from_json(json.dumps(document).encode())  # pages of an earlier runner read the commit


def test_files_that_are_others_meanwhile_are_not_written_down() -> None:
    assert completed(None, CLEAN, lambda: None) == of(CLEAN)
    assert completed(None, None, lambda: None) is None


class Deployed:
    """An environment, as far as it is asked what is deployed."""

    name = "dev"

    def __init__(self, root: Path, hashes: dict[str, str]) -> None:
        self.checkout = Checkout(root, root / "cache")
        workloads = {name: SimpleNamespace(content_hash=content) for name, content in hashes.items()}
        self.deployed = SimpleNamespace(workloads=workloads)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for path, text in {
        "defaults.toml": 'owner = "a@example.com"\nreview_by = 2030-01-01\n',
        "images/python/Dockerfile": "FROM x\n",
        "images/python/requirements.lock": "six==1.16.0 --hash=sha256:aa\n",
        "jobs/load/workload.toml": "",
        "jobs/load/main.py": "",
        "jobs/tidy/workload.toml": "",
        "jobs/tidy/main.py": "",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    return tmp_path


def test_rebuilds_are_compared_with_what_was_written_down(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    specs = load_specs(project, "dev")
    trees = {name: Stager(project, "dev").tree(spec) for name, spec in specs.workloads.items()}
    hashes = {name: content_hash(tree) for name, tree in trees.items()}
    target = cast(Target, Deployed(project, hashes))
    documents = {f"_images/{hashes[name]}.json": Contents.of(tree).as_json() for name, tree in trees.items()}
    monkeypatch.setattr(runs, "read_json", lambda target, key: documents.get(key))
    assert why.rebuilds(target, specs) == []
    (project / "images/python/requirements.lock").write_text("six==1.17.0 --hash=sha256:bb\n")
    (project / "jobs/load/main.py").write_text("print()\n")
    again = why.rebuilds(target, specs)
    assert [str(one) for one in again] == [
        "load: package ~ six 1.16.0 -> 1.17.0; jobs/load/main.py changed",
        "tidy: package ~ six 1.16.0 -> 1.17.0",
    ]
    assert [one.workload for one in why.rebuilds(target, specs, ["tidy"])] == ["tidy"]
    documents.clear()
    assert "not known here; `herd up` writes it down" in str(why.rebuilds(target, specs)[0])
    made = plan()
    lines = words.of(made, datetime(2027, 3, 1, tzinfo=UTC), rebuilds=again).lines
    assert lines == ["image python: new image: six 1.16.0 → 1.17.0 (of load, tidy)", "load: code changed: main.py"]


def test_what_up_wrote_is_what_the_files_were(project: Path) -> None:
    specs = load_specs(project, "dev")
    stager = Stager(project, "dev")
    tree = stager.tree(specs.workloads["load"])
    assert built_from._contents(stager, specs.workloads["load"], content_hash(tree)) == Contents.of(tree)
    assert built_from._contents(stager, specs.workloads["load"], "another") is None
