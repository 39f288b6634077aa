"""Base images for tests, made from Debian's packages: where no registry of images can be reached, packages can.

One is a tar file in the user's cache, named by the hash of its recipe, made once by mmdebstrap (two minutes and more)
and imported into a daemon in seconds.

    base = load(PYTHON, client, cache)     # "herd-test-base/python:3f2a…"
"""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from herd.toolchain import debian, machine
from herd.toolchain.machine import ToolMissing
from herd.toolchain.progress import Progress
from localcloud.docker.client import CommandFailed, DockerClient

TOOL = "mmdebstrap"

FORMAT = 1
"""Part of every recipe's hash: raise it when the same recipe makes something else."""

LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*")
"""Of every package; what programs read at run time is not among it."""

SAME_TIME = "946684800"

PATIENT = {"UV_HTTP_RETRIES": "10", "PIP_RETRIES": "10"}
"""What builds on these bases have beside: a package index that does not answer for a minute is no fault of ours."""


@dataclass(frozen=True)
class Recipe:
    """`links`: path -> what it points to. `keep`: of what is left out, paths that some program reads after all."""

    name: str
    packages: tuple[str, ...]
    suite: str = "trixie"
    links: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=lambda: {"LANG": "C.UTF-8"})
    keep: tuple[str, ...] = ()

    @property
    def hash(self) -> str:
        """Of all that it says; 12 hexadecimal digits."""
        whole = json.dumps([FORMAT, asdict(self), LEFT_OUT], sort_keys=True)
        return hashlib.sha256(whole.encode()).hexdigest()[:12]

    @property
    def reference(self) -> str:
        return f"herd-test-base/{self.name}:{self.hash}"


PYTHON = Recipe(
    "python",
    ("python3", "python3-venv", "python3-pip", "ca-certificates", "passwd"),
    links={"/usr/local/bin/python": "/usr/bin/python3", "/usr/local/bin/python3": "/usr/bin/python3"},
)
"""Stands in for python:3.13-slim-trixie, the base of images/python: the same Debian, the same Python."""


def load(recipe: Recipe, client: DockerClient, cache: Path) -> str:
    """The image's reference in the daemon, imported and before that made where necessary.

    Raises ToolMissing with what cannot be had.
    """
    try:
        client.run("image", "inspect", "--format", "{{.Id}}", recipe.reference)
    except CommandFailed:
        changes = [
            part
            for name, value in {**recipe.environment, **PATIENT}.items()
            for part in ("--change", f"ENV {name}={value}")
        ]
        client.run("import", *changes, "--change", 'CMD ["/bin/sh"]', str(tar(recipe, cache)), recipe.reference)
    return recipe.reference


def tar(recipe: Recipe, cache: Path) -> Path:
    """The root file system as a compressed tar file. Older ones of the same name are removed.

    Raises ToolMissing with what cannot be had.
    """
    folder = cache / "test-bases"
    wanted = folder / f"{recipe.name}-{recipe.hash}.tar.gz"
    with machine.exclusive(folder / f"{recipe.name}.lock", lambda: print(f"another process makes {wanted.name} …")):
        if not wanted.is_file():
            with tempfile.TemporaryDirectory(prefix="herd-base-", dir=folder) as draft:
                made = _make(recipe, Path(draft))
                made.replace(wanted)
            for old in folder.glob(f"{recipe.name}-*.tar.gz"):
                if old != wanted:
                    old.unlink(missing_ok=True)
    return wanted


def _make(recipe: Recipe, draft: Path) -> Path:
    if shutil.which(TOOL) is None:
        if not debian.can_install():
            raise ToolMissing(f"base images of tests are made by {TOOL}:\n    {debian.line([TOOL])}     (Debian)")
        debian.install([TOOL])
    # A folder rather than a tar file: links are made in it, and it is packed with fixed times.
    root, plain, packed = draft / "root", draft / "root.tar", draft / "packed.tar.gz"
    hooks = [f"""--customize-hook=mkdir -p "$1{Path(path).parent}" && ln -sfn {target} "$1{path}" """
             for path, target in recipe.links.items()]  # fmt: skip
    left_out = [f"--dpkgopt=path-exclude={path}" for path in LEFT_OUT]
    kept = [f"--dpkgopt=path-include={path}" for path in ("/usr/share/doc/*/copyright", *recipe.keep)]
    command = [
        *(TOOL, "--mode=root", "--variant=minbase", "--format=tar", "--quiet"),
        f"--include={','.join(recipe.packages)}",
        *left_out, *kept, *hooks, "--customize-hook=rm -rf \"$1\"/var/lib/apt/lists/* \"$1\"/var/cache/apt/*",
        recipe.suite, str(plain), *_sources(recipe.suite),
    ]  # fmt: skip
    root.mkdir()
    with Progress(f"making the base image {recipe.name} from Debian's packages") as progress:
        machine.run(["env", f"SOURCE_DATE_EPOCH={SAME_TIME}", f"TMPDIR={draft}", *command], on_line=progress.note)
        with plain.open("rb") as source, packed.open("wb") as sink, gzip.GzipFile(
            fileobj=sink, mode="wb", compresslevel=1, mtime=0
        ) as compressed:  # fmt: skip
            shutil.copyfileobj(source, compressed, 1 << 20)
    return packed


def _sources(suite: str) -> list[str]:
    """The mirrors of this machine, with that suite instead of their own."""
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(SITE)"], capture_output=True, text=True, check=False
    ).stdout.split()
    mirrors = [site for site in dict.fromkeys(listed) if "security" not in site and "debian" in site]
    if not mirrors:
        raise ToolMissing("apt has no mirror of Debian (apt-get indextargets names none)")
    return [f"deb {mirrors[0]} {suite} main"]
