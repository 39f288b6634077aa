"""Which changes of settings endanger something: what that is, and how to avoid it.

`RISKS` has an entry for every setting, of workloads, of checks and of the stack: when a change of it is dangerous and
why, or why it never is. A test holds it against the settings that there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from herd.engine.plan import ENVIRONMENT
from herd.infra import lifetime
from herd.review.settings import Change, Changed, Come, Plain, Written

FAR_OUT = timedelta(days=366)
"""A review date that moves by more than this is hardly a review."""

ACCESS = ("internal", "company", "public")
"""From few to all."""


@dataclass(frozen=True)
class Risk:
    """`when`: is the change from an old to a new value dangerous? `why`: what may happen. `instead`: how to avoid it.

    `unless`: of all settings of the workload, old and new; where it holds there is no danger.
    """

    when: Callable[[Any, Any], bool]
    why: str
    instead: str
    unless: Callable[[Plain, Plain], bool] = lambda old, new: False


@dataclass(frozen=True)
class Harmless:
    """Why no change of a setting is dangerous."""

    why: str


@dataclass(frozen=True)
class Danger:
    """A dangerous change: `what` it is, why, and how to avoid it. `owner`: the workload's name, or "environment".
    `details`: what exactly, a line each. `change`: of a setting, where it is one.
    """

    what: str
    why: str
    instead: str
    owner: str = ENVIRONMENT
    details: tuple[str, ...] = ()
    change: Change | None = None

    @property
    def as_detail(self) -> str:
        """As a line below another danger that brings it with it."""
        return f"{self.what}; {self.why}" if self.why.startswith("lost") else self.what


def raised(old: Any, new: Any) -> bool:
    """A limit that is higher, or gone."""
    return old is not None and (new is None or new > old)


def lowered(old: Any, new: Any) -> bool:
    """A floor that is lower, or gone."""
    return old is not None and (new is None or new < old)


def switched_on(old: Any, new: Any) -> bool:
    return new is True and old is not True


def switched_off(old: Any, new: Any) -> bool:
    return new is not True and old is True


def added(old: Any, new: Any) -> bool:
    """Something in the list or table that was not in there, or a value where there was none."""
    return not set(_items(new)) <= set(_items(old))


def lost(old: Any, new: Any) -> bool:
    """Something of the list or table that is not in there any more, or a value that is gone."""
    return not set(_items(old)) <= set(_items(new))


def changed(old: Any, new: Any) -> bool:
    return bool(old != new)


def replaced(old: Any, new: Any) -> bool:
    """Another value, or none, where there was one."""
    return old is not None and old != new


def to(*values: Any) -> Callable[[Any, Any], bool]:
    """Becomes one of these."""
    return lambda old, new: new in values and old not in values


def wider_access(old: Any, new: Any) -> bool:
    places = {name: place for place, name in enumerate(ACCESS)}
    return places.get(new, 0) > places.get(old, 0)


def far_out(old: Any, new: Any) -> bool:
    """A date that moves by more than FAR_OUT."""
    return old is not None and new is not None and date.fromisoformat(new) - date.fromisoformat(old) > FAR_OUT


def new_domain(old: Any, new: Any) -> bool:
    """Addresses of a domain that had none of it."""
    return not {_domain(one) for one in new or ()} <= {_domain(one) for one in old or ()} and bool(old)


def has_another_start(old: Plain, new: Plain) -> bool:
    """Does a job before it start it now?"""
    return bool(new.get("after"))


def follows_its_limits(old: Plain, new: Plain) -> bool:
    """Is the deadline as long after what the time limits can take as it was?"""
    return _slack(new) <= _slack(old)


def _slack(settings: Plain) -> int:
    return int(settings.get("deadline_minutes") or 0) - int(settings.get("default_deadline_minutes") or 0)


def _domain(address: str) -> str:
    return address.rpartition("@")[2].lower()


def _items(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return [str(key) for key in value]
    return [str(one) for one in value] if isinstance(value, list | tuple) else [] if value is None else [value]


_LOOSER = "a result that would be rejected today is published"
_KEEP_CHECK = "keep it, or say in the pull request why such a result is good enough"

CHECK_RISKS: Mapping[str, Risk | Harmless] = {
    "min": Risk(lowered, _LOOSER, _KEEP_CHECK),
    "max": Risk(raised, _LOOSER, _KEEP_CHECK),
    "max_drop": Risk(raised, _LOOSER, "`herd accept` takes one result as the new baseline and keeps the limit"),
    "max_rise": Risk(raised, _LOOSER, "`herd accept` takes one result as the new baseline and keeps the limit"),
    "trend": Risk(raised, _LOOSER, _KEEP_CHECK),
    "min_bytes": Risk(lowered, _LOOSER, _KEEP_CHECK),
    "max_bytes": Risk(raised, _LOOSER, _KEEP_CHECK),
    "max_age_hours": Risk(raised, "older data than today is published", _KEEP_CHECK),
    "columns": Risk(lost, "a table without these columns is published", "change who reads them first"),
    "unique": Harmless("another question is another check"),
    "otherwise": Risk(to("warn"), "what it rejects today is published, with a warning", _KEEP_CHECK),
    "file": Harmless("another question is another check"),
    "value": Harmless("another question is another check"),
    "changed": Harmless("it has one value"),
    "rows": Harmless("it has one value"),
    "nulls": Harmless("another question is another check"),
    "newest": Harmless("another question is another check"),
    "query": Harmless("another question is another check"),
    "connection": Harmless("another question is another check"),
    "command": Harmless("another question is another check"),
}
"""Settings of `[[check]]`. A check that is removed is dangerous in any case."""

WORKLOAD_RISKS: Mapping[str, Risk | Harmless] = {
    "owner": Risk(replaced, "who answered for it hears no more of it", "ask the new owner to approve this change"),
    "review_by": Risk(far_out, "nobody is asked for more than a year whether it is still right", "take a nearer date"),
    "image": Harmless("the new image is listed with what is in it, and the gate holds the result"),
    "command": Harmless("what runs is for the reviewer to read, and the gate holds the result"),
    "hardware": Harmless("it is a matter of cost; an interrupted run is tried again"),
    "cpu": Harmless("it is a matter of time and cost"),
    "memory_gb": Harmless("a run that needs more fails, and its owner is told"),
    "disk_gb": Harmless("a run that needs more fails, and its owner is told"),
    "reads": Harmless("what it may read is listed with the permissions"),
    "uses": Harmless("it is code, for the reviewer to read"),
    "params": Harmless("the gate holds the result"),
    "env": Harmless("the gate holds the result"),
    "secrets": Harmless("what it may read is listed with the permissions"),
    "connects": Harmless("what it may reach is listed with the permissions"),
    "schedule": Risk(
        lambda old, new: old is not None and new is None,
        "it does not start by itself any more, and nothing is late",
        'pause it with a reason (`paused = "…"`), which is shown everywhere',
        has_another_start,
    ),
    "timezone": Harmless("the next run is shown"),
    "after": Harmless("a job that nothing starts any more is refused"),
    "skip_unchanged": Harmless("what is left out is what readers have already"),
    "max_parallel": Harmless("the deadline follows, and lateness is told by that"),
    "fan_out": Harmless("items are the team's own; readers that miss one fail and are told"),
    "timeout_minutes": Harmless("the deadline follows, and lateness is told by that"),
    "retries": Harmless("a failure is told in any case"),
    "overlap": Harmless("each run has a version of its own"),
    "deadline_minutes": Risk(
        lambda old, new: old is not None and new is not None and new > old,
        "its owner hears later that a result is missing",
        "keep it",
        follows_its_limits,
    ),
    "catch_up": Harmless("a due time that is not made up for is told"),
    "paused": Risk(
        lambda old, new: not old and bool(new),
        "it does not start by itself, and what readers see grows old",
        "say until when in the reason",
    ),
    "check": Risk(
        lambda old, new: old is not None and new is None,
        "what it would reject is published",
        "keep it, loosen its limits, or let it warn only",
    ),
    "cache": Harmless("readers never see what is kept between runs"),
    "publish": Harmless("what runs is for the reviewer to read"),
    "footer": Risk(switched_off, "a page that is out of date does not say so", "keep it"),
    "mail_to": Risk(new_domain, "the report goes to people of another organisation", "ask who they are"),
    "self_contained": Risk(switched_off, "a page that loads from other servers is published", "keep it"),
    "mail": Harmless("the same people get it"),
    "port": Harmless("programs read $PORT"),
    "health": Harmless("a wrong one never becomes healthy, and the update goes back by itself"),
    "start_minutes": Harmless("a copy that does not start is replaced, later or sooner"),
    "replicas.min": Harmless("it is a matter of load and cost; the alarm follows the number"),
    "replicas.max": Harmless("it is a matter of load and cost"),
    "replicas.target_cpu": Harmless("it is a matter of load and cost"),
    "access": Risk(wider_access, "more people can reach it than today", "keep the narrower access"),
}
"""Settings of workload.toml."""

STACK_RISKS: Mapping[str, Risk | Harmless] = {
    "account": Harmless("it cannot change while the environment runs"),
    "profile": Risk(
        lambda old, new: old == "prod" and new != "prod",
        "protection, encryption and logs are off where the file does not name them",
        "keep prod and set the one thing that should differ",
    ),
    "schedules": Risk(switched_off, "nothing starts by itself, and nothing is late", "pause the workloads that should"),
    "copy_of": Harmless("what changes by it is listed by workload"),
    "expired": Harmless("the calendar decides it, and review dates are listed"),
    "ttl": Risk(
        lambda old, new: bool(new) and (not old or lifetime.parse(new) < lifetime.parse(old)),
        "the environment is removed by itself, or sooner, with the data in it",
        "leave it out where data must stay",
    ),
    "ends_at": Harmless("it is worked out of ttl at each deployment"),
    "made_by": Harmless("it decides nothing"),
    "environments_per_person": Harmless("it is a matter of cost"),
    "scheme": Risk(to("http"), "addresses are not encrypted", "keep https"),
    "allow_public": Risk(switched_on, "APIs may be opened to the internet", "keep it off until an API needs it"),
    "network": Risk(to("public"), "every task has a public address", "keep nat or endpoints"),
    "vpc": Harmless("it cannot change while the environment runs"),
    "private_subnets": Harmless("tasks move inside the same network"),
    "public_subnets": Harmless("load balancers move inside the same network"),
    "vpc_cidr": Harmless("it cannot change while the environment runs"),
    "zones": Harmless("what is replaced by it is listed"),
    "log_retention_days": Risk(lowered, "older log lines are deleted", "export what must be kept first"),
    "keep_versions_days": Risk(lowered, "older versions of outputs are deleted", "`herd outputs` copies one before"),
    "encryption_key": Risk(replaced, "what is written from now on is encrypted otherwise, or not", "keep the key"),
    "access_logs": Risk(switched_off, "nobody can tell later who read what", "keep them on"),
    "flow_logs": Risk(switched_off, "nobody can tell later what connected where", "keep them on"),
    "protect": Risk(switched_off, "`herd down` removes everything, data included", "keep it on"),
    "data_bucket": Risk(changed, "workloads begin with no data of theirs", "copy the old bucket's objects first"),
    "log_bucket": Harmless("logs go to another bucket; the old ones stay"),
    "image_repositories": Harmless("images are built again into other repositories"),
    "boundary": Risk(replaced, "roles may do more than the boundary let them", "ask who owns the account"),
    "iam_path": Harmless("the permissions stay the same"),
    "domain": Risk(replaced, "every address changes, and the old ones lead nowhere", "keep the domain"),
    "dns_zone": Harmless("the certificate is proven elsewhere; the addresses stay"),
    "certificate": Harmless("a wrong one is refused before anything changes"),
    "company_cidrs": Risk(added, "more networks reach what is for the company", "name the smallest network that does"),
    "require_tls": Risk(switched_off, "services may be reached without encryption", "keep it on"),
    "sign_in": Risk(replaced, "other people sign in, or nobody has to", "ask who owns the sign-in"),
    "reports": Risk(changed, "the addresses of all pages change, and who can read them", "keep it"),
    "pools": Harmless("it is a matter of cost"),
    "container_insights": Harmless("alarms do not use these metrics"),
    "connections": Harmless("what may be reached is listed with the permissions"),
    "datasets": Harmless("what may be read is listed with the permissions"),
    "notifications.owners": Risk(lost, "a team hears less, or nothing", "move the addresses first"),
    "notifications.addresses": Risk(lost, "somebody hears no more of failures", "ask who takes over"),
    "notifications.mail_from": Harmless("the sender is checked before anything is mailed"),
    "budget_per_month": Risk(
        lambda old, new: bool(old) and (not new or new > old), "more may be spent unasked", "ask who pays"
    ),
    "reserve_for_watch": Harmless("two runs of the watch at once do no harm: its memory is written only if unchanged"),
    "tags": Harmless("they decide nothing"),
}
"""Settings of the stack's file."""


