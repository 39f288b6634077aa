"""pulumi-docker's Image over the protocol, with the real image store and the real registry API."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest

from localcloud.docker.images import DockerImages
from localcloud.iam.guard import Guard
from localcloud.images.realise import VenvRealiser
from localcloud.images.store import ImageNotFound, ImageStore
from localcloud.plugins import Plugins
from localcloud.plugins.values import UNKNOWN, Props
from localcloud.registry_logins import Logins
from localcloud.server import Server
from tests.localcloud.plugins_support import Made, Provider, policy

_accounts = itertools.count(340_000_000_000)
IMAGE = "urn:pulumi:dev::proj::docker:index/image:Image::image"
REPOSITORY = "urn:pulumi:dev::proj::aws:ecr/repository:Repository::repository"


@dataclass
class Workshop:
    """A build context, and the two providers of a session."""

    folder: Path
    images: ImageStore | DockerImages
    server: Server
    plugins: Plugins
    aws: Provider
    docker: Provider

    @property
    def host(self) -> str:
        return host_of(self.server)

    def declared(self, **more: object) -> Props:
        return {
            "imageName": f"{self.host}/app:one",
            "build": {"context": "context", "platform": "linux/amd64"},
            **more,
        }

    @contextmanager
    def shell(self, environment: Mapping[str, str]) -> Iterator[Provider]:
        """pulumi-docker of an engine that was started with these variables."""
        provider = Provider(self.plugins, "docker", cwd=self.folder.parent, environment=environment)
        try:
            yield provider
        finally:
            provider.close()


def host_of(server: Server) -> str:
    return f"{server.account}.dkr.ecr.eu-west-1.localhost:4599"


def token(server: Server, principal: str = "root") -> str:
    """What GetAuthorizationToken answers: user and password in base64, as Docker's configuration has them."""
    answer = server.client("ecr", principal=principal).get_authorization_token()["authorizationData"][0]
    assert answer["proxyEndpoint"] == f"http://{host_of(server)}"
    assert timedelta(hours=11) < answer["expiresAt"] - datetime.now(UTC) <= timedelta(hours=12)
    return str(answer["authorizationToken"])


def auths(server: Server, principal: str = "root") -> str:
    return json.dumps({"auths": {host_of(server): {"auth": token(server, principal)}}})


@pytest.fixture(params=["process", "docker"])
def workshop(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Workshop]:
    """With each of the two places that build and keep images."""
    context = tmp_path / "program" / "context"
    context.mkdir(parents=True)
    (context / "Dockerfile").write_text('FROM scratch\nARG WHO=me\nLABEL who=$WHO\nCOPY app /app\nCMD ["/app/run"]\n')
    (context / "app").mkdir()
    (context / "app" / "run").write_text("#!/bin/sh\necho one\n")
    server = Server(str(next(_accounts)), "eu-west-1", "http://127.0.0.1:4599")
    images: ImageStore | DockerImages = ImageStore(tmp_path / "home", VenvRealiser(tmp_path / "cache", Path("uv")))
    if request.param == "docker":
        images = DockerImages(tmp_path / "docker", request.getfixturevalue("docker_client"), {})
    plugins = Plugins(server, images, tmp_path / "home")
    logged_in = {"DOCKER_AUTH_CONFIG": auths(server)}
    aws, docker = Provider(plugins), Provider(plugins, "docker", cwd=tmp_path / "program", environment=logged_in)
    aws.create(
        REPOSITORY, aws.checked(REPOSITORY, {"name": "app", "imageTagMutability": "IMMUTABLE", "forceDelete": True})
    )
    yield Workshop(context, images, server, plugins, aws, docker)
    aws.close()
    docker.close()
    plugins.close()
    server.close()
    if isinstance(images, DockerImages):
        images.forget()
        images.close()


def make(workshop: Workshop) -> Made:
    return workshop.docker.create(IMAGE, workshop.docker.checked(IMAGE, workshop.declared()))


def test_an_image_is_built_named_and_pushed(workshop: Workshop) -> None:
    foreseen = workshop.docker.create(IMAGE, workshop.docker.checked(IMAGE, workshop.declared()), preview=True)
    assert foreseen.outputs["repoDigest"] is UNKNOWN and foreseen.outputs["context"] == "context"
    made = make(workshop)
    host = workshop.host
    assert made.outputs["registryServer"] == "" and made.outputs["dockerfile"] == "context/Dockerfile"
    assert made.outputs["baseImageName"] == made.outputs["imageName"] == f"{host}/app:one"
    repository, _, digest = made.outputs["repoDigest"].partition("@")
    assert repository == f"{host}/app"
    assert workshop.images.resolve(made.outputs["repoDigest"]) == workshop.images.resolve(f"{host}/app:one")
    details = workshop.server.client("ecr").describe_images(repositoryName="app")["imageDetails"]
    assert [(image["imageDigest"], image["imageTags"]) for image in details] == [(digest, ["one"])]


