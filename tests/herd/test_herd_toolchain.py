"""The toolchain with stand-ins for go, uv, python and pulumi on a PATH of its own: what runs, when, what is left."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from herd.toolchain import machine, packages, preflight, pulumi_cli, uv
from herd.toolchain.machine import ToolMissing

ROOT = Path(__file__).parents[2]

GO = """#!/bin/sh
echo go "$@" >> "$LOG"
while [ $# -gt 0 ]; do [ "$1" = -o ] && out=$2; shift; done
echo "go: downloading example.com/module v1.0.0"
echo example.com/package
sleep 0.2
printf '#!/bin/sh\\necho v%s\\n' "${BUILT_VERSION:-3.259.0}" > "$out"
chmod +x "$out"
exit ${GO_STATUS:-0}
"""

UV = """#!/bin/sh
echo uv "$@" >> "$LOG"
if [ "$1" = venv ]; then
    for last; do :; done
    mkdir -p "$last/bin" "$last/lib/python3.11/site-packages"
    ln -sf /bin/true "$last/bin/python"
    printf 'implementation = CPython\\nversion_info = %s\\n' "$PYTHON_VERSION" > "$last/pyvenv.cfg"
fi
exit ${UV_STATUS:-0}
"""


class Tools:
    """A PATH with nothing but what a test puts there, and the log of what was called."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.log = folder / "calls"
        self.cache = folder / "cache"
        monkeypatch.setenv("PATH", f"{self.bin}:/usr/bin:/bin")
        monkeypatch.setenv("LOG", str(self.log))
        monkeypatch.setenv("PYTHON_VERSION", ".".join(map(str, sys.version_info[:3])))

    def add(self, name: str, script: str) -> Path:
        path = self.bin / name
        path.write_text(script)
        path.chmod(0o755)
        return path

    @property
    def calls(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tools:
    return Tools(tmp_path, monkeypatch)


def says(version: str) -> str:
    return f"#!/bin/sh\necho {version}\n"


@pytest.mark.parametrize(
    ("version", "suits"),
    [
        pytest.param("v3.259.0", True, id="the pinned one"),
        pytest.param("v3.259.7", True, id="a later patch"),
        pytest.param("v3.301.0", True, id="a later minor"),
        pytest.param("v3.258.9", False, id="an earlier minor"),
        pytest.param("v4.0.0", False, id="another major"),
        pytest.param("", False, id="built without a version"),
        pytest.param("3.260.0-alpha.1", True, id="without the v"),
    ],
)
def test_the_pulumi_on_path_is_used_if_it_is_new_enough(tools: Tools, version: str, suits: bool) -> None:
    on_path = tools.add("pulumi", says(version))
    assert pulumi_cli.find(tools.cache) == (on_path if suits else None)


def test_pulumi_is_built_once_and_found_afterwards(tools: Tools) -> None:
    tools.add("go", GO)
    built = pulumi_cli.ensure(tools.cache)
    assert built == tools.cache / "pulumi" / "3.259.0" / "pulumi"
    assert pulumi_cli.ensure(tools.cache) == built
    assert len(tools.calls) == 1
    assert "-X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v3.259.0" in tools.calls[0]


def test_two_at_once_build_once(tools: Tools) -> None:
    tools.add("go", GO)
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(pulumi_cli.ensure, [tools.cache, tools.cache]))
    assert found[0] == found[1]
    assert len(tools.calls) == 1


def test_a_build_that_fails_shows_why_and_leaves_nothing_to_be_found(
    tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools.add("go", GO)
    monkeypatch.setenv("GO_STATUS", "1")
    with pytest.raises(ToolMissing, match="status 1") as failed:
        pulumi_cli.ensure(tools.cache)
    assert "example.com/package" in str(failed.value)
    assert pulumi_cli.find(tools.cache) is None


def test_a_build_of_another_version_is_refused(tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    tools.add("go", GO)
    monkeypatch.setenv("BUILT_VERSION", "3.1.0")
    with pytest.raises(ToolMissing, match="does not say that it is 3.259.0"):
        pulumi_cli.ensure(tools.cache)
    assert pulumi_cli.find(tools.cache) is None


def test_without_pulumi_and_go_it_says_how_to_install_them(tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tools.bin))
    with pytest.raises(ToolMissing, match=r"https://www.pulumi.com/docs/install/"):
        pulumi_cli.ensure(tools.cache)


def test_the_linters_are_made_once_beside_the_projects_packages(tools: Tools) -> None:
    tools.add("uv", UV)
    made = packages.ensure_made(ROOT, tools.cache, packages.AUDIT)
    assert made == packages.made_for(ROOT, tools.cache, packages.AUDIT) and made.is_dir()
    assert made != packages.made_for(ROOT, tools.cache, packages.DEVELOP)
    sync = [call for call in tools.calls if call.startswith("uv pip sync")]
    assert len(sync) == 1 and "--require-hashes" in sync[0] and sync[0].endswith("requirements-audit.lock")
    calls = len(tools.calls)
    assert packages.ensure_made(ROOT, tools.cache, packages.AUDIT) == made and len(tools.calls) == calls


def test_the_pinned_versions_are_one(tools: Tools) -> None:
    module = (pulumi_cli.MODULE / "go.mod").read_text()
    assert f"github.com/pulumi/pulumi/pkg/v3 v{pulumi_cli.VERSION} " in module
    assert f"\npulumi=={pulumi_cli.VERSION} " in (ROOT / "requirements.lock").read_text()


def test_an_official_pulumi_brings_its_language_host(tools: Tools) -> None:
    pulumi = tools.add("pulumi", says("v3.259.0"))
    assert not pulumi_cli.has_language_host(pulumi)
    tools.add("pulumi-language-python", says(""))
    assert pulumi_cli.has_language_host(pulumi)


def test_uv_is_taken_from_path(tools: Tools) -> None:
    on_path = tools.add("uv", UV)
    assert uv.ensure(tools.cache) == on_path


def test_uv_is_installed_by_hash_where_path_has_none(tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    pip = 'echo pip "$@" >> "$LOG"; touch "$(dirname "$0")/uv"; chmod +x "$(dirname "$0")/uv"'
    python = tools.add(
        "python-of-the-system",
        f"#!/bin/sh\nmkdir -p \"$3/bin\"\nprintf '#!/bin/sh\\n%s\\n' '{pip}' > \"$3/bin/python\"\n"
        'chmod +x "$3/bin/python"\n',
    )
    monkeypatch.setattr(uv.sys, "executable", str(python))
    assert uv.find(tools.cache) is None
    assert uv.ensure(tools.cache) == tools.cache / "tools" / "uv" / "bin" / "uv"
    assert uv.ensure(tools.cache) == uv.find(tools.cache)
    assert len(tools.calls) == 1
    assert "--require-hashes" in tools.calls[0]


@pytest.fixture
def project(tools: Tools, tmp_path: Path) -> Path:
    tools.add("uv", UV)
    root = tmp_path / "project"
    root.mkdir()
    (root / packages.RUN).write_text("one==1\n")
    (root / packages.DEVELOP).write_text("one==1\ntwo==2\n")
    return root


def test_packages_are_installed_by_hash_and_compiled_then_left_alone(tools: Tools, project: Path) -> None:
    assert packages.ensure(project, tools.cache, packages.RUN) is True
    sync = next(call for call in tools.calls if "sync" in call)
    assert "--require-hashes" in sync and "--compile-bytecode" in sync and packages.RUN in sync
    assert (project / ".venv/lib/python3.11/site-packages/herd.pth").read_text() == f"{project}/src\n"
    assert os.access(project / ".venv/bin/herd", os.X_OK)
    calls = len(tools.calls)
    assert packages.ensure(project, tools.cache, packages.RUN) is False
    assert len(tools.calls) == calls


@pytest.mark.parametrize("umask", [0o022, 0o002, 0o077], ids=oct)
def test_the_folder_that_it_locks_in_is_the_owners_alone(tools: Tools, project: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        packages.ensure(project, tools.cache, packages.RUN)
    finally:
        os.umask(before)
    assert oct((project / ".herd").stat().st_mode & 0o777) == oct(0o700)


@pytest.mark.parametrize("name", ["plain", "my project", "it's", 'a "b" $HOME', "-x", "long" * 40])
def test_the_command_starts_wherever_the_checkout_is(tools: Tools, tmp_path: Path, name: str) -> None:
    tools.add("uv", UV.replace("/bin/true", shlex.quote(sys.executable)))
    root = tmp_path / name
    (root / "src/herd").mkdir(parents=True)
    (root / "src/herd/__init__.py").touch()
    (root / "src/herd/__main__.py").write_text("def main():\n    print(__file__)\n    return 7\n")
    for lock in (packages.RUN, packages.DEVELOP):
        (root / lock).touch()
    packages.ensure(root, tools.cache, packages.RUN)
    link = tmp_path / "herd"
    link.symlink_to(root / ".venv/bin/herd")
    for command in (root / ".venv/bin/herd", link):
        done = subprocess.run([command], capture_output=True, text=True, cwd="/")
        assert (done.returncode, done.stdout) == (7, f"{root}/src/herd/__main__.py\n"), done.stderr


def test_what_tests_need_serves_for_running_too(tools: Tools, project: Path) -> None:
    packages.ensure(project, tools.cache, packages.DEVELOP)
    assert packages.ensure(project, tools.cache, packages.RUN) is False
    assert packages.ensure(project, tools.cache, packages.DEVELOP) is False


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda root: (root / packages.RUN).write_text("one==2\n"), id="lock file changed"),
        pytest.param(lambda root: (root / ".venv" / packages.STAMP).unlink(), id="an installation was cut short"),
        pytest.param(lambda root: (root / ".venv" / packages.STAMP).write_text("{"), id="stamp is broken"),
    ],
)
def test_packages_are_installed_again_when_something_changed(tools: Tools, project: Path, change: object) -> None:
    packages.ensure(project, tools.cache, packages.RUN)
    change(project)  # type: ignore[operator]
    assert packages.ensure(project, tools.cache, packages.RUN) is True


def test_a_failed_installation_is_not_taken_for_a_good_one(
    tools: Tools, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_STATUS", "2")
    with pytest.raises(ToolMissing, match="status 2"):
        packages.ensure(project, tools.cache, packages.RUN)
    assert not packages.is_current(project, packages.RUN)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        pytest.param({"XDG_CACHE_HOME": "/somewhere"}, Path("/somewhere/herd"), id="as the desktop says"),
        pytest.param({"XDG_CACHE_HOME": "relative"}, Path.home() / ".cache/herd", id="a relative one is ignored"),
        pytest.param({}, Path.home() / ".cache/herd", id="default"),
    ],
)
def test_where_the_cache_is(variables: dict[str, str], expected: Path) -> None:
    assert machine.user_cache(variables) == expected


