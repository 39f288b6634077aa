"""Renews system_requirements.json from a clone of the rules:

    git clone https://github.com/rstudio/r-system-requirements
    python -m herd.packages.renew_system_requirements r-system-requirements

The same commit always gives the same file. What it keeps are the rules for Debian and Ubuntu, with their commands.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

TARGET = Path(__file__).with_name("system_requirements.json")
DISTRIBUTIONS = frozenset({"debian", "ubuntu"})
SOURCE = "https://github.com/rstudio/r-system-requirements"


def document(clone: Path, commit: str = "HEAD") -> dict[str, Any]:
    """The content of the data file, from the files of one commit."""

    def git(*arguments: str) -> str:
        return subprocess.run(["git", "-C", str(clone), *arguments], check=True, capture_output=True, text=True).stdout

    sha, day = git("show", "-s", "--format=%H %cs", commit).split()
    names = [line for line in git("ls-tree", "--name-only", sha, "rules/").split() if line.endswith(".json")]
    rules = {Path(name).stem: _rule(json.loads(git("show", f"{sha}:{name}"))) for name in sorted(names)}
    return {
        "source": SOURCE,
        "commit": sha,
        "date": day,
        "licence": " ".join(git("show", f"{sha}:LICENSE").split()),
        "rules": {name: rule for name, rule in rules.items() if rule["dependencies"]},
    }


def _rule(rule: dict[str, Any]) -> dict[str, Any]:
    dependencies = []
    for dependency in rule["dependencies"]:
        systems = [
            {"distribution": one["distribution"], "versions": one.get("versions", [])}
            for one in dependency["constraints"]
            if one.get("distribution") in DISTRIBUTIONS
        ]
        if not systems:
            continue
        commands = {
            moment: [step["command"] for step in dependency.get(moment) or []]
            for moment in ("pre_install", "post_install")
        }
        packages = dependency.get("packages", [])
        # Where alternatives are written, the first one of each is among `packages`.
        satisfy = dependency.get("apt_satisfy", [])
        dependencies.append({"systems": systems, "packages": packages, "apt_satisfy": satisfy, **commands})
    return {"patterns": rule["patterns"], "dependencies": dependencies}


def text(content: dict[str, Any]) -> str:
    """As it stands in the file."""
    return json.dumps(content, indent=1, ensure_ascii=False, sort_keys=False) + "\n"


if __name__ == "__main__":
    TARGET.write_text(text(document(Path(sys.argv[1]), *sys.argv[2:3])), "utf-8")
