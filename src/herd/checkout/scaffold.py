"""New workloads from templates: a folder that works at once and teaches what else can be said."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from string import Template

from herd.checkout import project_files, review_dates
from herd.checkout.find import Checkout
from herd.errors import WrongInput
from herd.packages import renv
from herd.runner.contract.kinds import FOLDERS, PAGES, SERVICES, Kind

TEMPLATES = Path(__file__).with_name("templates")
SETTINGS = "workload.toml"
SUBFOLDERS = {"python": "", "r": "r"}
"""Language -> where its templates lie."""


def create(
    checkout: Checkout,
    kind: Kind,
    name: str,
    language: str | None = None,
    program: Mapping[str, bytes] | None = None,
    settings: str = "",
) -> list[Path]:
    """Write the files of a new workload; their paths from the root. Raises WrongInput, before anything is written.

    `language`: None for that of the project's own image. An image for it is written too where the project has none.
    `program`: its files in place of the example's, by path in its folder, whose settings are then `settings`.
    """
    if "--" in name:
        raise WrongInput(f"{name!r} cannot be a name of a workload: single hyphens only")
    for other in FOLDERS.values():
        if (checkout.root / other / name).exists():
            raise WrongInput(f"{other}/{name} is already there; names are unique over all kinds")
    own = _default_image(checkout)
    language = language or _language_of(checkout, own)
    image = own if own and _language_of(checkout, own) == language else _image(checkout, language)
    folder = Path(FOLDERS[kind], name)
    files = _image_files(checkout, image, language)
    if program is not None:
        text = _with_image(settings, image) if image != own else settings
        files |= {folder / path: content for path, content in program.items()} | {folder / SETTINGS: text.encode()}
    for template in sorted(_example(kind, language).glob("*.txt")) if program is None else ():
        text = Template(template.read_text("utf-8")).substitute(name=name, review_by=review_dates.new_date())
        if template.name == f"{SETTINGS}.txt" and image != own:
            text = _with_image(text, image)
        files[folder / template.name.removesuffix(".txt")] = text.encode()
    for path, content in files.items():
        (checkout.root / path).parent.mkdir(parents=True, exist_ok=True)
        (checkout.root / path).write_bytes(content)
    return list(files)


def _example(kind: Kind, language: str) -> Path:
    folder = TEMPLATES / SUBFOLDERS[language]
    if (folder / kind).is_dir():
        return folder / kind
    # A kind without an example of its own begins with that of its like.
    return folder / ("api" if kind in SERVICES else "report" if kind in PAGES else "job")


def _default_image(checkout: Checkout) -> str:
    """What defaults.toml says; "" where it says nothing that can be read."""
    try:
        image = tomllib.loads((checkout.root / "defaults.toml").read_text("utf-8")).get("image")
    except (OSError, ValueError):
        return ""
    return image if isinstance(image, str) and (checkout.root / "images" / image).is_dir() else ""


def _language_of(checkout: Checkout, image: str) -> str:
    return "r" if image and (checkout.root / "images" / image / renv.FILE).exists() else "python"


def _image(checkout: Checkout, language: str) -> str:
    """An image of the project for a language: the usual one if it is there, else any, else the usual one to be made."""
    usual = project_files.LANGUAGES[language]
    there = sorted(path.parent.name for path in (checkout.root / "images").glob("*/Dockerfile"))
    fit = [image for image in there if _language_of(checkout, image) == language]
    if usual in there and usual not in fit:
        raise WrongInput(f"images/{usual} has no {renv.FILE}, so it is no image of R; give it one, or another name")
    return usual if usual in fit or not fit else fit[0]


def _image_files(checkout: Checkout, image: str, language: str) -> dict[Path, bytes]:
    if (checkout.root / "images" / image).exists():
        return {}
    return {Path(path): content for path, content in project_files.image_files(language).items()}


def _with_image(text: str, image: str) -> str:
    """The settings with their image, below the comment at their top."""
    lines = text.split("\n")
    at = next((number for number, line in enumerate(lines) if line and not line.startswith("#")), len(lines))
    return "\n".join([*lines[:at], f'image = "{image}"', *lines[at:]])
