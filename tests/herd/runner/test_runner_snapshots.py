"""`herd snapshot` on what real runs have published: what it names stays, whoever publishes or rolls back after it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from herd.errors import HerdError, WrongInput
from herd.runner.contract.documents import File, Snapshot, Version
from herd.runs import runs, snapshots
from tests.herd.runner.test_runner_rollback import Environment, back

Make = Callable[..., Any]
NOW = datetime(2027, 2, 3, 4, 5, 6, tzinfo=UTC)
SUPERSEDED, PUBLISHED = {"herd:superseded": "true"}, {"herd:published": "true"}


def environment(workload: Any, **more: Any) -> Any:
    made = Environment(workload, **more)
    made.name, made.option = "dev", ("-e", "dev")  # type: ignore[attr-defined]
    return made


def published(make: Make, *texts: str, kind: str = "job") -> Any:
    for number, text in enumerate(texts, 1):
        workload = make("model", f"echo {text} > outputs/index.html", kind=kind)
        assert workload.run(f"r{number}").status == 0
    return workload


def tags(workload: Any, run_id: str) -> dict[str, str]:
    return dict(workload.tags(f"model/versions/{run_id}/index.html"))


def test_what_a_snapshot_names_is_not_marked_by_later_runs(make: Make) -> None:
    here = environment(published(make, "one"))
    taken = snapshots.take(here, "first", "ada", NOW)
    assert taken.outputs["model"].run_id == "r1" and taken.at == "2027-02-03T04:05:06Z"
    workload = published(make, "one", "two", "three")
    assert (tags(workload, "r1"), tags(workload, "r2")) == (PUBLISHED, SUPERSEDED)
    assert snapshots.gone(here, taken) == {}


@pytest.mark.parametrize("kind", ["job", "report"])
def test_a_rollback_does_not_mark_it_either(make: Make, kind: str) -> None:
    here = environment(published(make, "one", "two", kind=kind))
    snapshots.take(here, "second", "ada", NOW)
    back(here)
    assert here.workload.latest["run_id"] == "r1" and tags(here.workload, "r2") == PUBLISHED


def test_a_run_that_publishes_while_it_is_taken_has_its_mark_taken_off(make: Make) -> None:
    here = environment(published(make, "one"))

    def faster(operation: str, arguments: dict[str, Any]) -> None:
        if operation == "put_object":
            here.before = lambda *_: None
            published(make, "one", "two")
            assert tags(here.workload, "r1") == SUPERSEDED

    here.before = faster
    assert snapshots.take(here, "meeting", "ada", NOW).outputs["model"].run_id == "r1"
    assert tags(here.workload, "r1") == PUBLISHED


def test_one_that_cannot_be_read_keeps_everything(make: Make) -> None:
    workload = published(make, "one")
    workload.s3.client.put_object(Bucket=workload.bucket, Key="_snapshots/later.json", Body=b'{"schema": 2}')
    workload = published(make, "one", "two")
    assert tags(workload, "r1") == PUBLISHED


def test_when_it_is_forgotten_only_what_nothing_else_keeps_expires(make: Make) -> None:
    here = environment(published(make, "one"))
    snapshots.take(here, "a", "ada", NOW)
    snapshots.take(here, "b", "ada", NOW)
    published(make, "one", "two")
    snapshots.remove(here, "a")
    assert tags(here.workload, "r1") == PUBLISHED
    snapshots.remove(here, "b")
    assert (tags(here.workload, "r1"), tags(here.workload, "r2")) == (SUPERSEDED, PUBLISHED)
    snapshots.take(here, "c", "ada", NOW)
    snapshots.remove(here, "c")
    assert tags(here.workload, "r2") == PUBLISHED, "what is current never expires"


def test_files_that_are_gone_are_counted(make: Make) -> None:
    here = environment(published(make, "one"))
    taken = snapshots.take(here, "first", "ada", NOW)
    here.workload.s3.client.delete_object(Bucket=here.workload.bucket, Key="model/versions/r1/index.html")
    assert snapshots.gone(here, taken) == {"model": 1}
    assert snapshots.as_json(taken, {"model": 1})["outputs"]["model"]["gone_files"] == 1


def test_a_name_is_taken_once_and_an_unknown_one_is_answered_with_the_known(make: Make) -> None:
    here = environment(published(make, "one"))
    snapshots.take(here, "before", "ada", NOW)
    with pytest.raises(WrongInput, match=r"'before' already, .*herd snapshot before -e dev --remove"):
        snapshots.take(here, "before", "ada", NOW)
    with pytest.raises(WrongInput, match=r"no snapshot 'befor'; did you mean 'before'"):
        snapshots.find(here, "befor")
    assert [one.name for one in snapshots.listed(here)] == ["before"]


def test_nothing_published_is_nothing_to_name(make: Make) -> None:
    here = environment(make("model", "true"))
    with pytest.raises(HerdError, match="dev has published nothing yet"):
        snapshots.take(here, "first", "ada", NOW)


@pytest.mark.parametrize("name", ["", "A", "-a", "a-", "a/b", "../x", "a" * 41, "a b", "a.json"])
def test_a_name_is_refused_with_what_is_allowed(name: str) -> None:
    with pytest.raises(WrongInput, match="cannot be a snapshot's name; allowed: 1 to 40"):
        snapshots.check_name(name)


FILES = st.lists(st.builds(File, st.sampled_from(["a", "b/c"]), st.integers(0, 9), st.sampled_from(["0f", None])))


@given(FILES)
def test_a_snapshot_reads_back_and_its_digest_does_not_depend_on_the_order(files: list[File]) -> None:
    version, other = (
        Version("model", "r1", "2027-01-01T00:00:00Z", "model/versions/r1/", None, tuple(order), ())
        for order in (files, files[::-1])
    )
    snapshot = Snapshot("a", "dev", "2027-01-01T00:00:00Z", "ada", {"model": version})
    assert Snapshot.from_json(snapshot.to_json()) == snapshot
    assert version.digest == other.digest


def test_one_that_names_files_of_another_workload_is_none_of_ours() -> None:
    version = Version("model", "r1", "2027-01-01T00:00:00Z", "secret/versions/r1/", None, (), ())
    with pytest.raises(ValueError, match="names files of another workload"):
        Snapshot.from_json(Snapshot("a", "dev", "", "", {"model": version}).to_json())


def test_who_takes_it_is_who_rolls_back(make: Make) -> None:
    assert "arn:aws:" in runs.who(environment(make("model", "true")))
