"""What `make test` needs of a machine, brought or asked for; apt-get, Selenium and browsers are stand-ins on a PATH."""

from __future__ import annotations

import os
import shutil
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from herd.toolchain import browser, debian, docker, machine, packages, preflight, pulumi_cli, setup
from herd.toolchain.machine import ToolMissing

ROOT = Path(__file__).parents[2]
SHELL = ("sh", "sleep", "chmod", "cat", "mkdir", "dirname", "touch", "rm")

APT = """#!/bin/sh
echo "$DEBIAN_FRONTEND apt-get $@" >> "$LOG"
if [ -f "$LOCKED" ]; then
    rm "$LOCKED"
    echo "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 7 (apt-get)"
    exit 100
fi
[ "$1" = update ] && exit ${UPDATE_STATUS:-0}
sleep 0.2
for package in $GIVES; do
    printf '#!/bin/sh\\necho "$0 120.0.6099.1 built on Debian"\\n' > "$BIN/$package"
    chmod +x "$BIN/$package"
done
exit ${INSTALL_STATUS:-0}
"""


def starts(version: str) -> str:
    return f"#!/bin/sh\necho Chromium {version} built on Debian\n"


class Machine:
    """A PATH with a shell, git and nothing else; who the user is; what of the network can be reached."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bin, self.cache = folder / "bin", folder / "cache"
        self.monkeypatch = monkeypatch
        self.bin.mkdir()
        for program in (*SHELL, "git", "curl", "setsid"):
            (self.bin / program).symlink_to(shutil.which(program) or program)
        self.log = folder / "calls"
        for name, value in {
            "PATH": str(self.bin),
            "BIN": str(self.bin),
            "LOG": str(self.log),
            "LOCKED": str(folder / "locked"),
            "GIVES": "chromium chromedriver",
        }.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv(browser.SWITCH, raising=False)
        monkeypatch.setattr(machine, "user_cache", lambda: self.cache)
        monkeypatch.setattr(browser, "is_reachable", lambda: False)
        self.is_root(False)

    def is_root(self, is_so: bool = True) -> Machine:
        self.monkeypatch.setattr(os, "geteuid", lambda: 0 if is_so else 1000)
        return self

    def add(self, name: str, script: str) -> Path:
        path = self.bin / name
        path.unlink(missing_ok=True)
        path.write_text(script)
        path.chmod(0o755)
        return path

    def remove(self, name: str) -> None:
        (self.bin / name).unlink()

    @property
    def calls(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(tmp_path, monkeypatch)
    made.add("pulumi", f"#!/bin/sh\necho v{pulumi_cli.VERSION}\n")
    made.add("uv", "#!/bin/sh\n")
    monkeypatch.setenv(docker.SWITCH, "1")
    return made


@pytest.mark.parametrize(
    ("programs", "is_found"),
    [
        pytest.param({"chromium": starts("120.0.1.2"), "chromedriver": starts("120.0.1.2")}, True, id="Debian's"),
        pytest.param({"google-chrome": starts("99.0.1.2"), "chromedriver": starts("99.0.7.1")}, True, id="Google's"),
        pytest.param({"chromium": starts("120.0.1.2")}, False, id="no driver"),
        pytest.param({"chromedriver": starts("120.0.1.2")}, False, id="a driver only"),
        pytest.param({"chromium": starts("120.0.1.2"), "chromedriver": starts("119.0.1.2")}, False, id="two versions"),
        pytest.param({"chromium": "#!/bin/sh\necho no snap >&2; exit 1\n", "chromedriver": starts("120.0.1.2")}, False,
                     id="it does not start"),
        pytest.param({"chromium": "not a program", "chromedriver": starts("120.0.1.2")}, False, id="no program"),
    ],
)  # fmt: skip
def test_the_browser_on_path_is_used_if_it_and_its_driver_start_and_fit(
    here: Machine, programs: dict[str, str], is_found: bool
) -> None:
    for name, script in programs.items():
        here.add(name, script)
    found = browser.find(here.cache)
    assert (found is not None) == is_found
    if found:
        assert {found.program.name, found.driver.name} == set(programs)


def test_root_on_a_debian_gets_one_without_being_asked(here: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    here.is_root().add("apt-get", APT)
    found = browser.ensure(here.cache, Path(sys.executable), reachable=False)
    assert (found.program, found.driver) == (here.bin / "chromium", here.bin / "chromedriver")
    assert [call.split()[:3] for call in here.calls] == [
        ["noninteractive", "apt-get", "update"],
        ["noninteractive", "apt-get", "install"],
    ]
    assert "installing chromium chromium-driver fonts-liberation: done" in capsys.readouterr().err
    calls = len(here.calls)
    assert browser.ensure(here.cache, Path(sys.executable), reachable=False) == found and len(here.calls) == calls


def test_two_at_once_install_once(here: Machine) -> None:
    here.is_root().add("apt-get", APT)
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda _: browser.ensure(here.cache, Path(sys.executable), False), range(2)))
    assert found[0] == found[1]
    assert len(here.calls) == 2


def test_another_process_that_installs_is_waited_for(here: Machine, tmp_path: Path) -> None:
    here.is_root().add("apt-get", APT)
    (tmp_path / "locked").touch()
    assert browser.ensure(here.cache, Path(sys.executable), reachable=False)
    assert [call.split()[2] for call in here.calls] == ["update", "update", "install"]


def test_one_source_that_cannot_be_reached_is_no_reason_to_give_up(here: Machine) -> None:
    here.monkeypatch.setenv("UPDATE_STATUS", "100")
    here.is_root().add("apt-get", APT)
    assert browser.ensure(here.cache, Path(sys.executable), reachable=False)


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        pytest.param({"INSTALL_STATUS": "100", "GIVES": ""}, "`apt-get install", id="apt cannot"),
        pytest.param({"GIVES": ""}, "are installed and do not start", id="what it installs does not start"),
    ],
)
def test_what_apt_cannot_bring_is_said_with_the_line_to_type(
    here: Machine, variables: dict[str, str], said: str
) -> None:
    for name, value in variables.items():
        here.monkeypatch.setenv(name, value)
    here.is_root().add("apt-get", APT)
    with pytest.raises(ToolMissing) as missing:
        browser.ensure(here.cache, Path(sys.executable), reachable=False)
    assert said in str(missing.value) and f"{browser.SWITCH}=1 make test" in str(missing.value)


def a_python_with_selenium(here: Machine, says: str, status: int = 0) -> Path:
    return here.add("python-with-selenium", f'#!/bin/sh\necho manager "$@" >> "$LOG"\necho \'{says}\'\nexit {status}\n')


def test_selenium_brings_one_where_the_network_lets_it(here: Machine, tmp_path: Path) -> None:
    brought = tmp_path / "brought"
    brought.mkdir()
    for name in ("chrome", "driver"):
        here.add(name, starts("150.0.1.2")).rename(brought / name)
    python = a_python_with_selenium(here, f'{{"browser_path": "{brought}/chrome", "driver_path": "{brought}/driver"}}')
    here.is_root().add("apt-get", APT)
    found = browser.ensure(here.cache, python, reachable=True)
    assert found == browser.Browser(brought / "chrome", brought / "driver")
    assert not [call for call in here.calls if "apt-get" in call]
    assert browser.find(here.cache) == found, "it is found again without Selenium"
    shutil.rmtree(brought)
    assert browser.find(here.cache) is None


@pytest.mark.parametrize(
    ("says", "status"),
    [
        pytest.param("error sending request", 1, id="it fails"),
        pytest.param("nothing of use", 0, id="it does not say where"),
        pytest.param('{"browser_path": "/nowhere/chrome", "driver_path": "/nowhere/driver"}', 0, id="libraries lack"),
    ],
)
def test_where_selenium_cannot_apt_may(here: Machine, says: str, status: int) -> None:
    python = a_python_with_selenium(here, says, status)
    here.is_root().add("apt-get", APT)
    assert browser.ensure(here.cache, python, reachable=True).program == here.bin / "chromium"


def test_whether_the_network_reaches_is_known_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    never = threading.Event()
    monkeypatch.setattr(browser, "REACH_SECONDS", 0.05)
    monkeypatch.setattr(browser, "_answers", lambda url: never.wait(60))
    assert browser.is_reachable() is False
    never.set()


def nothing_installed(here: Machine) -> None:
    """No package may be installed before the machine has been looked at."""

    def refuse(*_: object) -> bool:
        raise AssertionError("packages were installed first")

    here.monkeypatch.setattr(packages, "ensure", refuse)


NO_BROWSER = ["sudo apt-get install -y chromium chromium-driver", f"{browser.SWITCH}=1 make test"]

LACKS: dict[str, tuple[Callable[[Machine], object], list[str]]] = {
    "a browser": (lambda here: None, NO_BROWSER),
    "a driver of its version": (
        lambda here: (here.add("chromium", starts("120.0.1.2")), here.add("chromedriver", starts("99.0.1.2"))),
        ["chromium (120)", "chromedriver (99)", *NO_BROWSER],
    ),
    "git": (lambda here: here.remove("git"), ["git is missing", "sudo apt-get install -y git"]),
    "git, and curl": (
        lambda here: (here.remove("git"), here.remove("curl")),
        ["git is missing", "curl is missing", "install -y git curl"],
    ),
    "a checkout that Git lists": (
        lambda here: here.add("git", "#!/bin/sh\necho 'fatal: detected dubious ownership' >&2\nexit 128\n"),
        ["detected dubious ownership"],
    ),
    "Pulumi and Go": (lambda here: here.remove("pulumi"), ["https://go.dev/doc/install"]),
    "uv, and Python's venv": (
        lambda here: (
            here.remove("uv"),
            here.monkeypatch.setattr(preflight.importlib.util, "find_spec", lambda name: None),
        ),
        ["apt-get install -y python3-venv"],
    ),
    "room": (lambda here: here.monkeypatch.setattr(preflight, "LEAST_FREE_GB", 10**9), ["GB are free at"]),
}


@pytest.mark.parametrize("case", LACKS.values(), ids=LACKS)
def test_what_cannot_be_brought_is_said_at_once_and_first(
    here: Machine, capsys: pytest.CaptureFixture[str], case: tuple[Callable[[Machine], object], list[str]]
) -> None:
    take_away, said = case
    nothing_installed(here)
    take_away(here)
    assert setup.main(["--test"]) == 1
    printed = capsys.readouterr().err
    for text in [*said, *NO_BROWSER]:
        assert text in printed, printed
    assert "Traceback" not in printed


def test_what_is_missing_is_brought_first_where_one_may(here: Machine) -> None:
    here.is_root().add("apt-get", APT)
    here.monkeypatch.setenv("GIVES", "chromium chromedriver curl")
    here.remove("curl")
    assert preflight.look(ROOT, here.cache, tests=True) is False
    assert browser.find(here.cache)
    assert [call for call in here.calls if call.endswith(" curl")]


def test_selenium_is_left_for_when_it_is_there(here: Machine) -> None:
    here.is_root().add("apt-get", APT)
    here.monkeypatch.setattr(browser, "is_reachable", lambda: True)
    assert preflight.look(ROOT, here.cache, tests=True) is True
    assert here.calls == []


def test_a_person_may_do_without_a_browser_and_is_reminded(here: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    here.monkeypatch.setenv(browser.SWITCH, "1")
    assert preflight.look(ROOT, here.cache, tests=True) is False
    assert f"not tried here: pages in a browser ({browser.SWITCH}=1)" in capsys.readouterr().err


def test_docker_is_brought_or_left_out_in_the_same_way(here: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    here.monkeypatch.setenv(browser.SWITCH, "1")
    preflight.look(ROOT, here.cache, tests=True)
    assert f"images and containers of Docker ({docker.SWITCH}=1)" in capsys.readouterr().err
    here.monkeypatch.delenv(docker.SWITCH)
    preflight.look(ROOT, here.cache, tests=False)
    with pytest.raises(ToolMissing, match=rf"(?s)root's rights on Linux.*{docker.SWITCH}=1 make test"):
        preflight.look(ROOT, here.cache, tests=True)


def test_only_the_tests_need_a_browser(here: Machine) -> None:
    assert preflight.look(ROOT, here.cache, tests=False) is False


def test_the_line_to_type_asks_for_root_where_one_is_not(here: Machine) -> None:
    assert debian.line(["git"]) == "sudo apt-get update && sudo apt-get install -y git"
    here.is_root()
    assert debian.line(["git"]) == "apt-get update && apt-get install -y git"


def test_ci_runs_the_readmes_command_and_nothing_else() -> None:
    lines = [line for line in (ROOT / ".ci/run").read_text().splitlines() if not line.startswith("#")]
    assert lines[-1] == "exec make test" and not [line for line in lines if "apt" in line]
