"""The tools of `make test` in a cache of a test's own."""

from __future__ import annotations

from pathlib import Path

from herd.toolchain import machine


def with_pulumi(cache: Path) -> Path:
    """The folder `cache`, in which the Pulumi lies that was built for this machine, if one was: a test that asks for it
    would build another, which takes seconds even where Go remembers every package.
    """
    built = machine.user_cache() / "pulumi"
    if built.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        (cache / "pulumi").symlink_to(built)
    return cache
