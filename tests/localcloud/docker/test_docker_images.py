"""Images built by a real daemon and pushed to the local cloud's registry: digests, layers, secrets, what is left."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from harness import docker_daemon
from herd.infra.images.build_context import File, write
from herd.toolchain import machine
from localcloud.docker.client import DockerClient, DockerError
from localcloud.docker.images import DockerImages
from localcloud.images.dockerfile import ImageError
from localcloud.images.names import ImageNotFound

REPOSITORY = "123456789012.dkr.ecr.eu-west-1.localhost:4000/herd-dev-python"


@pytest.fixture
def images(tmp_path: Path, docker_client: DockerClient) -> Iterator[DockerImages]:
    made = DockerImages(tmp_path / "home", docker_client, {})
    yield made
    made.forget()
    made.close()


class Project:
    """A build context: a Dockerfile and its files."""

    def __init__(self, folder: Path, base: str, lines: str = "", **files: str) -> None:
        self.folder = folder
        folder.mkdir()
        self.write("Dockerfile", f"FROM {base}\n{lines}")
        for name, text in files.items():
            self.write(name, text)

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def build(self, images: DockerImages, **options: object) -> str:
        """Its digest; the image is then called REPOSITORY:v1."""
        made = images.build(self.folder, self.folder / "Dockerfile", lambda line: None, **options)  # type: ignore[arg-type]
        images.tag(f"{REPOSITORY}:v1", made.digest)
        return made.digest


@pytest.fixture
def project(tmp_path: Path, python_base: str) -> Project:
    lines = 'RUN echo packages > /packages\nCOPY code /code\nCMD ["cat", "/code", "/packages"]\n'
    return Project(tmp_path / "ingest-flights", python_base, lines, code="first\n")


def blobs(images: DockerImages) -> set[str]:
    return {path.name for path in (images._home / "blobs").iterdir()}


def test_what_is_pushed_is_run_by_the_digest_of_its_manifest(images: DockerImages, project: Project) -> None:
    digest = project.build(images)
    image = images.resolve(f"{REPOSITORY}@{digest}")
    assert images.resolve(f"{REPOSITORY}:v1") == image
    manifest = json.loads(image.manifest)
    assert {manifest["config"]["digest"].removeprefix("sha256:"), *blobs(images)} == blobs(images)
    assert images._client.run("run", "--rm", image.name).split() == ["first", "packages"]
    # What the daemon has lost, somebody having pruned it, comes back from the registry.
    images.forget()
    assert images._listed("{{.Repository}}:{{.Tag}}") == []
    images.make_ready(image)
    assert images._client.run("run", "--rm", image.name).split() == ["first", "packages"]


def test_a_change_of_code_pushes_the_layer_of_code_alone(images: DockerImages, project: Project) -> None:
    first = project.build(images)
    before = blobs(images)
    assert project.build(images) == first and blobs(images) == before
    project.write("code", "second\n")
    began = time.monotonic()
    second = project.build(images)
    took = time.monotonic() - began
    assert second != first
    new = [images._home / "blobs" / name for name in blobs(images) - before]
    assert len(new) == 3 and sum(path.stat().st_size for path in new) < 20_000  # layer, configuration, manifest
    assert took < 30
    assert images._client.run("run", "--rm", images.resolve(f"{REPOSITORY}:v1").name).split() == ["second", "packages"]


def test_a_change_that_leaves_size_alone_is_built(images: DockerImages, tmp_path: Path, python_base: str) -> None:
    """As Herd stages it: BuildKit takes a file of the same size and time for the one that it has."""
    said = []
    for word in ("one", "two"):
        files = {
            "Dockerfile": File(f'FROM {python_base}\nCOPY code /code\nCMD ["cat", "/code"]\n'.encode(), 0o644),
            "code": File(word.encode(), 0o644),
        }
        write(files, tmp_path / "staged")
        made = images.build(tmp_path / "staged", tmp_path / "staged/Dockerfile", lambda line: None)
        said.append(images._client.run("run", "--rm", made.name))
    assert said == ["one", "two"]


def test_no_secret_of_a_build_is_in_a_layer_its_history_or_the_process_list(
    tmp_path: Path, docker_client: DockerClient, python_base: str
) -> None:
    bundle = tmp_path / "bundle.crt"
    bundle.write_text("c4-canary")
    lines = (
        "ARG PIP_INDEX_URL\nRUN --mount=type=secret,id=ca,target=/etc/ssl/own.crt grep -q '^c4-' /etc/ssl/own.crt"
        ' && case "$PIP_INDEX_URL" in https://user:*@example.org/) ;; *) exit 1;; esac\n'
        f"FROM {python_base}\nCOPY --from=0 /etc/debian_version /it-ran\n"
    )
    environment = {"SSL_CERT_FILE": str(bundle), "PIP_INDEX_URL": "https://user:index-canary@example.org/"}
    images = DockerImages(tmp_path / "home", docker_client, environment)
    try:
        seen = []
        stop = threading.Event()

        def watch() -> None:
            while not stop.is_set():
                for path in Path("/proc").glob("[0-9]*/cmdline"):
                    try:
                        seen.append(path.read_bytes())
                    except OSError:
                        continue

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            Project(tmp_path / "job", python_base, lines).build(images)
        finally:
            stop.set()
            watcher.join()
        assert any(b"--iidfile" in line for line in seen) and any(b"push\0" in line for line in seen)
        name = images.resolve(f"{REPOSITORY}:v1").name
        said = docker_client.run("history", "--no-trunc", name) + docker_client.run("inspect", name)
        docker_client.run("save", "-o", str(tmp_path / "image.tar"), name)
        layers = []
        with tarfile.open(tmp_path / "image.tar") as outer:
            for member in outer:
                if member.isfile() and (part := outer.extractfile(member)):
                    layers.append(part.read())
        assert len(layers) > 2
        for canary in (b"c4-canary", b"index-canary", images.registry.login.password.encode()):
            assert canary not in said.encode()
            assert not any(canary in line for line in seen)
            assert not any(canary in layer for layer in layers)
    finally:
        images.forget()
        images.close()


def test_what_nothing_names_goes_from_registry_and_daemon_and_nothing_else_does(
    images: DockerImages, project: Project, python_base: str
) -> None:
    first = project.build(images)
    project.write("code", "second\n")
    second = project.build(images)
    images._client.run("tag", python_base, "somebody/elses:image")
    images.remove(f"{REPOSITORY}@{first}")
    assert not images.has(f"{REPOSITORY}@{first}") and images.has(f"{REPOSITORY}@{second}")
    assert [line for line in images._listed("{{.Repository}}:{{.Tag}} {{.Digest}}") if first in line] == []
    images.remove(REPOSITORY)
    assert blobs(images) == set()
    assert images._listed("{{.Repository}}:{{.Tag}}") == []
    assert "somebody/elses" in images._client.run("image", "ls", "--format", "{{.Repository}}")
    images._client.run("image", "rm", "somebody/elses:image")
    with pytest.raises(ImageNotFound):
        images.resolve(f"{REPOSITORY}:v1")


def test_an_image_that_a_container_runs_from_goes_when_it_has_ended(images: DockerImages, project: Project) -> None:
    digest = project.build(images)
    name = images.resolve(f"{REPOSITORY}:v1").name
    container = images._client.run("run", "-d", "--entrypoint", "sleep", name, "600").strip()
    images.remove(REPOSITORY)
    images._client.run("rm", "-f", container)
    images.close()
    assert [line for line in images._listed("{{.Repository}} {{.Digest}}") if digest in line] == []


def test_images_outlive_the_process_that_built_them(
    images: DockerImages, project: Project, docker_client: DockerClient
) -> None:
    digest = project.build(images)
    project.write("code", "second\n")
    unnamed = images.build(project.folder, project.folder / "Dockerfile", lambda line: None).digest
    images.close()
    again = DockerImages(images._home, docker_client, {})
    try:
        assert again.registry.port == images.registry.port
        assert again.resolve(f"{REPOSITORY}:v1").digest == digest
        # Who was killed before it had a name did not deploy it.
        assert again.registry.manifest(unnamed) is None
        again.forget()
        again.make_ready(again.resolve(f"{REPOSITORY}:v1"))
    finally:
        again.close()


PIP = "RUN pip install --break-system-packages --no-cache-dir --disable-pip-version-check --retries 1 "
FAULTS = {
    "a line that is no instruction": (
        "INSTALL curl\n",
        r"(?i)unknown instruction: INSTALL.*\n.*line of the Dockerfile",
    ),
    "a missing command": (
        "RUN frobnicate --all\n",
        r"RUN frobnicate --all: failed\n.*frobnicate: not found\n.*no program frobnicate",
    ),
    "a package that Debian lacks": (
        "RUN mkdir -p /var/lib/apt/lists /var/cache/apt/archives/partial && apt-get install -y libfrobnicate-dev\n",
        r"Unable to locate package libfrobnicate-dev\n(.*\n)*Debian has no package libfrobnicate-dev",
    ),
    "a lock that is out of step": (
        "COPY requirements.lock *.whl /\n" + PIP + "--no-index --find-links / --require-hashes -r /requirements.lock\n",
        r"(?i)hash(.*\n)*the lock file is out of step",
    ),
    "a package that no index has": (
        PIP + "--no-index --find-links / frobnicate\n",
        r"No matching distribution found for frobnicate\n(.*\n)*the package index has no frobnicate",
    ),
    "a repository that does not answer": (
        PIP + "--index-url http://127.0.0.1:9/simple frobnicate\n",
        r"(?i)refused(.*\n)*a package repository did not answer",
    ),
    "a repository whose name does not resolve": (
        PIP + "--index-url https://nowhere.invalid/simple frobnicate\n",
        r"(?i)(resol|not known)(.*\n)*a name did not resolve",
    ),
    "a file that is not in the context": ("COPY absent /\n", r"absent.*not found\n.*not in the build context"),
}


@pytest.mark.parametrize(("lines", "said"), FAULTS.values(), ids=FAULTS)
def test_a_build_that_fails_is_one_message_and_nothing_is_pushed(
    images: DockerImages, tmp_path: Path, python_base: str, lines: str, said: str
) -> None:
    project = Project(tmp_path / "job", python_base, lines)
    project.write("requirements.lock", f"frobnicate==1.0 --hash=sha256:{'0' * 64}\n")
    (project.folder / "frobnicate-1.0-py3-none-any.whl").write_bytes(b"another one than was locked")
    with pytest.raises(ImageError) as failed:
        project.build(images)
    message = str(failed.value)
    assert re.search(said, message), message
    assert "Traceback" not in message and len(message.splitlines()) <= 16
    assert blobs(images) == set() and images._listed("{{.ID}}") == []


def test_a_base_that_cannot_be_had(images: DockerImages, tmp_path: Path) -> None:
    project = Project(tmp_path / "job", "127.0.0.1:9/no/such:base")
    with pytest.raises(ImageError, match="the base image cannot be had|did not answer"):
        project.build(images)


def test_a_registry_that_dies_while_it_is_pushed_to_leaves_nothing_with_a_name(
    images: DockerImages, project: Project
) -> None:
    project.write(
        "Dockerfile", (project.folder / "Dockerfile").read_text() + "RUN head -c 200000000 /dev/urandom > /big\n"
    )
    began = threading.Event()

    def watch() -> None:
        uploads = images._home / "uploads"
        while not any(path.stat().st_size > 0 for path in uploads.iterdir()):
            time.sleep(0.01)
        began.set()
        images.registry.close()

    watcher = threading.Thread(target=watch)
    watcher.start()
    with pytest.raises(ImageError, match="registry at .* failed.*\\. Nothing of it has a name; run it again"):
        project.build(images)
    watcher.join()
    assert began.is_set()
    assert list((images._home / "manifests").iterdir()) == [] and blobs(images) == set()
    assert images._listed("{{.Repository}}:{{.Tag}}") == []


def test_a_build_that_is_killed_says_so_and_pushes_nothing(
    images: DockerImages, tmp_path: Path, python_base: str
) -> None:

    project = Project(tmp_path / "job", python_base, "RUN sleep 600\n")

    def kill() -> None:
        while True:
            for process in psutil.process_iter(["cmdline"]):
                line = process.info["cmdline"] or []
                if "--iidfile" in line and str(project.folder) in line:
                    process.kill()
                    return
            time.sleep(0.1)

    killer = threading.Timer(2, kill)
    killer.start()
    with pytest.raises(ImageError, match="the build was killed; run it again"):
        project.build(images)
    killer.join()
    assert blobs(images) == set()


def test_a_registry_without_room_refuses_and_says_how_much_there_is(
    tmp_path: Path, docker_client: DockerClient, project: Project
) -> None:
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("a small file system takes root's rights")
    home = tmp_path / "home"
    home.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(home)], check=True)
    try:
        images = DockerImages(home, docker_client, {})
        try:
            with pytest.raises(ImageError, match=r"No space left on device|GB free"):
                project.build(images)
            assert list((home / "manifests").iterdir()) == []
        finally:
            images.forget()
            images.close()
    finally:
        subprocess.run(["umount", str(home)], check=True)


def test_a_daemon_whose_disk_is_full_says_so_and_nothing_is_pushed(tmp_path: Path) -> None:
    with docker_daemon.running(tmp_path / "docker", machine.user_cache(), size_mb=40) as host:
        client = DockerClient.find({**os.environ, "DOCKER_HOST": host})
        images = DockerImages(tmp_path / "home", client, {})
        project = Project(tmp_path / "job", "scratch", "COPY big /big\n")
        (project.folder / "big").write_bytes(os.urandom(60 << 20))
        try:
            with pytest.raises(ImageError, match="the disk of Docker is full: .*make room and run it again"):
                project.build(images)
            assert blobs(images) == set()
        finally:
            images.close()


def test_what_is_there_is_known_without_asking_the_daemon(
    images: DockerImages, project: Project, tmp_path: Path
) -> None:
    digest = project.build(images)
    images.close()
    alone = DockerClient.find({**os.environ, "DOCKER_HOST": f"unix://{tmp_path}/none.sock"})
    again = DockerImages(images._home, alone, {})
    try:
        assert again.has(f"{REPOSITORY}:v1") and again.resolve(f"{REPOSITORY}@{digest}").digest == digest
    finally:
        again.close()


def test_without_a_daemon_a_build_says_what_to_do(
    tmp_path: Path, docker_client: DockerClient, project: Project
) -> None:
    alone = DockerClient.find({**os.environ, "DOCKER_HOST": f"unix://{tmp_path}/none.sock"})
    images = DockerImages(tmp_path / "home", alone, {})
    try:
        with pytest.raises(ImageError, match="does not answer: start it.*--engine process"):
            project.build(images)
        with pytest.raises(DockerError):
            alone.check()
    finally:
        images.close()
