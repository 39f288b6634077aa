"""Virtual environments from lock files, with the real uv and a package made here: no network."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from localcloud.images.realise import UNUSED_DAYS, RealiseError, VenvRealiser, lock_hash


def find_uv() -> Path:
    """uv on PATH, or where `make` puts it."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    found = shutil.which("uv", path=f"{os.environ['PATH']}:{cache}/herd/tools/uv/bin")
    if found is None:
        pytest.fail("uv is neither on PATH nor among the project's tools: run `make tools` once")
    return Path(found)


def make_wheel(folder: Path) -> str:
    """A package `greet` with a script; gives its hash."""
    files = {
        "greet.py": "def main() -> None:\n    print('hello')\n",
        "greet-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: greet\nVersion: 1.0\n",
        "greet-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "greet-1.0.dist-info/entry_points.txt": "[console_scripts]\ngreet = greet:main\n",
    }
    record = ""
    for name, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        record += f"{name},sha256={digest},{len(text)}\n"
    wheel = folder / "greet-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in {**files, "greet-1.0.dist-info/RECORD": record}.items():
            archive.writestr(name, text)
    return hashlib.sha256(wheel.read_bytes()).hexdigest()


@pytest.fixture
def lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A lock file of one package; where it comes from is the person's setting, here a folder."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    monkeypatch.setenv("UV_FIND_LINKS", str(wheels))
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    path = tmp_path / "requirements.lock"
    path.write_text(f"# what it is for\ngreet==1.0 \\\n    --hash=sha256:{make_wheel(wheels)}\n")
    return path


def test_an_environment_is_made_once(tmp_path: Path, lock: Path) -> None:
    realiser = VenvRealiser(tmp_path / "cache", find_uv())
    said: list[str] = []
    venv = realiser.realise(lock, said.append)
    assert venv.parent == tmp_path / "cache" / "venvs"
    assert said[0] == "installing 1 packages from requirements.lock"
    assert subprocess.run([venv / "bin/greet"], capture_output=True, check=True).stdout == b"hello\n"
    assert list(venv.glob("lib/*/site-packages/__pycache__/greet.*.pyc")), "bytecode is compiled at install"
    before = sorted(venv.rglob("*"))
    said.clear()
    assert realiser.realise(lock, said.append) == venv
    assert (said, sorted(venv.rglob("*"))) == ([], before)


def test_its_name_is_its_content() -> None:
    assert lock_hash("a==1\n") == lock_hash("# a comment\na==1  \n\n")
    assert lock_hash("a==1\n") != lock_hash("a==2\n")


def test_two_at_once_make_one(tmp_path: Path, lock: Path) -> None:
    said: list[str] = []
    with ThreadPoolExecutor() as pool:
        made = list(
            pool.map(lambda _: VenvRealiser(tmp_path / "cache", find_uv()).realise(lock, said.append), range(4))
        )
    assert len(set(made)) == 1
    assert sum(line.startswith("installing") for line in said) == 1


def test_a_half_made_one_is_made_again(tmp_path: Path, lock: Path) -> None:
    realiser = VenvRealiser(tmp_path / "cache", find_uv())
    half = realiser.folder(lock.read_text())
    (half / "bin").mkdir(parents=True)
    (half / "bin/python").symlink_to(sys.executable)
    (half / "rubbish").touch()
    venv = realiser.realise(lock)
    assert (venv == half, (venv / "rubbish").exists(), (venv / "bin/greet").exists()) == (True, False, True)


def test_an_environment_whose_interpreter_is_gone_is_made_again(tmp_path: Path, lock: Path) -> None:
    realiser = VenvRealiser(tmp_path / "cache", find_uv())
    python = realiser.realise(lock) / "bin/python"
    python.unlink()
    python.symlink_to("/nowhere/python")
    assert (realiser.realise(lock) / "bin/python").exists()


def test_failures_say_what_uv_said(tmp_path: Path, lock: Path) -> None:
    realiser = VenvRealiser(tmp_path / "cache", find_uv())
    lock.write_text(lock.read_text().replace("greet==1.0", "greet==9.9"))
    with pytest.raises(RealiseError) as caught:
        realiser.realise(lock)
    assert str(lock) in str(caught.value) and "greet==9.9" in str(caught.value)
    assert not realiser.folder(lock.read_text()).exists(), "nothing is left behind"
    lock.write_text("greet==1.0\n")
    with pytest.raises(RealiseError, match="hash"):
        realiser.realise(lock)


