"""New workloads from templates: a folder that works at once and teaches what else can be said."""

from __future__ import annotations

from pathlib import Path
from string import Template

from herd.checkout import review_dates
from herd.checkout.find import Checkout
from herd.errors import WrongInput
from herd.runner.contract.kinds import FOLDERS, PAGES, SERVICES, Kind

TEMPLATES = Path(__file__).with_name("templates")


def create(checkout: Checkout, kind: Kind, name: str) -> list[Path]:
    """Write the files of a new workload; their paths from the root. Raises WrongInput, before anything is written."""
    if "--" in name:
        raise WrongInput(f"{name!r} cannot be a name of a workload: single hyphens only")
    for other in FOLDERS.values():
        if (checkout.root / other / name).exists():
            raise WrongInput(f"{other}/{name} is already there; names are unique over all kinds")
    folder = Path(FOLDERS[kind], name)
    written = []
    example = TEMPLATES / kind
    if not example.is_dir():  # a kind without an example of its own begins with that of its like
        example = TEMPLATES / ("api" if kind in SERVICES else "report" if kind in PAGES else "job")
    for template in sorted(example.glob("*.txt")):
        path = folder / template.name.removesuffix(".txt")
        text = Template(template.read_text()).substitute(name=name, review_by=review_dates.new_date())
        (checkout.root / path).parent.mkdir(parents=True, exist_ok=True)
        (checkout.root / path).write_text(text)
        written.append(path)
    return written
