"""What an image folder says about its system: the switches of `images/<name>/image.toml`, written into the Dockerfile.

Read with the same suspicion and answered in the same words as a workload's settings; what does not go together is
refused with the reason. What the switches mean is herd.infra.images.switches.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationError

from herd.infra.messages import Problem, did_you_mean, quoted, reword, show
from herd.infra.spec import files, values
from herd.infra.spec.strict import Strict

FILE = "image.toml"

MOST_PACKAGES = 200
# Debian Policy, 5.6.1. apt reads more into a word than a name: a sign at its end, a version, a processor, a pattern.
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]{0,98}[a-z0-9+]")

QUARTO = {"1.7": "1.7.32", "1.8": "1.8.27"}
"""Series -> the release that is taken; its archives' hashes are in herd.infra.images.switches."""
OLDEST_QUARTO = (1, 7)
"""Releases before it are older than Python 3.13 and R 4.5, which the images have."""

ODBC = {
    "mariadb": "odbc-mariadb",
    "postgresql": "odbc-postgresql",
    "sqlite": "libsqliteodbc",
    "sqlserver": "tdsodbc",
}
"""Database -> Debian's package with a driver."""

_ODBC_ELSEWHERE = {
    "databricks": "its driver has a licence to be accepted: download it in the Dockerfile, outside the marks",
    "mysql": "Debian has MariaDB's driver, which speaks to it: 'mariadb'",
    "oracle": "its driver has a licence to be accepted: download it in the Dockerfile, outside the marks",
    "redshift": "it speaks PostgreSQL's protocol: 'postgresql'",
    "snowflake": "its driver has a licence to be accepted: download it in the Dockerfile, outside the marks",
}

CUDA = {
    "12.6": "nvidia/cuda:12.6.3-cudnn-runtime-ubuntu24.04",
    "12.8": "nvidia/cuda:12.8.1-cudnn-runtime-ubuntu24.04",
}
"""Release of CUDA -> NVIDIA's image that its libraries are taken from."""


def _quarto(value: str) -> str:
    parts = value.split(".")
    if not all(part.isascii() and part.isdigit() and len(part) < 6 for part in parts) or not 2 <= len(parts) <= 3:
        raise ValueError('must be a version in quotes, like "1.7"')
    if tuple(map(int, parts[:2])) < OLDEST_QUARTO:
        raise ValueError(f"is older than the Python and R of the images; allowed: {', '.join(QUARTO)}")
    if value not in QUARTO and value not in QUARTO.values():
        raise ValueError(
            "is a release whose archives' hashes this Herd does not know, so that nothing could say whether the right "
            f"one was downloaded; allowed: {', '.join(sorted([*QUARTO, *QUARTO.values()]))}"
        )
    return value


def _apt(value: str) -> str:
    if re.fullmatch(r"[a-z0-9+.-]+[=/][\w:~+.-]+", value):
        raise ValueError(
            "names a version: Debian's archive keeps only the newest one, so it would build today and not next month; "
            "write the name alone"
        )
    if not _PACKAGE.fullmatch(value):
        raise ValueError("is not a name of a Debian package; allowed: a-z, 0-9 and +.-, like libgdal-dev")
    if value.startswith("python3-"):
        raise ValueError(
            "is for Debian's own Python, and workloads run with the image's; lock the package instead, in "
            "requirements.in or pyproject.toml"
        )
    return value


def _odbc(value: str) -> str:
    if value in _ODBC_ELSEWHERE:
        raise ValueError(f"is not in Debian: {_ODBC_ELSEWHERE[value]}")
    if value not in ODBC:
        raise ValueError(f"is no database with an ODBC driver in Debian{did_you_mean(value, ODBC)}")
    return value


def _gpu(value: str) -> str:
    if value not in CUDA:
        raise ValueError(f"is no release of CUDA that is known here; allowed: {', '.join(CUDA)}")
    return value


class ImageSettings(Strict):
    """The switches of one image folder. Each is off where it is not set."""

    apt: Annotated[
        tuple[Annotated[str, AfterValidator(_apt)], ...],
        Field(strict=False, max_length=MOST_PACKAGES),
        AfterValidator(values.unique),
    ] = Field(
        default=(),
        description="Debian packages, there while packages are installed and when workloads run",
        examples=['["libgdal-dev"]'],
    )
    compilers: bool = Field(
        default=False, description="compilers for C, C++ and Fortran, make, CMake and pkg-config; about 300 MB"
    )
    git: bool = Field(default=False, description="Git, also for packages that are installed from a repository")
    odbc: Annotated[
        tuple[Annotated[str, AfterValidator(_odbc)], ...],
        Field(strict=False, max_length=len(ODBC)),
        AfterValidator(values.unique),
    ] = Field(default=(), description=f"ODBC drivers from Debian: {', '.join(ODBC)}", examples=['["postgresql"]'])
    quarto: Annotated[str, AfterValidator(_quarto)] | None = Field(
        default=None, description=f"Quarto, a series or a release: {', '.join(QUARTO)}", examples=["1.7"]
    )
    tinytex: bool = Field(default=False, description="LaTeX for Quarto's PDF files; needs `quarto`")
    gpu: Annotated[str, AfterValidator(_gpu)] | None = Field(
        default=None,
        description=f"libraries of CUDA and cuDNN, a release: {', '.join(CUDA)}; for pools with GPUs, not for Arm",
        examples=["12.8"],
    )
    max_files_mb: Annotated[int, Field(ge=1, le=10_000)] = Field(
        default=250,
        description="MB of a workload's files, shared code and image folder that may go into an image; more is refused",
    )


def read(root: Path, image: str, problems: list[Problem]) -> ImageSettings:
    """The switches of an image folder; none where it has no image.toml. What is wrong goes to `problems`."""
    file = f"images/{image}/{FILE}"
    if not os.path.lexists(root / file):
        return ImageSettings()
    layer = files.read(root, file, problems)
    known = {key: value for key, value in layer.values.items() if key in ImageSettings.model_fields}
    for key in layer.values.keys() - known.keys():
        hint = did_you_mean(key, ImageSettings.model_fields)
        problems.append(layer.problem(key, f"unknown setting {quoted(key)}{hint}"))
    try:
        settings = ImageSettings.model_validate(known)
    except ValidationError as invalid:
        wrong = set()
        for error in invalid.errors(include_url=False):
            wrong.add(key := str(error["loc"][0]))
            problems.append(layer.problem(key, reword(error, ImageSettings, {})))
        settings = ImageSettings.model_validate({key: value for key, value in known.items() if key not in wrong})
        if "quarto" in wrong:
            return settings
    problems += [layer.problem(key, message) for key, message in _together(settings)]
    return settings


def _together(settings: ImageSettings) -> Iterator[tuple[str, str]]:
    """What does not go together: the setting to change, and why."""
    if settings.tinytex and not settings.quarto:
        yield "tinytex", f"tinytex = true needs Quarto, which installs it: quarto = {show(next(iter(QUARTO)))}"


def images(root: Path) -> list[str]:
    """The image folders of a project, whose names can be one, in order."""
    folder = root / "images"
    if not folder.is_dir():
        return []
    return sorted(
        entry.name for entry in os.scandir(folder) if values.FOLDER_NAME.fullmatch(entry.name) and entry.is_dir()
    )