@pytest.mark.parametrize(
    ("name", "why"),
    [
        pytest.param("my team's code, 100% #1 ü", "", id="fine"),
        pytest.param("costs $ 5, $5", "variable", id="a number is a variable's name too"),
        pytest.param("10 $ a month", "", id="a lone dollar"),
        pytest.param("a:b", "PATH", id="colon"),
        pytest.param("a$HOME", "$HOME", id="variable"),
        pytest.param("a${HOME}b", "${HOME}", id="variable in braces"),
        pytest.param("a\nb", "line break", id="line break"),
        pytest.param("a\udcffb", "UTF-8", id="no text"),
    ],
)
def test_a_folder_that_tools_would_misread_is_refused_at_once(tmp_path: Path, name: str, why: str) -> None:
    said = machine.unusable(tmp_path / name)
    assert bool(said) == bool(why) and why in said
    said.encode()  # can be printed
    for root, cache in ((tmp_path / name, tmp_path), (tmp_path, tmp_path / name)):
        if why:
            with pytest.raises(ToolMissing, match="cannot work below this folder"):
                preflight.look(root, cache, tests=False)


def test_the_bootstrap_needs_the_standard_library_only() -> None:
    script = (
        "import sys; sys.path[:0] = ['src']; sys.argv = ['x']; import herd.toolchain.setup, json; "
        "print(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-S", "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "site-packages" not in done.stdout


def test_who_imports_the_bootstrap_keeps_their_own_path() -> None:
    script = (
        "import sys; sys.path.insert(0, 'src'); before = list(sys.path); import herd.toolchain.setup; "
        "sys.exit(sys.path != before)"
    )
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True)


