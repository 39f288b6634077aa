"""Images that Docker builds, kept in the daemon that runs them and in a registry of the local cloud.

    <home>/names.json     the account's names and the digests that they stand for
           blobs/ …       the registry (registry.py)

A build is BuildKit's, of the Dockerfile as it is; what comes out is pushed at once, because only a registry gives an
image the digest that a task definition names. In the daemon an image is called
`127.0.0.1:<port>/localcloud-<home>:<workload>-<id>`: by that name, and by nothing else, `forget` finds what to remove.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shutil
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from localcloud.docker import build_log
from localcloud.docker.client import CommandFailed, DockerClient, DockerError
from localcloud.docker.registry import Registry
from localcloud.images.dockerfile import ImageError
from localcloud.images.names import ImageNotFound, Names

log = logging.getLogger(__name__)

KEPT_LINES = 2000
"""Of a build's output, for its message."""

CA_SECRET = "ca"
CA_VARIABLES = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE")
"""Where whoever runs us says that a proxy's certificates are. A Dockerfile may mount them as the secret `ca`."""

PASSED_ON = (
    "PIP_INDEX_URL", "UV_DEFAULT_INDEX",
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
)  # fmt: skip
"""Build arguments that say where packages come from, not which: taken from the environment where they are set."""


@dataclass(frozen=True)
class DockerImage:
    """An image in the registry. `name` is what the daemon calls it."""

    digest: str
    manifest: str
    name: str


def sources(environment: Mapping[str, str]) -> list[str]:
    """Options of `docker build`, run in `environment`, that say where packages come from; no values of variables."""
    options = [option for name in _passed_on(environment) for option in ("--build-arg", name)]
    ca = _ca_of(environment)
    return [*options, *(["--secret", f"id={CA_SECRET},src={ca}"] if ca else [])]


def _ca_of(environment: Mapping[str, str]) -> str | None:
    return next((path for name in CA_VARIABLES if os.path.isfile(path := environment.get(name, ""))), None)


def _passed_on(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: environment[name] for name in PASSED_ON if environment.get(name)}


