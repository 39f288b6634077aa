"""What a person is told when a program ends because a package is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from herd.runner.missing_package import advice

CASES = {
    "another name than the import": (
        "ModuleNotFoundError: No module named 'sklearn'\n",
        "add scikit-learn to requirements.in",
    ),
    "a part of it": (
        "ModuleNotFoundError: No module named 'yaml.loader'\n",
        "add pyyaml to requirements.in of its image",
    ),
    "of Google's": ("ModuleNotFoundError: No module named 'google.cloud.storage'", "add google-cloud-storage to"),
    "maybe of lib/": (
        "ModuleNotFoundError: No module named 'features'",
        'a folder of lib/ it gets by uses = ["features"]',
    ),
    "the last of several": (
        "ModuleNotFoundError: No module named 'ujson'\nDuring handling …\nModuleNotFoundError: No module named 'bs4'",
        "add beautifulsoup4 to",
    ),
    "of R": ("Error in library(arrow) : there is no package called ‘arrow’\n", "the R package arrow is not installed"),
    "of R in plain quotes": ("there is no package called 'arrow'", "add it to renv.lock of its image"),
}


@pytest.mark.parametrize("name", CASES)
def test_it_is_named_and_how_to_add_it(name: str, tmp_path: Path) -> None:
    printed, says = CASES[name]
    assert says in advice(f"Traceback …\n{printed}", "churn", tmp_path)


@pytest.mark.parametrize("file", ["requirements.in", "pyproject.toml"])
def test_a_workload_with_packages_of_its_own_is_named_its_own_file(file: str, tmp_path: Path) -> None:
    (tmp_path / file).touch()
    said = advice("ModuleNotFoundError: No module named 'sklearn'", "churn", tmp_path)
    assert said == (
        f"; the module sklearn is in none of its packages: add scikit-learn to its {file}, then `herd lock churn`"
    )


def test_another_end_has_no_such_advice(tmp_path: Path) -> None:
    assert advice("ValueError: No module is like this", "churn", tmp_path) == ""
