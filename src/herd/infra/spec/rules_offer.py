"""Rules over a workload and what its stack offers: hardware that can carry it, connections and datasets that exist."""

from collections.abc import Iterator, Mapping

from herd.infra import addresses, capacity
from herd.infra.messages import did_you_mean, nearest, show
from herd.infra.offer import Offer
from herd.infra.spec.checks import ConnectionCheck
from herd.infra.spec.image_settings import ImageSettings
from herd.infra.spec.models import AnySpec, BatchSpec, JobSpec, ReportSpec, WorkloadSpec
from herd.infra.spec.rules_workload import Finding
from herd.infra.spec.up_to_date import obstacles
from herd.runner.contract.checks import CONNECTION_DRIVERS, dialect

MOST_CONNECTIONS = 4
"""A network interface has five security groups: that of all tasks, and one a connection.
Source: "Amazon VPC quotas", security groups per network interface.
"""


def findings(
    specs: Mapping[str, AnySpec], offer: Offer, images: Mapping[str, ImageSettings]
) -> Iterator[tuple[str, Finding]]:
    """(workload, finding) for everything that a workload names and its stack does not have."""
    for name, spec in specs.items():
        for rule in (_owner, _mail, _hardware, _connections, _unchanged):
            yield from ((name, finding) for finding in rule(spec, offer))
        yield from ((name, finding) for finding in _datasets(spec, specs, offer))
        yield from ((name, finding) for finding in _gpu(spec, offer, images.get(spec.image)))


def _owner(spec: WorkloadSpec, offer: Offer) -> Iterator[Finding]:
    """Whoever it is must be reached: a team that nobody mapped to an address would be told nothing."""
    teams, owner = offer.teams, spec.owner
    if teams is None or offer.owners(owner):
        return
    try:
        addresses.canonical(owner)
    except ValueError as wrong:
        if addresses.is_web_address(owner):
            yield ("owner",), f"owner {wrong}"
        elif "@" in owner:
            yield ("owner",), f"owner = {show(owner)} {wrong}"
        else:
            near = nearest(owner, teams)
            known = f"; did you mean '{near}'?" if near else f"; mapped are {', '.join(sorted(teams))}" if teams else ""
            yield (
                ("owner",),
                f"owner = {show(owner)} is neither an e-mail address nor a team that the stack's settings map to one "
                f"(notifications.owners){known}",
            )


def _mail(spec: WorkloadSpec, offer: Offer) -> Iterator[Finding]:
    if isinstance(spec, ReportSpec) and spec.mail_to and offer.mail_from == "":
        yield (
            ("mail_to",),
            f"mail_to = [{', '.join(map(show, spec.mail_to))}] needs a sender, and the stack's settings name none: set "
            "notifications.mail_from to an address that SES may send from",
        )


def _unchanged(spec: WorkloadSpec, offer: Offer) -> Iterator[Finding]:
    if isinstance(spec, JobSpec) and spec.skip_unchanged:
        for why in obstacles(spec, offer.datasets):
            yield ("skip_unchanged",), f"skip_unchanged = true cannot be: {why}; leave the setting out"


def _hardware(spec: WorkloadSpec, offer: Offer) -> Iterator[Finding]:
    if spec.hardware not in offer.hardware:
        hint = did_you_mean(spec.hardware, offer.hardware)
        yield ("hardware",), f"hardware = {show(spec.hardware)} is not hardware of this environment{hint}"
    pool = offer.pool(spec.hardware)
    machine = capacity.machine(pool.instance_type) if pool else None
    if pool and machine and (spec.cpu > machine.cpu or spec.memory_gb > machine.for_tasks_gb):
        wanted = f"cpu = {spec.cpu:g} with memory_gb = {spec.memory_gb:g}"
        has = f"up to cpu = {machine.cpu} and memory_gb = {machine.for_tasks_gb:g}"
        yield (
            ("cpu", "memory_gb", "hardware"),
            (f"{wanted} does not fit on {show(spec.hardware)}: a {pool.instance_type} has room for {has}"),
        )


def _gpu(spec: WorkloadSpec, offer: Offer, image: ImageSettings | None) -> Iterator[Finding]:
    """An image with CUDA's libraries is several gigabytes that nothing but NVIDIA's cards beside x86 can use."""
    if image is None or image.gpu is None or spec.hardware not in offer.hardware:
        return
    pool = offer.pool(spec.hardware)
    if pool is None:
        why = "Fargate has no GPUs"
    elif pool.arm64:
        why = f"a {pool.instance_type} has Arm's processors, for which these libraries are not"
    elif not pool.gpu:
        why = f"its machines ({pool.instance_type}) have no GPU, or `gpu` in the stack's `pools` does not say so"
    else:
        return
    yield (
        ("hardware", "image"),
        f"hardware = {show(spec.hardware)} does not go with image = {show(spec.image)}, whose image.toml has "
        f"gpu = {show(image.gpu)}: {why}; name a pool with GPUs, or an image without",
    )


def _connections(spec: WorkloadSpec, offer: Offer) -> Iterator[Finding]:
    for name in spec.connects:
        if name not in offer.connections:
            hint = did_you_mean(name, offer.connections) or "; it has none"
            yield ("connects",), f"connects: {show(name)} is not a connection in the stack's settings{hint}"
    for number, check in enumerate(spec.checks if isinstance(spec, BatchSpec) else (), 1):
        connection = offer.connections.get(check.connection) if isinstance(check, ConnectionCheck) else None
        if connection and dialect(connection.driver) not in CONNECTION_DRIVERS:
            yield (
                ("check", "connects"),
                f"[[check]] no. {number}: a check cannot ask a connection with driver = {show(connection.driver)}; "
                f"allowed: {', '.join(CONNECTION_DRIVERS)}; a check with `command` can run a program that asks it",
            )
    if len(spec.connects) > MOST_CONNECTIONS:
        yield ("connects",), f"connects has {len(spec.connects)} entries; allowed: up to {MOST_CONNECTIONS}"


def _datasets(spec: WorkloadSpec, specs: Mapping[str, AnySpec], offer: Offer) -> Iterator[Finding]:
    for read in spec.reads:
        if read.name in offer.datasets and read.name in specs:
            both = "is a workload and a dataset in the stack's settings; rename one of them"
            yield ("reads",), f"reads: {show(read.name)} {both}"