class DockerImages:
    """The images of one local cloud. Safe with several threads."""

    def __init__(self, home: Path, client: DockerClient, environment: Mapping[str, str] | None = None) -> None:
        self._home, self._client = home, client
        self._environment = os.environ if environment is None else environment
        self._names = Names(home)
        self.registry = Registry(home)
        self.repository = f"localcloud-{hashlib.sha256(str(home.absolute()).encode()).hexdigest()[:12]}"
        self._lock = threading.Lock()
        self._pushes = 0
        self._unnamed: set[str] = set()
        for digest in self.registry.digests():
            if not self._names.has(digest):
                self.registry.remove(digest)  # pushed by a process that was killed before it had a name
        self.registry.sweep()

    def build(
        self,
        context: Path,
        dockerfile: Path,
        on_progress: Callable[[str], None],
        build_args: Mapping[str, str] | None = None,
        target: str | None = None,
        platform: str | None = None,
        network: str | None = None,
    ) -> DockerImage:
        """Build and push. Raises `ImageError` with what went wrong and what to do; nothing has a name then."""
        try:
            architecture = self._client.check().architecture
            with tempfile.TemporaryDirectory(prefix="localcloud-build-") as folder:
                note = Path(folder) / "id"
                arguments = ["--file", str(dockerfile), "--iidfile", str(note)]
                # Values by the environment: one may hold a password, and a command line is for all to see.
                values = {**_passed_on(self._environment), **(build_args or {})}
                arguments += [option for name in build_args or {} for option in ("--build-arg", name)]
                arguments += sources({**self._environment, **values})
                if target:
                    arguments += ["--target", target]
                if network:
                    arguments += ["--network", network]
                if platform and platform.split("/")[1:2] != [architecture]:
                    arguments += ["--platform", platform]
                if self._client.has_buildx:
                    # Those would make a list of the image, with a digest that changes each time.
                    arguments += ["--provenance=false", "--sbom=false", "--load"]
                self._build([*arguments, str(context)], values, on_progress)
                identifier = note.read_text().strip()
            return self._push(context.name, identifier, on_progress)
        except DockerError as error:
            raise ImageError([str(error)]) from None
        except OSError as error:
            raise ImageError([f"{error.filename or context}: {error.strerror}"]) from None

    def tag(self, reference: str, digest: str) -> None:
        """Name a built image in the account; see `Images`."""
        if self.registry.manifest(digest) is None:
            raise ImageNotFound(digest)
        self._names.add(reference, digest)
        with self._lock:
            self._unnamed.discard(digest)

    def resolve(self, reference: str) -> DockerImage:
        """The image of a name. The daemon is not asked. Raises `ImageNotFound`."""
        digest = self._names.find(reference)
        manifest = self.registry.manifest(digest)
        if manifest is None:
            raise ImageNotFound(f"{reference}: its layers are gone; build it again")
        return DockerImage(digest, manifest, f"{self._place}@{digest}")

    def has(self, reference: str) -> bool:
        """Is there an image of this name, with all its layers?"""
        try:
            self.resolve(reference)
        except ImageNotFound:
            return False
        return True

    def make_ready(self, image: DockerImage) -> None:
        """See to it that the daemon has an image, which somebody may have removed. Raises `DockerError`."""
        try:
            self._client.run("image", "inspect", "--format", "{{.Id}}", image.name)
        except CommandFailed:
            self._client.run("pull", "--quiet", image.name, login=self.registry.login)

    def remove(self, reference: str) -> None:
        """Forget a repository, a tag or a digest; an image that nothing names any more goes, in the daemon too."""
        for digest in self._names.remove(reference):
            if not self._is_kept(digest):
                self.registry.remove(digest)
        self._tidy()
        self._sweep()

    def forget(self) -> None:
        """Remove from the daemon whatever has a name of this cloud. What its builds have cached stays, unnamed, and is
        Docker's own to prune.
        """
        for line in self._listed("{{.Repository}}:{{.Tag}} {{.ID}}"):
            name, _, identifier = line.partition(" ")
            self._remove_name(identifier if name.endswith(":<none>") else name)

    def close(self) -> None:
        """Stop the registry. The daemon keeps what has a name in the account; what a container held until now goes."""
        self._tidy()
        self.registry.close()

    @property
    def _place(self) -> str:
        return f"{self.registry.host}/{self.repository}"

    def _build(self, arguments: list[str], values: Mapping[str, str], on_progress: Callable[[str], None]) -> None:
        lines: deque[str] = deque(maxlen=KEPT_LINES)

        def note(line: str) -> None:
            lines.append(line)
            if step := re.match(r"#\d+ \[[^\]]*\d+/\d+\] (.*)", line):
                on_progress(step[1][:200])

        try:
            self._client.run("build", *arguments, on_line=note, environment=values)
        except CommandFailed as error:
            if error.code < 0:
                raise DockerError("the build was killed; run it again: nothing of it was pushed") from None
            raise DockerError(build_log.message(list(lines))) from None

    def _push(self, workload: str, identifier: str, on_progress: Callable[[str], None]) -> DockerImage:
        short = re.sub(r"[^\w.-]", "-", workload, flags=re.ASCII).strip(".-")[:80] or "image"
        tag = f"{short}-{identifier.removeprefix('sha256:')[:12]}"
        name = f"{self._place}:{tag}"
        on_progress(f"pushing {name}")
        with self._pushing():
            self._client.run("tag", identifier, name)
            try:
                self._client.run("push", name, login=self.registry.login, hopeless=self.registry.hopeless)
            except CommandFailed as error:
                self._remove_name(name)
                last = self.registry.trouble or (error.lines[-1] if error.lines else "it says nothing")
                raise DockerError(
                    f"pushing to the local cloud's registry at {self.registry.host} failed: {last}. Nothing of it has "
                    f"a name; run it again. Is there room at {self._home} "
                    f"({shutil.disk_usage(self._home).free / 1e9:.1f} GB free)?"
                ) from None
            digest = self.registry.pushed(self.repository, tag)
            manifest = self.registry.manifest(digest) if digest else None
            if digest is None or manifest is None:
                raise DockerError(f"Docker says that it has pushed {name}, and the local cloud's registry has it not")
            with self._lock:
                self._unnamed.add(digest)
        return DockerImage(digest, manifest, f"{self._place}@{digest}")

    def _is_kept(self, digest: str) -> bool:
        with self._lock:
            return digest in self._unnamed or self._names.has(digest)

    def _tidy(self) -> None:
        """Remove from the daemon what nothing in the account names. What a container runs from stays until later."""
        for line in self._listed("{{.Repository}}:{{.Tag}} {{.Digest}}"):
            name, _, digest = line.partition(" ")
            # Without a digest it is being pushed.
            if digest.startswith("sha256:") and not self._is_kept(digest):
                self._remove_name(f"{name.rpartition(':')[0]}@{digest}" if name.endswith(":<none>") else name)

    def _listed(self, form: str) -> list[str]:
        """Of this cloud's repository in the daemon, under whichever port it had; nothing where no daemon answers."""
        try:
            lines = self._client.run("image", "ls", "--no-trunc", "--digests", "--format", form).splitlines()
        except DockerError:
            return []
        return [line for line in dict.fromkeys(lines) if re.match(rf"127\.0\.0\.1:\d+/{self.repository}:", line)]

    def _remove_name(self, name: str) -> None:
        # In use by a container: it goes when that has been removed and `forget` is called again.
        with suppress(DockerError):
            self._client.run("image", "rm", name)

    @contextmanager
    def _pushing(self) -> Iterator[None]:
        with self._lock:
            if self._pushes == 0:
                self.registry.begin()
            self._pushes += 1
        try:
            yield
        finally:
            with self._lock:
                self._pushes -= 1
            self._sweep()

    def _sweep(self) -> None:
        with self._lock:
            if self._pushes == 0:
                self.registry.sweep()
