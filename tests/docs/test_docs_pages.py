"""What the pages name is there: links, files, settings, modules; and what they should name they do."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from herd.infra.settings.schema import SETTINGS as STACK_SETTINGS
from herd.infra.spec.checks import CHECKS
from herd.infra.spec.image_settings import ImageSettings
from herd.infra.spec.models import KINDS, Read, Replicas, settings_of
from tests.docs.markdown import PAGES, ROOT, anchors, blocks, inline_code, links, name_of, prose

README = ROOT / "README.md"
HAND_WRITTEN = [page for page in PAGES if page.parent.name != "reference"]
SETTINGS = {setting for kind in KINDS.values() for setting in settings_of(kind.model)}
NESTED = {setting for model in (*CHECKS.values(), Read, Replicas, ImageSettings) for setting in settings_of(model)}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for link in links(page):
        path, _, anchor = link.partition("#")
        if link.startswith(("http://", "https://")):
            continue
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert not broken


def described_files() -> set[str]:
    """Files and folders of examples: those that a page's own blocks of code write or start, or `herd new` makes."""
    examples = [block for page in PAGES for block in blocks(page) if block.file]
    found = {str(block.file) for block in examples}
    for block in examples:
        started = re.search(r'^command = \["python", "([\w.]+)"\]', block.text, re.MULTILINE)
        found |= {f"{Path(str(block.file)).parent.as_posix()}/{started[1]}"} if started else set()
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    found |= {f"{kind}s/{name}/" for kind, name in re.findall(r"herd new (job|report|api) ([a-z-]+)", text)}
    return {parent.as_posix() for file in found for parent in (Path(file), *Path(file).parents)}


@pytest.mark.parametrize("page", HAND_WRITTEN, ids=name_of)
def test_files_that_a_page_names_exist(page: Path) -> None:
    folders = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")}
    described = described_files()
    missing = []
    for code in inline_code(page):
        is_path = re.fullmatch(r"[\w./*-]+", code) and code.split("/")[0] in folders and "/" in code
        if is_path and not any(ROOT.glob(code.rstrip("/"))) and code.rstrip("/") not in described:
            missing.append(code)
    assert not missing


@pytest.mark.parametrize("page", HAND_WRITTEN, ids=name_of)
def test_settings_that_a_page_gives_a_value_exist(page: Path) -> None:
    """Every `name = value` in the text."""
    known = SETTINGS | NESTED | {"rows"}
    given = [match[1] for code in inline_code(page) if (match := re.fullmatch(r"([a-z_]+) = .+", code))]
    assert set(given) <= known


@pytest.mark.parametrize("page", HAND_WRITTEN, ids=name_of)
def test_settings_of_an_environment_exist(page: Path) -> None:
    tags = {"project", "environment", "workload", "kind", "owner"}  # `herd:owner` is a tag
    named = re.findall(r"`herd:(\w+)`", prose(page))
    assert set(named) <= {*STACK_SETTINGS, *tags}


@pytest.mark.parametrize("page", HAND_WRITTEN, ids=name_of)
def test_words_that_look_like_settings_are_settings(page: Path) -> None:
    """`company_cidrs` alone: of a workload, of an environment, or of an account's bootstrap."""
    declared = {*STACK_SETTINGS, *yaml.safe_load((ROOT / "src/herd/bootstrap/Pulumi.yaml").read_text())["config"]}
    named = {code for code in inline_code(page) if re.fullmatch(r"[a-z]+(_[a-z]+)+", code)}
    assert named <= {*declared, *SETTINGS, *NESTED}


def test_contributors_are_told_of_every_folder() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    tracked = {Path(name).parts for name in listed}
    folders = {f"{parts[0]}/" for parts in tracked if len(parts) > 1 and parts[0] != ".ci"}
    inside = {f"{parts[2]}/" for parts in tracked if parts[0] == "src" and len(parts) > 3}
    layout = prose(ROOT / "docs/contributing.md").split("\n## Set up")[0]
    assert {*folders, *inside} <= set(re.findall(r"`([^`]+)`", layout))


def test_the_guide_says_where_each_setting_goes() -> None:
    page = prose(ROOT / "docs/guide/settings-on-aws.md")
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("| ")][2:]
    named = {code for row in rows for code in re.findall(r"`(\w+)`", row)}
    assert named == SETTINGS


def test_the_readme_is_read_in_four_minutes() -> None:
    """It is the page on which people decide."""
    assert len(README.read_text(encoding="utf-8").split()) <= 900


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    left = [README]
    while left:
        page = left.pop().resolve()
        if page in reached or page not in PAGES:
            continue
        reached.add(page)
        left += [page.parent / link.partition("#")[0] for link in links(page) if not link.startswith("http")]
    pages = {page for page in PAGES if page.is_relative_to(ROOT / "docs")}
    assert {name_of(page) for page in pages - reached} == set()


def test_the_readme_names_every_kind() -> None:
    assert all(f"`{kind}s/`" in prose(README) for kind in KINDS)


def test_screenshots_are_light() -> None:
    heavy = [path.name for path in (ROOT / "docs/images").iterdir() if path.stat().st_size > 150_000]
    assert not heavy


def test_every_decision_is_in_the_index() -> None:
    folder = ROOT / "docs/decisions"
    index = folder / "README.md"
    assert set(links(index)) == {path.name for path in folder.glob("0*.md")}


def test_the_schema_for_editors_is_named_where_it_lies() -> None:
    assert json.loads((ROOT / "docs/reference/workload.schema.json").read_text())
    assert "../../docs/reference/workload.schema.json" in (ROOT / "docs/reference/settings.md").read_text()


def recipes() -> list[tuple[str, str, str]]:
    """What is added, how many files that touches, and which."""
    section = (ROOT / "docs/contributing.md").read_text(encoding="utf-8").split("\n## Recipes")[1].split("\n## ")[0]
    rows = [
        [cell.strip() for cell in line.strip("|").split(" | ")] for line in section.splitlines() if line[:2] == "| "
    ]
    return [(row[0].removeprefix("| "), row[1], row[2]) for row in rows[2:]]


@pytest.mark.parametrize(("added", "files", "which"), recipes(), ids=[row[0] for row in recipes()])
def test_the_files_of_a_recipe_are_counted_and_exist(added: str, files: str, which: str) -> None:
    named = [code for code in re.findall(r"`([^`]+)`", which) if code.startswith("src/") or code == "Pulumi.yaml"]
    assert [file for file in named if not (ROOT / file).is_file()] == []
    counted = len(named) - which.endswith("either is one")
    assert int(files.split(",")[0]) == counted
    assert files.endswith(", too many") == (counted > 3), "the goal is three"
