"""What Pulumi runs: `--policy-pack policy` makes the Python language host execute this folder."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
# Pulumi puts this folder first, where `iam` or `network` could hide a module of somebody else.
sys.path = [str(HERE.parents[1]), *(entry for entry in sys.path if Path(entry).resolve() != HERE)]

from herd.policy.analyzer import serve  # noqa: E402

# Pulumi runs it in the folder of the program, or of this pack: the team's file lies at the root of the project.
here = Path.cwd()
serve(next((folder for folder in (here, *here.parents) if (folder / "defaults.toml").is_file()), here))