REFUSED = [
    ("another file", b"-r other.txt\n", r"line 1 \(-r other.txt\) refers to another file"),
    ("a folder", b"greet==1.0\n-e .\n", r"line 2 \(-e .\) refers to another file"),
    ("not text", b"\xff\xfe", "cannot be read as a lock file"),
]


@pytest.mark.parametrize(("content", "message"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_refusals(tmp_path: Path, content: bytes, message: str) -> None:
    lock = tmp_path / "requirements.lock"
    lock.write_bytes(content)
    with pytest.raises(RealiseError, match=message):
        VenvRealiser(tmp_path / "cache", find_uv()).realise(lock)
    with pytest.raises(RealiseError, match="cannot be read"):
        VenvRealiser(tmp_path / "cache", find_uv()).realise(tmp_path / "absent.lock")


def test_without_uv(tmp_path: Path, lock: Path) -> None:
    with pytest.raises(RealiseError, match="uv could not be started"):
        VenvRealiser(tmp_path / "cache", tmp_path / "uv").realise(lock)


def test_nobody_starts_before_the_installer_of_a_killed_process_has_ended(tmp_path: Path, lock: Path) -> None:
    slow = tmp_path / "uv"
    slow.write_text(
        f"#!/bin/sh\ntouch {tmp_path}/installing\nuntil [ -e {tmp_path}/enough ]; do sleep 0.1; done\n"
        f"echo done >> {tmp_path}/installing\nexit 1\n"
    )
    slow.chmod(0o755)
    code = (
        "import sys; from pathlib import Path; from localcloud.images.realise import VenvRealiser as V;"
        "V(Path(sys.argv[1]), Path(sys.argv[2])).realise(Path(sys.argv[3]))"
    )
    killed = subprocess.Popen([sys.executable, "-c", code, tmp_path / "cache", slow, lock])
    while not (tmp_path / "installing").exists():
        assert killed.poll() is None
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    said: list[str] = []

    def say(line: str) -> None:
        said.append(line)
        (tmp_path / "enough").touch()

    venv = VenvRealiser(tmp_path / "cache", find_uv()).realise(lock, say)
    assert said[0] == "waiting for another process that is installing requirements.lock"
    assert (tmp_path / "installing").read_text() == "done\n"
    assert (venv / "bin/greet").exists()


def test_what_is_unused_is_told_by_the_clock_of_the_file_system(
    tmp_path: Path, lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    realiser = VenvRealiser(tmp_path / "cache", find_uv())
    earlier = realiser.realise(lock)
    another = time.time() + (UNUSED_DAYS + 1) * 86400
    monkeypatch.setattr(time, "time", lambda: another)
    lock.write_text(f"{lock.read_text()}\n--no-binary another\n")
    latest = realiser.realise(lock)
    assert all((folder / "bin/greet").exists() for folder in (earlier, latest))


def test_what_nothing_has_used_for_long_goes_when_the_next_is_made(tmp_path: Path, lock: Path) -> None:
    realiser = VenvRealiser(tmp_path / "cache", find_uv())
    folders = []
    for number in range(4):
        lock.write_text(f"{lock.read_text()}\n--no-binary never-{number}\n")
        folders.append(realiser.realise(lock))
    unused, running, used, fresh = folders
    long_ago = (fresh / ".realised").stat().st_mtime - (UNUSED_DAYS + 1) * 86400
    for folder in (unused, running, used):
        os.utime(folder / ".realised", (long_ago, long_ago))
    service = subprocess.Popen([running / "bin/python", "-c", "import time; time.sleep(60)"])
    try:
        realiser.note_use(used)
        lock.write_text(f"{lock.read_text()}\n--no-binary never-again\n")
        latest = realiser.realise(lock)
    finally:
        service.kill()
        service.wait()
    assert not unused.exists()
    assert all((folder / "bin/python").exists() for folder in (running, used, fresh, latest))
