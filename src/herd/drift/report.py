"""What can be done about drift, as lines with the commands."""

from __future__ import annotations

from herd.drift.look import Seen
from herd.targets.target import DEFAULT, Target


def offered(target: Target, seen: Seen) -> list[str]:
    """How to keep and to revert; what can only be reverted, and what can be neither."""
    option = "" if target.option == ("-e", DEFAULT) else f" {' '.join(target.option)}"
    lines = [""]
    if owners := list(dict.fromkeys(drift.owner for drift in seen.drifts if drift.can_be_kept)):
        lines.append(f"`herd drift{option} --keep {owners[0]}` writes what changed of {owners[0]} into its settings")
        if more := owners[1:]:
            lines.append(f"    and so for {', '.join(more)}")
    if any(drift.can_be_reverted for drift in seen.drifts):
        lines.append(
            f"`herd drift{option} --revert` brings back what was deployed, `herd drift{option} NAME --revert` of one"
        )
    only = sum(not drift.can_be_kept for drift in seen.drifts)
    if only:
        lines.append(f"no setting says {only} of these {len(seen.drifts)}: they can only be reverted")
    return lines
