"""An environment that an earlier release deployed: this one's preview replaces, deletes or creates nothing that its
notes do not name. What was deployed is kept as `pulumi stack export` wrote it, of the sample, and holds no secret.
"""

from __future__ import annotations

import gzip
import json
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.sandbox import ROOT, TEAMS_FOLDERS, Sandbox

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("live-small")]

RELEASES = sorted((Path(__file__).parent / "releases").glob("*.json.gz"))
LOSING = {"delete", "replace", "create-replacement", "delete-replaced", "discard"}


@pytest.fixture(scope="module")
def sandbox(small: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """The sample's files where nothing of them was ever deployed: the registry must not have their images already."""
    kept = tmp_path_factory.mktemp("kept")
    (kept / "state.json").write_text(small.pulumi("stack", "export").stdout)
    shutil.move(small.folder / "jobs", kept / "jobs")
    for folder in TEAMS_FOLDERS:
        shutil.copytree(ROOT / folder, small.folder / folder)
    yield small
    small.pulumi("stack", "import", "--force", "--file", str(kept / "state.json"))
    for folder in TEAMS_FOLDERS:
        shutil.rmtree(small.folder / folder)
    shutil.move(kept / "jobs", small.folder / "jobs")


def named_in_the_notes(kind: str) -> set[str]:
    """What some release's notes say is replaced, or created."""
    notes = tomllib.loads((ROOT / "src/herd/release_notes.toml").read_text())
    return {line.split(": ", 1)[0] for release in notes["release"] for line in release.get(kind, ())}


def is_of(urn: str, named: str) -> bool:
    """Whether it is that resource, `type::name`, or a component of that type, or something below one."""
    _, _, types, name = urn.split("::", 3)
    chain = types.split("$")
    return named == f"{chain[-1]}::{name}" or (named.startswith("herd:infra:") and named in chain)


def new_to(urns: set[str]) -> set[str]:
    """What the notes name as created and these have nothing of: whatever is there is not made again as new."""
    return {named for named in named_in_the_notes("created") if not any(is_of(urn, named) for urn in urns)}


def preview(sandbox: Sandbox, state: Path) -> dict[str, Any]:
    sandbox.pulumi("stack", "import", "--force", "--file", str(state))
    text = sandbox.pulumi("preview", "--json").stdout
    planned: dict[str, Any] = json.loads(text[text.index("{") :])
    assert not [line for line in planned.get("diagnostics", ()) if line["severity"] == "error"]
    return planned


@pytest.mark.parametrize("release", RELEASES, ids=lambda path: path.name.removesuffix(".json.gz"))
def test_what_it_deployed_is_neither_replaced_nor_deleted(sandbox: Sandbox, tmp_path: Path, release: Path) -> None:
    before = json.loads(gzip.decompress(release.read_bytes()))
    own = json.loads(sandbox.pulumi("stack", "export").stdout)
    # The passphrase was that environment's own; nothing in its state is encrypted with it.
    assert "4dabf18193072939515e22adb298388d" not in json.dumps(before), "an encrypted value"
    before["deployment"]["secrets_providers"] = own["deployment"]["secrets_providers"]
    state = tmp_path / "state.json"
    state.write_text(json.dumps(before))
    planned = preview(sandbox, state)
    assert planned["changeSummary"]["same"] > 80, "the state is not the sample's"
    lost = {step["urn"]: step["op"] for step in planned["steps"] if step["op"] in LOSING}
    replaced = named_in_the_notes("replaced")
    unnamed = {urn: op for urn, op in lost.items() if not any(f"{name}::" in urn for name in replaced)}
    assert not unnamed
    new = new_to({resource["urn"] for resource in before["deployment"]["resources"]})
    created = [step["urn"] for step in planned["steps"] if step["op"] == "create"]
    again = [urn for urn in created if not any(is_of(urn, named) for named in new)]
    assert not again, "made again under another name, or not in the notes"
