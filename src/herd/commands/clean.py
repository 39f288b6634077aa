"""`herd clean`: what this checkout keeps, how large it is, and away with what can go."""

from __future__ import annotations

from typing import Annotated

import typer

from herd import console


def clean(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what is kept; remove nothing.")] = False,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Also what your own runs have left, and copies, without asking.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="What is kept, for scripts; removes nothing.")] = False,
) -> None:
    """Show what this checkout keeps below .herd, and remove what can go.

    What is made again when it is needed goes. What `herd try` left, and copies that were set aside, are asked for one
    by one. What an environment lives on stays: `herd down` removes that.
    """
    from herd.checkout.find import find_checkout
    from herd.deploy.kept import Kind, in_words, parts, remove
    from herd.targets import environment_lock

    checkout = find_checkout()
    kept = parts(checkout)
    if as_json:
        entries = [
            {"what": part.what, "bytes": part.size, "kind": part.kind.name, "paths": [str(path) for path in part.paths]}
            for part in kept
        ]
        console.json_document(entries)
        return
    if kept:
        console.table(["kept", "size", ""], [[part.what, in_words(part.size), part.kind.value] for part in kept])
    if dry_run:
        return
    freed = 0
    with environment_lock.all_held(checkout):
        for part in kept:
            if part.kind is Kind.made_again or (
                part.kind is Kind.data and (yes or console.confirm(f"Remove {part.what} ({in_words(part.size)})?"))
            ):
                freed += remove(part)
    console.say(f"removed {in_words(freed)}" if freed else "nothing was removed")
