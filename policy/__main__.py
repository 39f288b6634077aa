"""What Pulumi runs: `--policy-pack policy` makes the Python language host execute this folder."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Pulumi puts this folder first, where `iam` or `network` could hide a module of somebody else.
sys.path = [str(ROOT), *(entry for entry in sys.path if Path(entry).resolve() != ROOT / "policy")]

from policy.analyzer import serve  # noqa: E402

serve(ROOT)
