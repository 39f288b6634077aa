"""Which `docker` is asked, and the sentence for each way in which it cannot be.

The clients are stand-ins that say what real ones of these versions say; tests with a daemon use the real one.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from localcloud.docker import client as module
from localcloud.docker.client import CommandFailed, DockerClient, DockerError, Login

SERVER = '"Server":{"Version":"26.1.5","Arch":"amd64"}'


@pytest.fixture(autouse=True)
def only_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PLACES", ())


def docker(folder: Path, version: str = "26.1.5", buildx: bool = True, answer: str = "", rest: str = "") -> Path:
    """A client of that version; `answer` is a shell line for `docker version --format {{json .}}`."""
    folder.mkdir()
    program = folder / "docker"
    said = answer or f"""echo '{{"Client":{{"Version":"{version}"}},{SERVER}}}'"""
    program.write_text(
        f"""#!/bin/sh
case "$*" in
"version --format {{{{.Client.Version}}}}") echo {version}; exit 1;;
"version --format {{{{json .}}}}") {said};;
"buildx version") exit {0 if buildx else 1};;
"context inspect"*) echo unix:///of/the/context.sock;;
*) {rest or "exit 0"};;
esac
"""
    )
    program.chmod(0o755)
    return folder


def found(*folders: Path, **environment: str) -> DockerClient:
    path = os.pathsep.join([*map(str, folders), "/usr/bin", "/bin"] if not folders else map(str, folders))
    return DockerClient.find({"PATH": f"{path}", **environment})


def test_the_first_client_that_has_buildkit_is_taken(tmp_path: Path) -> None:
    bare = docker(tmp_path / "bare", "28.2.2", buildx=False)
    old = docker(tmp_path / "old", "20.10.24+dfsg1", buildx=False)
    plugin = docker(tmp_path / "plugin", "26.1.5")
    assert found(bare, old, plugin).program == old / "docker"
    assert found(bare, plugin, old).program == plugin / "docker"


@pytest.mark.parametrize(
    ("version", "said"),
    [("28.2.2", "without the plugin buildx"), ("17.05.0-ce", "too old for BuildKit"), ("23.0.1", "without the plugin")],
)
def test_clients_without_buildkit_are_named_with_the_way_out(tmp_path: Path, version: str, said: str) -> None:
    folder = docker(tmp_path / "bin", version, buildx=False)
    with pytest.raises(DockerError, match=rf"{re.escape(str(folder))}/docker \({version}\) is {said}.*docker-buildx.*"):
        found(folder)


def test_without_a_client_the_sentence_says_how_to_get_one_or_go_on(tmp_path: Path) -> None:
    with pytest.raises(DockerError, match="no `docker` on PATH.*apt-get install docker.io.*--engine process"):
        found(tmp_path)


def test_a_program_that_does_not_start_is_no_client(tmp_path: Path) -> None:
    folder = docker(tmp_path / "bin")
    (folder / "docker").write_text("#!/no/such/interpreter\n")
    with pytest.raises(DockerError, match="docker does not start"):
        found(folder)


NO_DAEMON = [
    ("unix:///var/run/docker.sock", "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker "
     "daemon running?", "does not answer: start it"),
    ("unix:///var/run/docker.sock", "permission denied while trying to connect to the Docker daemon socket at "
     "unix:///var/run/docker.sock: connect: permission denied", "this user may not use .* usermod -aG docker"),
    ("tcp://nowhere.example:2375", 'error during connect: Get "http://nowhere.example:2375/v1.24/version": dial tcp: '
     "lookup nowhere.example on 10.0.0.1:53: no such host", "the name nowhere.example does not resolve"),
    ("tcp://nowhere.example:2375", "error during connect: dial tcp: lookup nowhere.example: Temporary failure in name "
     "resolution", "the name nowhere.example does not resolve"),
    ("ssh://me@there", "error during connect: command [ssh ...] has exited with exit status 255\nstderr=ssh: Host key "
     "verification failed.", "does not answer: stderr=ssh: Host key verification failed"),
]  # fmt: skip


@pytest.mark.parametrize(("host", "line", "sentence"), NO_DAEMON)
def test_a_daemon_that_cannot_be_asked(tmp_path: Path, host: str, line: str, sentence: str) -> None:
    folder = docker(tmp_path / "bin", answer=f"""echo '{{"Server":null}}'; echo '{line}' >&2; exit 1""")
    with pytest.raises(DockerError) as failed:
        found(folder, DOCKER_HOST=host).check()
    assert re.search(sentence, str(failed.value)), failed.value
    assert host in str(failed.value) and "--engine process" in str(failed.value)
    assert "\n" not in str(failed.value)


@pytest.mark.parametrize("host", ["ssh://me@there", "tcp://10.0.0.7:2375"])
def test_a_daemon_of_another_machine_cannot_reach_the_registry(tmp_path: Path, host: str) -> None:
    with pytest.raises(DockerError, match=f"{host} is reached over a network.*loopback"):
        found(docker(tmp_path / "bin"), DOCKER_HOST=host).check()


@pytest.mark.parametrize("host", ["unix:///x.sock", "tcp://127.0.0.1:2375", "npipe:////./pipe/docker_engine"])
def test_a_daemon_of_this_machine_is_taken(tmp_path: Path, host: str) -> None:
    assert found(docker(tmp_path / "bin"), DOCKER_HOST=host).check().server == "26.1.5"


def test_an_old_daemon_is_refused(tmp_path: Path) -> None:
    answer = """echo '{"Client":{"Version":"26.1.5"},"Server":{"Version":"19.03.1","Arch":"amd64"}}'"""
    with pytest.raises(DockerError, match="daemon is 19.03.1; at least 20.10"):
        found(docker(tmp_path / "bin", answer=answer)).check()


def test_a_daemon_that_hangs_is_given_up_and_nothing_of_it_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ASK_SECONDS", 0.5)
    note = tmp_path / "pid"
    folder = docker(tmp_path / "bin", answer=f"echo $$ > {note}; exec /bin/sleep 600")
    with pytest.raises(DockerError, match=r"did not answer within 0\.5 s"):
        found(folder).check()
    with pytest.raises(ProcessLookupError):
        os.kill(int(note.read_text()), 0)


def test_the_context_of_the_person_names_the_daemon_unless_docker_host_does(tmp_path: Path) -> None:
    folder = docker(tmp_path / "bin")
    assert found(folder).host == "unix:///of/the/context.sock"
    assert found(folder, DOCKER_HOST="unix:///mine.sock").host == "unix:///mine.sock"


def test_a_failed_command_ends_in_its_last_lines(tmp_path: Path) -> None:
    rest = "echo broken >&2; for n in $(/usr/bin/seq 100); do echo line $n; done; exit 7"
    seen: list[str] = []
    with pytest.raises(CommandFailed) as failed:
        found(docker(tmp_path / "bin", rest=rest)).run("build", on_line=seen.append)
    assert failed.value.code == 7
    assert failed.value.lines[-1] == "broken", "the reason is on standard error, whatever came when"
    assert len(failed.value.lines) == module.LAST_LINES
    assert len(seen) == 101


def test_a_login_is_neither_in_the_process_list_nor_left_on_disk(tmp_path: Path) -> None:
    rest = 'echo "$*"; echo "$DOCKER_HOST"; echo "$DOCKER_CONFIG"; /bin/cat "$DOCKER_CONFIG/config.json"; exit 0'
    client = found(docker(tmp_path / "bin", rest=rest), DOCKER_CONTEXT="mine")
    said = client.run("push", "a", login=Login("127.0.0.1:5", "AWS", "s3cret")).splitlines()
    assert said[0] == "push a"
    assert said[1] == "unix:///of/the/context.sock"  # which a configuration of its own does not know
    assert "QVdTOnMzY3JldA==" in said[3]
    assert not Path(said[2]).exists()