GONE = {
    "job": (
        "its history goes, runs under way are stopped, and who reads it gets no new versions",
        'pause it (`paused = "…"`), or see who reads it first',
    ),
    "report": ("its page is gone or not renewed any more", "tell its readers first, or pause it"),
    "api": ("its address leads nowhere", "see who still asks it first"),
    "app": ("its address leads nowhere", "see who still uses it first"),
}
"""Kind of a workload that is removed -> why that is dangerous, and what to do instead."""


def of(changes: Iterable[Change], before: Written, after: Written) -> list[Danger]:
    """The dangerous ones among the changes, in their order."""
    return [danger for change in changes if (danger := _danger(change, before, after))]


def _danger(change: Change, before: Written, after: Written) -> Danger | None:
    if isinstance(change, Come):
        if change.is_new:
            return None
        why, instead = GONE.get(str(change.settings.get("kind")), GONE["job"])
        return Danger(str(change), why, instead, change.owner, change=change)
    risk = risk_of(change)
    if not isinstance(risk, Risk) or not risk.when(change.old, change.new):
        return None
    if risk.unless(before.workloads.get(change.owner, {}), after.workloads.get(change.owner, {})):
        return None
    return Danger(str(change), risk.why, risk.instead, change.owner, change=change)


def risk_of(change: Changed) -> Risk | Harmless | None:
    """The entry that decides a change: of the setting, or of what is below it."""
    if change.setting == "check" and len(change.path) > 2:
        return CHECK_RISKS.get(change.path[2])
    risks = WORKLOAD_RISKS if change.kind else STACK_RISKS
    return risks.get(".".join(change.path[:2])) or risks.get(change.setting)