def test_only_what_is_in_the_image_is_a_change(workshop: Workshop) -> None:
    made, docker = make(workshop), workshop.docker
    assert not docker.diff(IMAGE, made, docker.checked(IMAGE, workshop.declared(), made.inputs)).diffs

    wanted = docker.checked(IMAGE, workshop.declared(buildOnPreview=True), made.inputs)
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
    read = docker.read(IMAGE, changed)
    assert read is not None and read.inputs == wanted


@pytest.mark.parametrize("content", ["other", "#!/bin/sh\necho one\n"], ids=["another image", "the same image"])
def test_a_tag_that_may_not_move_is_written_once(workshop: Workshop, content: str) -> None:
    made = make(workshop)
    (workshop.folder / "app" / "run").write_text(content)
    wanted = workshop.docker.checked(IMAGE, workshop.declared(), made.inputs)
    words = "pushing .*/app:one: .*ImageTagAlreadyExistsException.*cannot be overwritten because the tag is immutable"
    with pytest.raises(grpc.RpcError, match=words):
        workshop.docker.update(IMAGE, made, wanted)
    assert workshop.images.resolve(f"{workshop.host}/app:one") == workshop.images.resolve(made.outputs["repoDigest"])


def test_a_tag_that_may_move_is_written_again(workshop: Workshop) -> None:
    made = make(workshop)
    workshop.server.client("ecr").put_image_tag_mutability(repositoryName="app", imageTagMutability="MUTABLE")
    wanted = workshop.docker.checked(IMAGE, workshop.declared(), made.inputs)
    assert workshop.docker.update(IMAGE, made, wanted).outputs == made.outputs
    (workshop.folder / "app" / "run").write_text("other")
    changed = workshop.docker.update(IMAGE, made, workshop.docker.checked(IMAGE, workshop.declared(), made.inputs))
    assert changed.outputs["repoDigest"] != made.outputs["repoDigest"]


# ── the login ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_without_a_login_nothing_is_pushed(workshop: Workshop) -> None:
    with (
        workshop.shell({}) as docker,
        pytest.raises(grpc.RpcError, match=f"no basic auth credentials .Docker has no login for {workshop.host}"),
    ):
        docker.create(IMAGE, docker.checked(IMAGE, workshop.declared()))
    assert workshop.server.client("ecr").describe_images(repositoryName="app")["imageDetails"] == []


def in_a_file(folder: Path, config: Mapping[str, Any]) -> dict[str, str]:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    return {"DOCKER_CONFIG": str(folder)}


@pytest.mark.parametrize("way", ["variable", "file", "home", "helper", "store"])
def test_a_login_comes_from_dockers_configuration(workshop: Workshop, tmp_path: Path, way: str) -> None:
    server, host = workshop.server, workshop.host
    secret = base64.b64decode(token(server)).decode().partition(":")[2]
    helper = tmp_path / "docker-credential-tried"
    answer = json.dumps({"ServerURL": host, "Username": "AWS", "Secret": secret})
    helper.write_text(f"#!/bin/sh\nread server\n[ \"$1 $server\" = 'get {host}' ] && echo '{answer}'\n")
    helper.chmod(0o755)
    path = {"PATH": f"{tmp_path}{os.pathsep}{os.defpath}"}
    entries = json.loads(auths(server))
    environment = {
        "variable": {"DOCKER_AUTH_CONFIG": json.dumps(entries)},
        "file": in_a_file(tmp_path / "config", entries),
        "home": {"HOME": str(tmp_path / "person")},
        "helper": {**path, **in_a_file(tmp_path / "helped", {"credHelpers": {host: "tried"}})},
        "store": {**path, **in_a_file(tmp_path / "stored", {"credsStore": "tried", "auths": {host: {}}})},
    }[way]
    (tmp_path / "person").mkdir()
    in_a_file(tmp_path / "person" / ".docker", entries)
    with workshop.shell(environment) as docker:
        assert docker.create(IMAGE, docker.checked(IMAGE, workshop.declared())).outputs["repoDigest"]


