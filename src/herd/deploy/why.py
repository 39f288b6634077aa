"""Why images will be built again: the files of the checkout against what `herd up` wrote of the deployed ones."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from herd.errors import WrongInput
from herd.infra.images.build_context import Stager, StagingError, content_hash
from herd.infra.images.contents import Contents
from herd.review.rebuilds import Rebuild, rebuild_of
from herd.runner.contract.keys import built_from_key
from herd.runs import runs
from herd.targets.target import Target

if TYPE_CHECKING:
    from herd.infra.spec.load import AnySpec, Specs


def rebuilds(target: Target, specs: Specs, only: Iterable[str] | None = None) -> list[Rebuild]:
    """The images of deployed workloads that differ from the files, by name. Raises WrongInput.

    `only`: of these workloads. What is not deployed is not built *again*, and left out.
    """
    exports = target.deployed
    if exports is None:
        return []
    names = set(specs.workloads if only is None else only)
    stager = Stager(target.checkout.root, target.name)
    different: list[tuple[AnySpec, str, Contents]] = []
    for name, spec in specs.workloads.items():
        deployed = exports.workloads.get(name)
        if name not in names or deployed is None or not deployed.content_hash:
            continue
        try:
            tree = stager.tree(spec)
        except StagingError as error:
            raise WrongInput(str(error)) from None
        if content_hash(tree) != deployed.content_hash:
            different.append((spec, deployed.content_hash, Contents.of(tree)))

    def why(entry: tuple[AnySpec, str, Contents]) -> Rebuild:
        spec, deployed, now = entry
        before = known(target, deployed)
        if before is None:
            unknown = f"what the deployed one ({deployed}) was built from is not known here; `herd up` writes it down"
            return Rebuild(spec.name, spec.image, unknown=unknown)
        return rebuild_of(spec.name, spec.image, spec.folder.as_posix(), before, now)

    return list(runs.in_parallel(why, different))


def known(target: Target, content: str) -> Contents | None:
    """What the image with this content hash was built from; None where that is not written down or may not be read."""
    from botocore.exceptions import ClientError

    try:
        document = runs.read_json(target, built_from_key(content))
    except ClientError:  # a preview's role need not read data
        return None
    return Contents.from_json(document) if document else None