def test_make_chooses_a_python_that_is_new_enough(tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    tools.add("python3", "#!/bin/sh\nexit 1\n")
    tools.add("python3.13", "#!/bin/sh\nexit 127\n")
    tools.add("python3.12", "#!/bin/sh\nexit 0\n")
    done = subprocess.run(
        ["make", "--no-print-directory", "-n", "tools"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "MAKEFLAGS": ""},
    )
    assert done.stdout.strip() == "python3.12 src/herd/toolchain/setup.py"


@pytest.mark.parametrize("target", ["up", "down", "test", "check", "bench", "soak"])
def test_make_knows_its_targets(target: str) -> None:
    subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, check=True)


def test_a_second_checkout_gets_its_packages_without_installing_them_again(
    tools: Tools, project: Path, tmp_path: Path
) -> None:
    packages.ensure(project, tools.cache, packages.RUN)
    calls = len(tools.calls)
    second = tmp_path / "second"
    second.mkdir()
    for name in (packages.RUN, packages.DEVELOP):
        (second / name).write_text((project / name).read_text())
    assert packages.ensure(second, tools.cache, packages.RUN) is True
    assert len(tools.calls) == calls
    assert (second / ".venv/lib/python3.11/site-packages/herd.pth").read_text() == f"{second}/src\n"
    assert (project / ".venv/lib/python3.11/site-packages/herd.pth").read_text() == f"{project}/src\n"


