"""pulumi-docker's Image over the protocol, with the real image store and the real registry API."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

from localcloud.images.realise import VenvRealiser
from localcloud.images.store import ImageNotFound, ImageStore
from localcloud.plugins import Plugins
from localcloud.plugins.values import UNKNOWN, Props
from localcloud.server import Server
from tests.localcloud.plugins_support import Made, Provider

_accounts = itertools.count(340_000_000_000)
IMAGE = "urn:pulumi:dev::proj::docker:index/image:Image::image"
REPOSITORY = "urn:pulumi:dev::proj::aws:ecr/repository:Repository::repository"


@dataclass
class Workshop:
    """A build context, and the two providers of a session."""

    folder: Path
    images: ImageStore
    server: Server
    aws: Provider
    docker: Provider

    def declared(self, **more: object) -> Props:
        host = f"{self.server.account}.dkr.ecr.eu-west-1.localhost:4599"
        return {
            "imageName": f"{host}/app:one",
            "build": {"context": "context", "platform": "linux/amd64"},
            "registry": {"server": host, "username": "AWS", "password": "secret"},
            **more,
        }


@pytest.fixture
def workshop(tmp_path: Path) -> Iterator[Workshop]:
    context = tmp_path / "program" / "context"
    context.mkdir(parents=True)
    (context / "Dockerfile").write_text('FROM scratch\nARG WHO=me\nLABEL who=$WHO\nCOPY app /app\nCMD ["/app/run"]\n')
    (context / "app").mkdir()
    (context / "app" / "run").write_text("#!/bin/sh\necho one\n")
    server = Server(str(next(_accounts)), "eu-west-1", "http://127.0.0.1:4599")
    images = ImageStore(tmp_path / "home", VenvRealiser(tmp_path / "cache", Path("uv")))
    plugins = Plugins(server, images, tmp_path / "home")
    aws, docker = Provider(plugins), Provider(plugins, "docker", cwd=tmp_path / "program")
    aws.create(
        REPOSITORY, aws.checked(REPOSITORY, {"name": "app", "imageTagMutability": "IMMUTABLE", "forceDelete": True})
    )
    yield Workshop(context, images, server, aws, docker)
    aws.close()
    docker.close()
    plugins.close()
    server.close()


def make(workshop: Workshop) -> Made:
    return workshop.docker.create(IMAGE, workshop.docker.checked(IMAGE, workshop.declared()))


def test_an_image_is_built_named_and_pushed(workshop: Workshop) -> None:
    foreseen = workshop.docker.create(IMAGE, workshop.docker.checked(IMAGE, workshop.declared()), preview=True)
    assert foreseen.outputs["repoDigest"] is UNKNOWN and foreseen.outputs["context"] == "context"
    made = make(workshop)
    host = workshop.declared()["registry"]["server"]
    assert made.outputs["registryServer"] == host and made.outputs["dockerfile"] == "context/Dockerfile"
    assert made.outputs["baseImageName"] == made.outputs["imageName"] == f"{host}/app:one"
    repository, _, digest = made.outputs["repoDigest"].partition("@")
    assert repository == f"{host}/app"
    assert workshop.images.resolve(made.outputs["repoDigest"]) == workshop.images.resolve(f"{host}/app:one")
    details = workshop.server.client("ecr").describe_images(repositoryName="app")["imageDetails"]
    assert [(image["imageDigest"], image["imageTags"]) for image in details] == [(digest, ["one"])]


def test_only_what_is_in_the_image_is_a_change(workshop: Workshop) -> None:
    made, docker = make(workshop), workshop.docker
    assert not docker.diff(IMAGE, made, docker.checked(IMAGE, workshop.declared(), made.inputs)).diffs

    renewed = {**workshop.declared()["registry"], "password": "other"}
    wanted = docker.checked(IMAGE, workshop.declared(registry=renewed, buildOnPreview=True), made.inputs)
    assert not docker.diff(IMAGE, made, wanted).diffs

    (workshop.folder / ".dockerignore").write_text("notes\n.dockerignore\n")
    (workshop.folder / "notes").write_text("not in the image")
    assert not docker.diff(IMAGE, made, docker.checked(IMAGE, workshop.declared(), made.inputs)).diffs

    (workshop.folder / "app" / "run").chmod(0o755)
    assert list(docker.diff(IMAGE, made, docker.checked(IMAGE, workshop.declared(), made.inputs)).diffs) == ["build"]


def test_a_change_is_built_in_place(workshop: Workshop) -> None:
    made, docker = make(workshop), workshop.docker
    (workshop.folder / "app" / "run").write_text("#!/bin/sh\necho two\n")
    declared = workshop.declared(imageName=made.outputs["imageName"].replace(":one", ":two"))
    wanted = docker.checked(IMAGE, declared, made.inputs)
    found = docker.diff(IMAGE, made, wanted)
    assert set(found.diffs) == {"imageName", "build"} and not found.replaces
    assert docker.update(IMAGE, made, wanted, preview=True).outputs["repoDigest"] is UNKNOWN
    changed = docker.update(IMAGE, made, wanted)
    assert changed.outputs["repoDigest"] != made.outputs["repoDigest"]
    assert docker.update(IMAGE, made, wanted).outputs == changed.outputs, "may be repeated"
    read = docker.read(IMAGE, changed)
    assert read is not None and read.inputs == wanted


def test_a_tag_that_may_not_move_stays(workshop: Workshop) -> None:
    made = make(workshop)
    (workshop.folder / "app" / "run").write_text("other")
    wanted = workshop.docker.checked(IMAGE, workshop.declared(), made.inputs)
    with pytest.raises(grpc.RpcError, match="pushing .*/app:one: .*ImageTagAlreadyExistsException|ImageAlreadyExists"):
        workshop.docker.update(IMAGE, made, wanted)


def test_the_image_goes_with_its_repository(workshop: Workshop) -> None:
    made = make(workshop)
    workshop.docker.delete(IMAGE, made)
    assert workshop.images.resolve(made.outputs["repoDigest"])
    workshop.aws.delete(REPOSITORY, Made("app", {}, {"name": "app", "forceDelete": True}))
    with pytest.raises(ImageNotFound):
        workshop.images.resolve(made.outputs["repoDigest"])
    assert workshop.docker.read(IMAGE, made) is None


@pytest.mark.parametrize(
    ("more", "dockerfile", "words"),
    [
        ({}, "FROM scratch\nCOPY absent /x\n", "building .* from .*absent"),
        ({"imageName": "docker.io/someone/app:one"}, None, "pushes only to its own registry"),
        ({"imageName": "app"}, None, "must be <registry>/<repository>:<tag>"),
    ],
)
def test_why_it_cannot_be_built_is_told(workshop: Workshop, more: Props, dockerfile: str | None, words: str) -> None:
    if dockerfile:
        (workshop.folder / "Dockerfile").write_text(dockerfile)
    inputs = workshop.docker.checked(IMAGE, workshop.declared(**more))
    with pytest.raises(grpc.RpcError, match=words):
        workshop.docker.create(IMAGE, inputs)


def test_a_context_that_is_not_there_is_told_before_anything_is_done(workshop: Workshop) -> None:
    failures = workshop.docker.check(IMAGE, workshop.declared(build={"context": "absent"}))[1]
    assert "the build context" in "".join(failures.values())


def test_build_arguments_are_passed_on(workshop: Workshop) -> None:
    made = make(workshop)
    other = workshop.declared(
        build={"context": "context", "args": {"WHO": "you"}}, imageName=made.outputs["imageName"] + "2"
    )
    wanted = workshop.docker.checked(IMAGE, other, made.inputs)
    assert workshop.docker.update(IMAGE, made, wanted).outputs["repoDigest"] != made.outputs["repoDigest"]
