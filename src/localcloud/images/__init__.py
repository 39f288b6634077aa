"""Images of a local cloud, and how they are made without Docker: a Dockerfile and its build context become a folder of
files, an environment and a command.

dockerfile.py reads the Dockerfile, context.py the folder it is built from, plan.py works out what the image would hold,
store.py keeps it by digest and name, realise.py makes the virtual environments that it needs. `localcloud.docker` has
the other implementation of `Images`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol


class BuiltImage(Protocol):
    """An image that is there. `digest` is that of `manifest`, as its registry says both."""

    @property
    def digest(self) -> str: ...
    @property
    def manifest(self) -> str: ...


class Images(Protocol):
    """What the rest of the local cloud needs of the place where images are kept, whoever builds them.

    References are as the account's registry spells them: `host/repository:tag`, `host/repository@sha256:…`.
    """

    def build(
        self,
        context: Path,
        dockerfile: Path,
        on_progress: Callable[[str], None],
        build_args: Mapping[str, str] | None = None,
        target: str | None = None,
        platform: str | None = None,
        network: str | None = None,
    ) -> BuiltImage:
        """The image of a Dockerfile, for a `platform` like linux/amd64; its RUN lines have `network`.

        Raises `dockerfile.ImageError` with all problems, in words for a person.
        """

    def tag(self, reference: str, digest: str) -> None:
        """Name a built image; with `repository@digest` no tag moves. Raises `store.ImageNotFound`."""

    def remove(self, reference: str) -> None:
        """Forget a repository, a tag or a digest, and what nothing names any more."""

    def has(self, reference: str) -> bool:
        """Is there an image of this name, with all that is needed to start it?"""

    def resolve(self, reference: str) -> BuiltImage:
        """The image of a name. Raises `store.ImageNotFound`."""
