"""Which system libraries R packages need, by the rules that the data file keeps, and the file itself."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from herd.packages import renew_system_requirements
from herd.packages.system_libraries import APT_NAME, RULES_FILE, Distribution, needed, rules

TRIXIE, NOBLE = Distribution("debian", "13"), Distribution("ubuntu", "24.04")

# As the packages' own DESCRIPTIONs say it.
REQUIREMENTS = {
    "curl": ("libcurl (>= 7.73): libcurl-devel (rpm) or libcurl4-openssl-dev (deb)", {"libcurl4-openssl-dev"}),
    "openssl": ("OpenSSL >= 1.0.2", {"libssl-dev"}),
    "xml2": ("libxml2: libxml2-dev (deb), libxml2-devel (rpm)", {"libxml2-dev"}),
    "stringi": ("ICU4C (>= 61, optional)", {"libicu-dev"}),
    "sodium": ("libsodium (>= 1.0.3)", {"libsodium-dev"}),
    "rmarkdown": ("pandoc (>= 1.14) - http://pandoc.org", {"pandoc"}),
    "httpuv": ("GNU make, zlib", {"make", "zlib1g-dev"}),
    "sf": (
        "GDAL (>= 2.0.1), GEOS (>= 3.4.0), PROJ (>= 4.8.0), sqlite3",
        {"libgdal-dev", "gdal-bin", "libgeos-dev", "libproj-dev", "libsqlite3-dev"},
    ),
    "units": ("udunits-2", {"libudunits2-dev"}),
    "systemfonts": ("fontconfig, freetype2", {"libfontconfig1-dev", "libfreetype6-dev"}),
    "textshaping": ("freetype2, harfbuzz, fribidi", {"libfreetype6-dev", "libharfbuzz-dev", "libfribidi-dev"}),
    "git2r": ("libgit2 (>= 1.0): libgit2-devel (rpm) or libgit2-dev (deb)", {"libgit2-dev"}),
    "RPostgres": ("libpq >= 9.0: libpq-dev (deb) or postgresql-devel (rpm)", {"libpq-dev"}),
    "magick": ("ImageMagick++: ImageMagick-c++-devel (rpm) or libmagick++-dev (deb)", {"libmagick++-dev"}),
}


@pytest.mark.parametrize("distribution", [TRIXIE, NOBLE], ids=str)
@pytest.mark.parametrize("package", REQUIREMENTS)
def test_what_packages_need(package: str, distribution: Distribution) -> None:
    text, libraries = REQUIREMENTS[package]
    needs = needed({package: text}, distribution)
    assert libraries <= set(needs.libraries)
    assert all(users == (package,) for users in needs.libraries.values())
    assert not needs.unknown


def test_each_library_says_who_needs_it() -> None:
    needs = needed({"xml2": "libxml2", "XML": "LIBXML2 (>= 2.6.3)"}, TRIXIE)
    assert needs.libraries == {"libxml2-dev": ("XML", "xml2")}


def test_commands_around_the_installation() -> None:
    needs = needed({"rJava": "Java JDK 1.2 or higher", "gifski": "Cargo (Rust's package manager), rustc"}, TRIXIE)
    assert needs.libraries == {"default-jdk": ("rJava",)}
    assert needs.after == {"R CMD javareconf": ("rJava",)}
    assert [users for users in needs.before.values()] == [("gifski",)]


@pytest.mark.parametrize(
    ("text", "unknown"),
    [
        ("libfrobnicate (>= 2)", True),
        ("C++17", False),
        ("GNU make", False),
        ("libfrobnicate, C++17", True),
        ("", False),
    ],
)
def test_what_no_rule_knows_is_said(text: str, unknown: bool) -> None:
    assert bool(needed({"x": text}, TRIXIE).unknown) is unknown


def test_a_version_of_a_distribution_may_lack_a_library() -> None:
    text = {"cairoDevice": "gtkmm-2.4"}
    assert "libgtkmm-2.4-dev" not in needed(text, Distribution("debian", "14")).libraries


def test_the_file_says_where_it_is_from() -> None:
    content = json.loads(RULES_FILE.read_text())
    assert content["source"] == renew_system_requirements.SOURCE
    assert len(content["commit"]) == 40 and content["date"] == rules().date
    assert content["licence"].startswith("The MIT License Copyright (c)")
    assert renew_system_requirements.text(content) == RULES_FILE.read_text()
    assert len(content["rules"]) > 100


def test_what_is_written_into_a_dockerfile_is_harmless() -> None:
    """Names of apt, and few commands, which whoever renews the file has to look at."""
    commands = set()
    for _, dependencies in rules().by_name.values():
        for dependency in dependencies:
            assert all(APT_NAME.fullmatch(name) for name in dependency.packages)
            if dependency.is_for(TRIXIE) or dependency.is_for(NOBLE):
                commands |= {*dependency.before, *dependency.after}
    assert commands == {
        "R CMD javareconf",
        "curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- --no-modify-path -y",
        "apt-get install -y software-properties-common",
        "add-apt-repository -y ppa:xtradeb/apps",
        "apt-get update",
    }


def test_the_script_makes_the_same_file_of_the_same_commit(tmp_path: Path) -> None:
    """From a small repository of the same shape."""
    rule = {
        "patterns": ["\\blibxml2\\b"],
        "dependencies": [
            {
                "packages": ["libxml2-dev"],
                "pre_install": [{"command": "apt-get update"}],
                "constraints": [
                    {"os": "linux", "distribution": "debian", "versions": ["13"]},
                    {"os": "linux", "distribution": "alpine"},
                ],
            },
            {"packages": ["mingw-libxml2"], "constraints": [{"os": "windows"}]},
        ],
    }
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules/libxml2.json").write_text(json.dumps(rule))
    (tmp_path / "rules/only-elsewhere.json").write_text(json.dumps({**rule, "dependencies": rule["dependencies"][1:]}))
    (tmp_path / "LICENSE").write_text("The MIT License\n\nCopyright (c) 2019\n")
    author = ["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"]
    for command in (["init", "-q"], ["add", "."], [*author, "commit", "-qm", "x", "--date", "2026-07-23T12:00:00Z"]):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
    first, second = (renew_system_requirements.document(tmp_path) for _ in range(2))
    assert renew_system_requirements.text(first) == renew_system_requirements.text(second)
    assert first["rules"] == {
        "libxml2": {
            "patterns": ["\\blibxml2\\b"],
            "dependencies": [
                {
                    "systems": [{"distribution": "debian", "versions": ["13"]}],
                    "packages": ["libxml2-dev"],
                    "apt_satisfy": [],
                    "pre_install": ["apt-get update"],
                    "post_install": [],
                }
            ],
        }
    }
    assert first.keys() == json.loads(RULES_FILE.read_text()).keys()