def test_an_environment_that_was_cut_short_is_made_anew(
    tools: Tools, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_STATUS", "2")
    with pytest.raises(ToolMissing):
        packages.ensure(project, tools.cache, packages.RUN)
    monkeypatch.setenv("UV_STATUS", "0")
    assert packages.ensure(project, tools.cache, packages.RUN) is True
    assert packages.is_current(project, packages.RUN)


def test_plugins_are_missing_until_they_are_in_pulumis_home_or_on_path(tmp_path: Path) -> None:
    base = {"HOME": str(tmp_path), "PATH": str(tmp_path / "bin")}
    aws, docker = pulumi_cli.missing_plugins(("aws", "docker"), base)
    assert (aws.split()[0], docker.split()[0]) == ("aws", "docker")
    there = tmp_path / ".pulumi" / "plugins" / f"resource-aws-v{aws.split()[1]}" / "pulumi-resource-aws"
    there.parent.mkdir(parents=True)
    there.touch()
    assert pulumi_cli.missing_plugins(("aws", "docker"), base) == [docker]
    on_path = tmp_path / "bin" / "pulumi-resource-docker"
    on_path.parent.mkdir()
    on_path.touch(mode=0o755)
    assert pulumi_cli.missing_plugins(("aws", "docker"), base) == []
    assert f"`pulumi plugin install resource {docker} --file FILE`" in pulumi_cli.plugin_install_advice([docker])
