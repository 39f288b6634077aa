"""image.toml: what its switches may be, what they write into the Dockerfile, and that the two agree."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from herd.infra.images import marks
from herd.infra.images.build_context import Stager, StagingError
from herd.infra.images.switches import QUARTO_HASHES, out_of_step, rewrite
from herd.infra.messages import Problem
from herd.infra.offer import Offer
from herd.infra.settings.tables import Pool
from herd.infra.spec.image_settings import CUDA, ODBC, QUARTO, ImageSettings, read
from herd.infra.spec.load import SpecErrors, load_specs
from localcloud.images.context import Context
from localcloud.images.dockerfile import parse
from localcloud.images.plan import plan

DOCKERFILE = (Path(__file__).parents[3] / "images/python/Dockerfile").read_text()


def problems(root: Path, text: str) -> list[str]:
    folder = root / "images/geo"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "image.toml").write_text(text)
    found: list[Problem] = []
    read(root, "geo", found)
    return [str(problem) for problem in found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ('quarto = "1.7"\ntinytex = true\nodbc = ["postgresql"]\napt = ["libgdal-dev", "g++", "libstdc++6"]\n', ""),
        ('quarto = "1.8.27"\ngpu = "12.8"\ngit = true\ncompilers = true\n', ""),
        ("quatro = true", "unknown setting 'quatro'; did you mean 'quarto'?"),
        ("quarto = 1.7", "quarto = 1.7 must be text in quotes"),
        ('quarto = "latest"', 'quarto = "latest" must be a version in quotes, like "1.7"'),
        ('quarto = "1.4"', 'quarto = "1.4" is older than the Python and R of the images; allowed: 1.7, 1.8'),
        ('quarto = "1.7.1"', 'quarto = "1.7.1" is a release whose archives\' hashes this Herd does not know'),
        ("quarto = '1.7\"; rm -rf /'", "must be a version in quotes"),
        ("tinytex = true", 'tinytex = true needs Quarto, which installs it: quarto = "1.7"'),
        ('odbc = ["postgres"]', 'odbc: "postgres" is no database with an ODBC driver in Debian; did you mean'),
        ('odbc = ["mysql"]', "is not in Debian: Debian has MariaDB's driver, which speaks to it: 'mariadb'"),
        ('odbc = "postgresql"', 'odbc = "postgresql" must be a list'),
        ('odbc = ["sqlite", "sqlite"]', "names 'sqlite' twice"),
        ('apt = ["x; rm -rf /"]', 'apt: "x; rm -rf /" is not a name of a Debian package'),
        ('apt = ["--allow-unauthenticated"]', "is not a name of a Debian package"),
        ('apt = ["-oAPT::x"]', "is not a name of a Debian package"),
        ('apt = ["curl-"]', "is not a name of a Debian package"),
        ('apt = ["lib*"]', "is not a name of a Debian package"),
        ('apt = ["a\\nRUN x"]', "is not a name of a Debian package"),
        ('apt = ["$(id)x"]', "is not a name of a Debian package"),
        ('apt = ["libgdal-dev=3.6.2"]', "names a version: Debian's archive keeps only the newest one"),
        ('apt = ["libgdal-dev/sid"]', "names a version"),
        ('apt = ["libc6:arm64"]', "is not a name of a Debian package"),
        ('apt = ["python3-gdal"]', "is for Debian's own Python"),
        ('gpu = "9.0"', 'gpu = "9.0" is no release of CUDA that is known here; allowed: 12.6, 12.8'),
        ("gpu = true", "gpu = true must be text in quotes"),
        ("apt = [", "is not TOML"),
    ],
)
def test_the_settings(tmp_path: Path, text: str, expected: str) -> None:
    found = problems(tmp_path, text)
    assert bool(found) == bool(expected), found
    assert not expected or (len(found) == 1 and found[0].startswith("images/geo/image.toml: ") and expected in found[0])


def test_all_problems_are_there_at_once_with_those_of_the_workloads(tmp_path: Path) -> None:
    problems(tmp_path, 'apt = ["-y", "x=1"]\nquarto = "0.9"\ntinytex = 1\nother = 1\n')
    (tmp_path / "jobs/load").mkdir(parents=True)
    (tmp_path / "jobs/load/workload.toml").write_text("scheduel = 1\n")
    with pytest.raises(SpecErrors) as errors:
        load_specs(tmp_path, "dev")
    keys = {problem.key for problem in errors.value.problems if problem.file == "images/geo/image.toml"}
    assert keys == {"apt", "quarto", "tinytex", "other"}
    assert "jobs/load/workload.toml: unknown setting 'scheduel'" in str(errors.value)


def test_a_link_out_of_the_project_is_not_read(tmp_path: Path) -> None:
    folder = tmp_path / "project/images/geo"
    folder.mkdir(parents=True)
    (tmp_path / "secret.toml").write_text("canary = 1")
    (folder / "image.toml").symlink_to(tmp_path / "secret.toml")
    found: list[Problem] = []
    read(tmp_path / "project", "geo", found)
    assert len(found) == 1 and "canary" not in str(found[0])


@pytest.mark.parametrize(
    ("hardware", "why"),
    [
        ("fargate", "Fargate has no GPUs"),
        ("vm", "have no GPU"),
        ("arm", "has Arm's processors"),
        ("cards", ""),
    ],
)
def test_gpu_goes_with_hardware_that_has_one(tmp_path: Path, hardware: str, why: str) -> None:
    problems(tmp_path, 'gpu = "12.8"')
    (tmp_path / "jobs/fit").mkdir(parents=True)
    (tmp_path / "jobs/fit/main.py").write_text("")
    (tmp_path / "jobs/fit/workload.toml").write_text(
        f'owner = "a@example.com"\nreview_by = 2030-01-01\nimage = "geo"\nhardware = "{hardware}"\n'
    )
    (tmp_path / "images/geo/Dockerfile").write_text("FROM x\n")
    offer = Offer(pools={"cards": Pool("g5.xlarge", gpu=1), "arm": Pool("g5g.xlarge", gpu=1, arm64=True)})
    if not why:
        load_specs(tmp_path, "dev", offer)
        return
    with pytest.raises(SpecErrors) as errors:
        load_specs(tmp_path, "dev", offer)
    assert why in str(errors.value) and "jobs/fit/workload.toml: hardware = " in str(errors.value)


ALL = ImageSettings(
    apt=("libgdal-dev",), compilers=True, git=True, odbc=("postgresql",), quarto="1.7", tinytex=True, gpu="12.8"
)


def body(name: str, settings: ImageSettings = ALL, text: str = DOCKERFILE) -> str:
    return marks.blocks(rewrite(text, settings, "python"))[name].body


def test_both_stages_begin_with_the_same_line_so_that_it_runs_once() -> None:
    assert body("system").startswith(body("build") + "\n")
    lines = rewrite(DOCKERFILE, ALL, "python").split("\n")
    for name in ("build", "system"):
        mark = next(number for number, line in enumerate(lines) if line.startswith(f"# >>> herd {name} "))
        assert lines[mark - 1].startswith("FROM ${BASE}")


def test_a_dockerfile_of_one_stage_has_one_block() -> None:
    assert list(marks.blocks(rewrite("FROM x\nCMD y\n", ALL, "geo"))) == ["system"]


@pytest.mark.parametrize(
    ("text", "shares"),
    [
        ("FROM a AS one\nFROM one\n", True),
        ("FROM a AS one\nFROM one AS two\nFROM b AS x\nFROM --platform=linux/amd64 Two\n", True),
        ("FROM a AS one\nFROM a\n", False),
        ("FROM a AS one\nFROM b AS two\nFROM two\n", False),
        ("FROM a\nFROM a\n", False),
        ("FROM a AS one\n", False),
    ],
)
def test_a_last_stage_that_builds_on_the_first_does_not_install_twice(text: str, shares: bool) -> None:
    assert marks.last_builds_on_first(text) is shares
    written = rewrite(text, ImageSettings(git=True, odbc=("sqlite",)), "geo")
    assert written.count("        git \\\n") == (1 if shares or text.count("FROM") == 1 else 2)
    assert written.count("        libsqliteodbc \\\n") == 1
    assert rewrite(written, ImageSettings(), "geo") == text


def test_what_is_not_set_writes_nothing() -> None:
    assert rewrite(DOCKERFILE, ImageSettings(), "python") == DOCKERFILE
    only = body("system", ImageSettings(odbc=("sqlite", "postgresql")))
    assert "libsqliteodbc" in only and "odbc-postgresql" in only and "unixodbc" in only
    assert list(marks.blocks(rewrite(DOCKERFILE, ImageSettings(odbc=("sqlite",)), "python"))) == ["system"]


SETTINGS = st.builds(
    ImageSettings,
    apt=st.lists(st.sampled_from(["libgdal-dev", "g++", "curl"]), unique=True).map(tuple),
    compilers=st.booleans(),
    git=st.booleans(),
    odbc=st.lists(st.sampled_from(sorted(ODBC)), unique=True).map(tuple),
    quarto=st.none() | st.sampled_from(sorted([*QUARTO, *QUARTO.values()])),
    gpu=st.none() | st.sampled_from(sorted(CUDA)),
)


@given(SETTINGS, SETTINGS)
def test_the_blocks_depend_on_the_switches_alone(settings: ImageSettings, other: ImageSettings) -> None:
    written = rewrite(DOCKERFILE, settings, "python")
    assert rewrite(rewrite(DOCKERFILE, other, "python"), settings, "python") == written
    assert rewrite(written, ImageSettings(), "python") == DOCKERFILE


def test_every_release_of_quarto_has_its_hashes() -> None:
    assert QUARTO_HASHES.keys() == set(QUARTO.values())
    for hashes in QUARTO_HASHES.values():
        assert sorted(hashes) == ["amd64", "arm64"]
        assert all(len(one) == 64 and int(one, 16) for one in hashes.values())


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for path, text in {
        "defaults.toml": 'owner = "a@example.com"\nreview_by = 2030-01-01\nimage = "geo"\n',
        "images/geo/Dockerfile": "FROM x\n",
        "images/geo/requirements.lock": "",
        "jobs/load/workload.toml": "",
        "jobs/load/main.py": "",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    return tmp_path


def test_a_block_out_of_step_is_refused_when_the_context_is_staged(project: Path) -> None:
    def stage() -> dict[str, object]:
        return dict(Stager(project, "dev").tree(load_specs(project, "dev").workloads["load"]))

    before = stage()
    settings, dockerfile = project / "images/geo/image.toml", project / "images/geo/Dockerfile"
    settings.write_text('apt = ["libgdal-dev"]\n')
    refused = "images/geo/Dockerfile: its block system is not what images/geo/image.toml says; `herd image lock geo`"
    with pytest.raises(StagingError, match=refused):
        stage()
    dockerfile.write_text(rewrite("FROM x\n", ImageSettings(apt=("libgdal-dev",)), "geo"))
    assert "image.toml" not in stage()
    settings.write_text('# another comment\napt = ["libgdal-dev"]\n')
    stage()
    whole = dockerfile.read_text()
    dockerfile.write_text(whole.replace("libgdal-dev", "libgdal-dev2"))
    with pytest.raises(StagingError, match=refused):
        stage()
    dockerfile.write_text(whole)
    settings.unlink()
    with pytest.raises(StagingError, match=refused):
        stage()
    dockerfile.write_text("FROM x\n")
    assert stage() == before
    dockerfile.write_text(whole.rsplit("# <<<", 1)[0])
    with pytest.raises(StagingError, match="images/geo/Dockerfile: line 2: the block system begins and does not end"):
        stage()


def test_a_builder_without_docker_says_what_it_leaves_out(project: Path) -> None:
    (project / "Dockerfile").write_text(rewrite("FROM x\nCMD y\n", ALL, "geo"))
    planned = plan(parse((project / "Dockerfile").read_text(), {}), Context(project, project / "Dockerfile"))
    assert sum(line.startswith("RUN ") for line in planned.not_exercised) == 5


STAND_IN = """\
#!/bin/sh
echo "$(basename "$0") $* HOME=$HOME" >> "$LOG"
"""


def test_quarto_is_downloaded_checked_and_linked_and_installs_tinytex(tmp_path: Path) -> None:
    """The lines of the block as a shell runs them, with stand-ins for what a laptop or a test must not do.

    Quarto's archive itself cannot be had here; that it is refused with another hash is shown with one that was made up.
    """
    for name in ("apt-get", "curl", "mkdir", "tar", "ln", "rm", "quarto"):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(STAND_IN)
        program.chmod(0o755)
    archive = tmp_path / "quarto.tar.gz"
    archive.write_text("an archive")
    text = body("system", ImageSettings(quarto="1.7", tinytex=True)).replace("/tmp/quarto.tar.gz", str(archive))
    commands = [
        instruction.args[0] for instruction in parse(f"FROM x\n{text}\n", {}).stages[0].instructions
        if instruction.name == "RUN"
    ]  # fmt: skip
    log = tmp_path / "log"

    def run(command: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": f"{tmp_path}/bin:{os.environ['PATH']}",
            "LOG": str(log),
            "HOME": "/root",
            "QUARTO_URL": "https://mirror.example.com/quarto",
        }
        return subprocess.run(["bash", "-ec", command], env=environment, capture_output=True, text=True)

    refused = run(commands[0])
    assert refused.returncode and "FAILED" in refused.stdout + refused.stderr, "another archive than the release's"
    assert "tar " not in log.read_text()
    digest = subprocess.run(["sha256sum", archive], capture_output=True, text=True, check=True).stdout.split()[0]
    for known in QUARTO_HASHES["1.7.32"].values():
        commands[0] = commands[0].replace(known, digest)
    log.unlink()
    done = [run(command) for command in commands]
    assert [one.returncode for one in done] == [0, 0], done
    said = log.read_text()
    assert "https://mirror.example.com/quarto/v1.7.32/quarto-1.7.32-linux-" in said
    assert f"tar -xzf {archive} -C /opt/quarto --strip-components=1" in said
    assert "ln -s /opt/quarto/bin/quarto /usr/local/bin/quarto" in said
    assert "quarto install tinytex --no-prompt HOME=/opt/tinytex" in said


def test_a_dockerfile_without_a_stage_is_refused(project: Path) -> None:
    (project / "images/geo/Dockerfile").write_text("RUN x\n")
    assert out_of_step(project, "geo", ALL) == "images/geo/Dockerfile: has no FROM, so it is not a Dockerfile"
    assert out_of_step(project, "geo", ImageSettings()) is None


def test_herd_image_lock_writes_the_blocks(
    project: Path,
) -> None:
    from herd.checkout.find import Checkout
    from herd.checkout.image_blocks import write
    from herd.errors import WrongInput

    checkout = Checkout(project, project / "cache")
    dockerfile = project / "images/geo/Dockerfile"
    assert write(checkout, "geo") == []
    (project / "images/geo/image.toml").write_text('apt = ["libgdal-dev"]\n')
    dockerfile.chmod(0o640)
    assert write(checkout, "geo") == ["+ system: 4 lines"]
    assert "        libgdal-dev \\\n" in dockerfile.read_text() and dockerfile.stat().st_mode & 0o777 == 0o640
    assert write(checkout, "geo") == []
    dockerfile.write_text(dockerfile.read_text().replace("libgdal-dev", "libgdal-dev2"))
    assert write(checkout, "geo") == ["~ system: 4 lines"]
    (project / "images/geo/image.toml").unlink()
    assert write(checkout, "geo") == ["- system"]
    assert dockerfile.read_text() == "FROM x\n"
    (project / "images/geo/image.toml").write_text("apt = 1")
    with pytest.raises(WrongInput, match="images/geo/image.toml: apt = 1 must be a list"):
        write(checkout, "geo")
    with pytest.raises(WrongInput, match="did you mean 'geo'"):
        write(checkout, "gio")
