"""Writes the marked blocks of an image's Dockerfile from its image.toml."""

from __future__ import annotations

from pathlib import Path

from herd.checkout.find import Checkout
from herd.errors import WrongInput, unknown
from herd.infra.images import marks, switches
from herd.infra.messages import Problem
from herd.infra.spec import image_settings
from herd.infra.spec.files import astray
from herd.toolchain import atomic


def check(checkout: Checkout, image: str) -> None:
    """Raises WrongInput for what is wrong in the image.toml or the Dockerfile, and where there is no such image."""
    _rewritten(checkout, image)


def write(checkout: Checkout, image: str) -> list[str]:
    """Bring the Dockerfile in step with image.toml; a line for each block that is different.

    Raises WrongInput as `check`; then nothing is written.
    """
    path, before, after = _rewritten(checkout, image)
    if after == before:
        return []
    atomic.write(path, after.encode(), mode=path.stat().st_mode & 0o777)
    return list(_difference(marks.blocks(before), marks.blocks(after)))


def _rewritten(checkout: Checkout, image: str) -> tuple[Path, str, str]:
    """The Dockerfile, its text, and the text that it should have."""
    known = image_settings.images(checkout.root)
    if image not in known:
        raise WrongInput(unknown(image, known, "image"))
    problems: list[Problem] = []
    settings = image_settings.read(checkout.root, image, problems)
    file = Path("images", image, "Dockerfile")
    path = checkout.root / file
    if problems:
        raise WrongInput("\n".join(map(str, problems)))
    if why := astray(checkout.root, path):
        raise WrongInput(f"{file.as_posix()}: {why}")
    try:
        before = path.read_text("utf-8")
        after = switches.rewrite(before, settings, image)
    except FileNotFoundError:
        raise WrongInput(f"{file.as_posix()}: is missing") from None
    except UnicodeDecodeError:
        raise WrongInput(f"{file.as_posix()}: is not UTF-8 text") from None
    except switches.DockerfileError as error:
        raise WrongInput(str(error)) from None
    return path, before, after


def _difference(before: dict[str, marks.Block], after: dict[str, marks.Block]) -> list[str]:
    said = []
    for name in sorted({*before, *after}):
        if name not in after:
            said.append(f"- {name}")
        elif before.get(name) != after[name] and (name not in before or before[name].body != after[name].body):
            said.append(f"{'~' if name in before else '+'} {name}: {len(after[name].body.splitlines())} lines")
    return said
