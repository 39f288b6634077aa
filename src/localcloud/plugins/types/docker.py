"""pulumi-docker's Image: built from a folder by the local cloud's own image store, pushed to its own registry."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from localcloud.images import BuiltImage
from localcloud.images.context import Context, ContextError
from localcloud.images.dockerfile import ImageError
from localcloud.plugins.refusals import Refused
from localcloud.plugins.resource import Cloud, Resource, resource_type
from localcloud.plugins.values import UNKNOWN, Props
from localcloud.registry_logins import NoLogin

_DIGEST = "__contextDigest"
_REFERENCE = re.compile(r"(?P<host>[^/]+)/(?P<repository>[^:@]+)(:(?P<tag>[\w][\w.-]{0,127}))?")


@resource_type
class Image(Resource):
    """An image; its id is its name. A change of the context or of a build argument builds again, in place.

    The registry's credentials are never a change (they expire every twelve hours). Those in the inputs come first, then
    Docker's own configuration; without either a push is refused, as a registry refuses it.
    """

    token = "docker:index/image:Image"
    service = "ecr"
    regional = False
    table = """
        imageName !
        build object
            context
            dockerfile
            args map
            target
            platform
            builderVersion
            cacheFrom object
                images list
            network
            addHosts list
        buildOnPreview bool
        registry object
            server
            username
            password
        skipPush bool
        baseImageName ~
        context ~
        dockerfile ~
        platform ~
        registryServer ~
        repoDigest ~
    """
    recomputed = frozenset({"repoDigest"})

    def prepared(self, cloud: Cloud, olds: Props, inputs: Props) -> Props:
        context, dockerfile = self._paths(cloud, inputs)
        if context is None or dockerfile is None:
            return inputs
        return {**inputs, _DIGEST: context_digest(context, dockerfile)}

    def differences(self, old_inputs: Props, olds: Props, news: Props) -> list[str]:
        changed = [name for name in super().differences(old_inputs, olds, news) if name != "buildOnPreview"]
        if _registry(old_inputs) == _registry(news):
            changed = [name for name in changed if name != "registry"]
        if old_inputs.get(_DIGEST) != news.get(_DIGEST) and "build" not in changed:
            changed.append("build")
        return changed

    def derived(self, cloud: Cloud, props: Props) -> Props:
        name = props["imageName"]
        build = props.get("build") or {}
        context = build.get("context") or "."
        dockerfile = build.get("dockerfile") or (f"{context}/Dockerfile" if isinstance(context, str) else UNKNOWN)
        server = (props.get("registry") or {}).get("server") or ""
        platform = build.get("platform")
        return {
            "baseImageName": name, "context": context, "dockerfile": dockerfile, "registryServer": server,
            **({"platform": platform} if platform else {}),
        }  # fmt: skip

    def create(self, cloud: Cloud, inputs: Props) -> tuple[str, Props]:
        return inputs["imageName"], self._build(cloud, inputs)

    def update(self, cloud: Cloud, identifier: str, old: Props, new: Props, changed: set[str]) -> Props:
        return self._build(cloud, new)

    def read(self, cloud: Cloud, identifier: str, props: Props) -> Props | None:
        """What was pushed is still there, or the image is gone; the context itself is looked at in Check."""
        place = _REFERENCE.fullmatch(str(props.get("imageName", identifier)))
        if place is None or not props.get("repoDigest") or props.get("skipPush"):
            return {}
        digest = str(props["repoDigest"]).rpartition("@")[2]
        wanted = [{"imageDigest": digest}]
        client = cloud.server.client("ecr", _region(place["host"]))
        images = client.describe_images(repositoryName=place["repository"], imageIds=wanted)["imageDetails"]
        if not images or (cloud.images is not None and not cloud.images.has(str(props["repoDigest"]))):
            return None
        return {"repoDigest": props["repoDigest"]}

    def delete(self, cloud: Cloud, identifier: str, props: Props) -> None:
        """As with pulumi-docker: tags stay in the registry until their repository goes."""

    def _build(self, cloud: Cloud, inputs: Props) -> Props:
        if cloud.images is None:
            raise Refused("the local cloud has no image store")
        context, dockerfile = self._paths(cloud, inputs)
        assert context is not None and dockerfile is not None  # the engine builds from what is known only
        build = inputs.get("build") or {}
        arguments: dict[str, Any] = {}
        if build.get("args"):
            arguments["build_args"] = build["args"]
        for name in ("target", "platform", "network"):
            if build.get(name):
                arguments[name] = build[name]
        try:
            image = cloud.images.build(context, dockerfile, cloud.log, **arguments)
        except ImageError as error:
            raise Refused(f"building {self.token} {inputs['imageName']} from {context}: {error}") from None
        pushed = self._push(cloud, inputs, image)
        if sentence := cloud.notices.of_image(getattr(image, "not_exercised", ())):
            cloud.note(sentence)
        return {"repoDigest": pushed}

    def _push(self, cloud: Cloud, inputs: Props, image: BuiltImage) -> str:
        name, digest = inputs["imageName"], image.digest
        place = _REFERENCE.fullmatch(name)
        if place is None:
            raise Refused(f"{self.token}: imageName {name!r} must be <registry>/<repository>:<tag>")
        repository, tag = f"{place['host']}/{place['repository']}", place["tag"] or "latest"
        region = _region(place["host"]) or cloud.region
        assert cloud.images is not None
        # Before the registry has it: whoever finds the tag there after a kill must be able to start from it.
        cloud.images.tag(f"{repository}@{digest}", digest)
        if not inputs.get("skipPush"):
            if place["host"] != cloud.registry_host(region):
                raise Refused(
                    f"{self.token}: the local cloud pushes only to its own registry "
                    f"{cloud.registry_host(cloud.region)}, not to {place['host']}"
                )
            principal = self._principal(cloud, inputs, place["host"], name)
            try:
                cloud.server.client("ecr", region, principal).put_image(
                    repositoryName=place["repository"], imageManifest=image.manifest, imageTag=tag, imageDigest=digest
                )
            except ClientError as error:
                if error.response["Error"]["Code"] != "ImageAlreadyExistsException" or digest not in str(error):
                    raise Refused(f"pushing {name}: {error}") from error
        cloud.images.tag(f"{repository}:{tag}", digest)
        return f"{repository}@{digest}"

    def _principal(self, cloud: Cloud, inputs: Props, host: str, name: str) -> str:
        """Whose login it is: what is pushed is judged by what they may do."""
        registry = inputs.get("registry") or {}
        user, password = registry.get("username"), registry.get("password")
        login = (str(user), str(password)) if user and password else cloud.docker.login(host)
        if login is None:
            raise Refused(f"pushing {name}: no basic auth credentials (Docker has no login for {host})")
        try:
            return cloud.server.logins.principal(*login)
        except NoLogin as error:
            raise Refused(f"pushing {name}: {error}") from None

    def _paths(self, cloud: Cloud, inputs: Props) -> tuple[Path | None, Path | None]:
        """Context and Dockerfile, relative to the program's folder; None when not known yet."""
        build = inputs.get("build") or {}
        if not isinstance(build, dict) or not isinstance(build.get("context") or ".", str):
            return None, None
        context = Path(cloud.directory) / (build.get("context") or ".")
        dockerfile = build.get("dockerfile")
        if dockerfile is UNKNOWN:
            return None, None
        return context, Path(cloud.directory) / dockerfile if dockerfile else context / "Dockerfile"


def _registry(inputs: Props) -> Any:
    """What of the registry matters: where it is, not who asks."""
    return (inputs.get("registry") or {}).get("server")


def _region(host: str) -> str | None:
    match = re.fullmatch(r"\d{12}\.dkr\.ecr\.([a-z0-9-]+)\..+", host)
    return match[1] if match else None


def context_digest(context: Path, dockerfile: Path) -> str:
    """SHA-256 over the Dockerfile and everything in the context that is not ignored: names, modes, links, contents."""
    try:
        seen = Context(context, dockerfile)
        digest = hashlib.sha256(dockerfile.read_bytes())
        for item in seen.walk(""):
            kind = "folder" if item.is_folder else item.link if item.link is not None else f"{item.executable}"
            content = "" if item.is_folder or item.link is not None else seen.digest(item)
            digest.update(f"{item.path}\0{kind}\0{content}\n".encode())
    except (ContextError, OSError) as error:
        raise Refused(f"the build context cannot be read: {error}") from error
    return f"sha256:{digest.hexdigest()}"
