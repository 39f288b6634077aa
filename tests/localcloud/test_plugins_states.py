"""Where the engine's state is found, what is read of it, and what cannot be."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest

from localcloud.plugins import Plugins
from localcloud.plugins.refusals import Refused
from localcloud.plugins.states import Backend, State
from localcloud.plugins.values import Props
from tests.localcloud.plugins_state import StateFiles
from tests.localcloud.plugins_support import TRUST

ROLE = "urn:pulumi:dev::proj::a:b:Component$aws:iam/role:Role::worker"

FOLDERS = {
    "absolute": ("file:///srv/state", "/srv/state"),
    "a space, as herd writes it": ("file:///srv/my state", "/srv/my state"),
    "a space, escaped": ("file:///srv/my%20state", "/srv/my state"),
    "with options": ("file:///srv/state?no_tmp_dir=true", "/srv/state"),
    "at home": ("file://~", "/home/me"),
    "below home": ("file://~/state", "/home/me/state"),
    "relative": ("file://./state", "/work/project/state"),
    "a bucket": ("s3://state?region=eu-west-1", None),
    "an account": ("https://api.pulumi.com", None),
    "not said": ("", None),
}


@pytest.mark.parametrize(("url", "folder"), FOLDERS.values(), ids=FOLDERS.keys())
def test_where_a_state_is_kept(url: str, folder: str | None) -> None:
    found = Backend.of({"backend": url, "home": "/home/me", "cwd": "/work/project", "skip_checkpoints": "TRUE"})
    assert found.folder == (Path(folder) if folder else None) and found.skips_checkpoints


def test_a_password_in_an_address_is_not_shown() -> None:
    assert "secret" not in str(Backend.of({"backend": "postgres://me:secret@host/db"}))


def resource(name: str, **more: Any) -> Props:
    urn = f"urn:pulumi:dev::proj::aws:iam/role:Role::{name}"
    return {
        "urn": urn,
        "custom": True,
        "id": name,
        "type": "aws:iam/role:Role",
        "outputs": {"arn": f"arn:{name}"},
        **more,
    }


def state(*resources: Props, time: str = "2026-03-01T12:00:00.123456789+02:00") -> bytes:
    latest = {"manifest": {"time": time}, "resources": list(resources)}
    return json.dumps({"version": 3, "checkpoint": {"stack": "dev", "latest": latest}}).encode()


@pytest.fixture
def backend(tmp_path: Path, plugins: Plugins) -> Backend:
    (tmp_path / ".pulumi" / "stacks" / "proj").mkdir(parents=True)
    return Backend(folder=tmp_path)


def put(backend: Backend, name: str, content: bytes, seconds: int = 0) -> None:
    assert backend.folder is not None
    file = backend.folder / ".pulumi" / "stacks" / name
    file.write_bytes(content)
    os.utime(file, (seconds, seconds))


def names(found: State | None) -> list[str] | None:
    return None if found is None else [one.urn.rpartition("::")[2] for one in found.resources]


def test_what_is_the_engines_own_is_read(backend: Backend) -> None:
    hidden = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "x"}
    put(backend, "proj/dev.json", state(
        resource("own"), resource("looked-up", external=True), resource("component", custom=False),
        resource("another-provider", type="random:index:RandomId"), resource("going", delete=True),
        resource("secret", outputs={"arn": hidden}),
    ))  # fmt: skip
    found = backend.state("proj/dev")
    assert names(found) == ["own", "going", "secret"] and found is not None
    assert [one.identity for one in found.resources] == ["arn:own", "arn:going", ""]
    assert found.written == 1772359200_123456


READABLE = {
    "never updated": {"proj/dev.json": b'{"version": 3, "checkpoint": {"stack": "dev", "latest": null}}'},
    "compressed": {"proj/dev.json.gz": gzip.compress(state())},
    "without a folder for the project": {"dev.json": state()},
    "compressed since": {"proj/dev.json": b"old", "proj/dev.json.gz": gzip.compress(state())},
}
UNREADABLE: dict[str, dict[str, bytes]] = {
    "none": {},
    "cut short": {"proj/dev.json": state(resource("own"))[:-20]},
    "empty": {"proj/dev.json": b""},
    "another kind of file": {"proj/dev.json": b"[1]"},
    "cut short and compressed": {"proj/dev.json.gz": gzip.compress(state())[:-9]},
    "compressed otherwise": {"proj/dev.json": state(), "proj/dev.json.zst": b"\x28\xb5\x2f\xfd"},
    "time that is none": {"proj/dev.json": state(time="yesterday")},
}


@pytest.mark.parametrize(("files", "readable"), [
    *((files, True) for files in READABLE.values()), *((files, False) for files in UNREADABLE.values()),
], ids=[*READABLE, *UNREADABLE])  # fmt: skip
def test_what_can_be_read(backend: Backend, files: dict[str, bytes], readable: bool) -> None:
    for number, (name, content) in enumerate(files.items()):
        put(backend, name, content, number)
    assert (backend.state("proj/dev") is not None) == readable


def test_without_state_and_checkpoints_nothing_is_made(plugins: Plugins, tmp_path: Path) -> None:
    states = StateFiles(tmp_path / "state")  # `pulumi stack init` never ran here
    blind = states.session(plugins)
    inputs, _ = blind.check(ROLE, {}, {"assumeRolePolicy": TRUST}, b"\1" * 32, None)
    assert blind.create(ROLE, inputs, preview=True)[1]["assumeRolePolicy"] == TRUST
    with pytest.raises(Refused, match="PULUMI_SKIP_CHECKPOINTS is set, and the local cloud cannot read the state"):
        blind.create(ROLE, inputs, preview=False)


def test_without_a_state_nothing_is_adopted(plugins: Plugins) -> None:
    def made() -> str:
        session = plugins.provider("aws", backend=Backend("s3://state"))
        inputs, _ = session.check(ROLE, {}, {"assumeRolePolicy": TRUST}, os.urandom(32), None)
        return session.create(ROLE, inputs, preview=False)[0]

    assert made() != made()
    assert plugins.sweep("proj", "dev") == [] and plugins.stacks() == {"proj/dev": 2}
    assert len(plugins.sweep("proj", "dev", released=True)) == 2