def test_a_login_is_worth_what_its_owner_may_do(workshop: Workshop) -> None:
    """As with ECR: the role that previews may ask for a login, and push nothing with it."""
    server = workshop.server
    server.guard = Guard()
    trust = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    server.client("iam").create_role(RoleName="preview", AssumeRolePolicyDocument=policy(trust))
    asking = {"Effect": "Allow", "Action": ["ecr:GetAuthorizationToken", "ecr:DescribeImages"], "Resource": "*"}
    server.client("iam").put_role_policy(RoleName="preview", PolicyName="look", PolicyDocument=policy(asking))
    preview = f"arn:aws:sts::{server.account}:assumed-role/preview/pull-request"
    with (
        workshop.shell({"DOCKER_AUTH_CONFIG": auths(server, preview)}) as docker,
        pytest.raises(grpc.RpcError, match=r"AccessDenied.*preview/pull-request is not authorized .*ecr:PutImage"),
    ):
        docker.create(IMAGE, docker.checked(IMAGE, workshop.declared()))


@pytest.mark.parametrize(
    ("login", "words"),
    [
        (lambda server: ("AWS", server.logins.issue("root")[0] + "0"), "denied: Not Authorized"),
        (lambda server: ("me", server.logins.issue("root")[0]), "denied: Not Authorized"),
        (lambda server: ("AWS", "123456789012-auth-token"), "denied: Not Authorized"),
        (lambda server: ("AWS", Logins(b"another cloud's", server.account).issue("root")[0]), "denied: Not Authorized"),
        (lambda server: ("AWS", expired(server)), "denied: Your authorization token has expired. Reauthenticate"),
    ],
    ids=["changed", "another user", "guessed", "another cloud's", "of yesterday"],
)
def test_what_is_no_login_is_denied(workshop: Workshop, login: Callable[[Server], tuple[str, str]], words: str) -> None:
    auth = base64.b64encode(":".join(login(workshop.server)).encode()).decode()
    config = json.dumps({"auths": {workshop.host: {"auth": auth}}})
    with workshop.shell({"DOCKER_AUTH_CONFIG": config}) as docker, pytest.raises(grpc.RpcError, match=words) as refused:
        docker.create(IMAGE, docker.checked(IMAGE, workshop.declared()))
    assert auth not in str(refused.value) and login(workshop.server)[1] not in str(refused.value)


def expired(server: Server) -> str:
    yesterday = Logins(server.logins._key, server.account, lambda: datetime.now(UTC) - timedelta(days=1))
    return yesterday.issue("root")[0]


def test_credentials_among_the_inputs_are_no_change_and_taking_them_out_is_one(workshop: Workshop) -> None:
    """As with pulumi-docker (provider.go, diffUpdates): a program that drops them must not keep the image."""
    docker, secret = workshop.docker, workshop.server.logins.issue("root")[0]
    with_them = workshop.declared(registry={"server": workshop.host, "username": "AWS", "password": secret})
    with workshop.shell({}) as alone:
        made = alone.create(IMAGE, alone.checked(IMAGE, with_them))
    assert made.outputs["registryServer"] == workshop.host
    renewed = workshop.declared(registry={**with_them["registry"], "password": "other"})
    assert not docker.diff(IMAGE, made, docker.checked(IMAGE, renewed, made.inputs)).diffs
    without = docker.checked(IMAGE, workshop.declared(), made.inputs)
    assert list(docker.diff(IMAGE, made, without).diffs) == ["registry"]


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


@pytest.mark.parametrize("workshop", ["docker"], indirect=True)
def test_the_registry_has_the_manifest_that_docker_pushed(workshop: Workshop) -> None:
    digest = str(make(workshop).outputs["repoDigest"]).rpartition("@")[2]
    ecr = workshop.server.client("ecr")
    [image] = ecr.batch_get_image(repositoryName="app", imageIds=[{"imageTag": "one"}])["images"]
    assert (
        image["imageId"]["imageDigest"]
        == digest
        == f"sha256:{hashlib.sha256(image['imageManifest'].encode()).hexdigest()}"
    )
    assert len(json.loads(image["imageManifest"])["layers"]) == 1


def test_a_build_that_fails_names_nothing(workshop: Workshop) -> None:
    (workshop.folder / "Dockerfile").write_text("FROM scratch\nCOPY absent /absent\n")
    with pytest.raises(grpc.RpcError, match="absent"):
        make(workshop)
    assert workshop.server.client("ecr").describe_images(repositoryName="app")["imageDetails"] == []
    assert not workshop.images.has(f"{workshop.host}/app:one")
