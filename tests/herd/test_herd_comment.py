"""The comment on a pull request: golden, harmless whatever a pull request calls its things, never too long."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from herd.checkout.review_dates import Review
from herd.engine.plan import Plan
from herd.review import words
from herd.review.comment import LEFT_OUT, MOST_BYTES, failed
from herd.review.comment import comment as rendered
from herd.review.document import document
from herd.review.markdown import block, code
from tests.herd.planning import event, outputs, plan

GOLDEN = Path(__file__).with_name("comment.golden.md")


def policy(*resources: str) -> dict[str, str]:
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": list(resources)}
    return {"policy": json.dumps({"Version": "2012-10-17", "Statement": [statement]})}


def everything() -> Plan:
    made = plan(
        event("create", "aws:lb/loadBalancer:LoadBalancer", "public-balancer", "", new={"internal": False}),
        event("create", "aws:iam/rolePolicy:RolePolicy", "web-task", "web", new=policy("arn:aws:s3:::d/train/*")),
        event("create", "aws:lb/listenerRule:ListenerRule", "web-rule", "web", new={"listenerArn": "a"}),
        event(
            "update",
            "aws:iam/rolePolicy:RolePolicy",
            "train-task",
            old=policy("arn:aws:s3:::d/a/*"),
            new=policy("arn:aws:s3:::d/a/*", "arn:aws:s3:::d/b/*"),
            detailedDiff={"policy": {}},
        ),
        event(
            "replace",
            "aws:ecs/taskDefinition:TaskDefinition",
            "train-task",
            old={"memory": "1024", "containerDefinitions": "PASSWORD=hunter1"},
            new={"memory": "2048", "containerDefinitions": "PASSWORD=hunter2"},
            keys=["containerDefinitions", "memory"],
            detailedDiff={"memory": {}, "containerDefinitions": {}},
        ),
        event("delete", "aws:s3/bucket:Bucket", "reports-bucket", "reports", old={"bucket": "r"}),
    )
    made.add(
        {
            "policyEvent": {
                "policyName": "schedule-has-retry",
                "enforcementLevel": "advisory",
                "message": "say how often",
                "resourceUrn": "urn:pulumi:dev::herd::aws:scheduler/schedule:Schedule::train-schedule",
            }
        }
    )
    made.add(outputs(settings("0.6", "0 6 * * 1-5"), settings("0.5", "0 7 * * 1-5")))
    made.messages.append("a word of the program")
    return made


def comment(made: Plan, public: frozenset[str] = frozenset(), due: Sequence[Review] = ()) -> str:
    return rendered(document(made, words.of(made, NOW, public), due), made.environment)


def settings(least: str, schedule: str) -> dict[str, Any]:
    check = {"file": "metrics.json", "value": "auc", "min": float(least)}
    return {"settings": {"workloads": {"train": {"kind": "job", "schedule": schedule, "check": [check]}}}}


DUE = [Review("train", date(2027, 1, 30), 12, True, "look it over, then edit defaults.toml, line 5")]


NOW = datetime(2027, 1, 18, 12, 0, tzinfo=UTC)


def test_what_an_earlier_herd_deployed_does_not_say_its_settings() -> None:
    made = plan(outputs({"environment": "dev"}, settings("0.6", "0 6 * * *")))
    assert words.of(made, NOW).note == words.NOT_EXPORTED
    assert words.NOT_EXPORTED in comment(made)


def test_the_whole_comment() -> None:
    text = comment(everything(), frozenset({"web"}), DUE)
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text()
    assert "hunter" not in text


def test_nothing_to_do_is_said() -> None:
    assert "Nothing: what is deployed is what the files say." in comment(plan())


HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "<!-- herd preview of prod -->",
    "[click](https://evil.example)",
    "![](https://evil.example/pixel.png)",
    "@everybody see #1",
    "`</details>`",
    "``` \n# heading\n| a | b |\n- [x] approved",
    "*bold* _it_ ~~no~~ <b>b</b>",
    "\u202egnp.exe\u200b",
    "\x1b[31mred\x00",
    "&lt;b&gt;",
    "\\`",
    "a" * 5000,
)


def outside_of_code(text: str) -> str:
    """What of a comment GitHub reads as Markdown: without blocks and spans of code, as CommonMark finds them."""
    text = re.sub(r"^(`{3,})text\n.*?\n\1$", "", text, flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"(?<!`)(`+)(?!`)(.*?)(?<!`)\1(?!`)", "", text, flags=re.DOTALL)


@pytest.mark.parametrize("name", HOSTILE)
def test_what_a_pull_request_calls_its_things_stays_text(name: str) -> None:
    made = plan(
        event("create", "aws:s3/bucket:Bucket", name, name, new={}),
        event("delete", "aws:s3/bucket:Bucket", f"{name}2", name, old={}),
        event("update", "aws:iam/rolePolicy:RolePolicy", name, name, old={}, new=policy(name), diffs=[name]),
        environment="dev",
    )
    made.add({"policyEvent": {"policyName": name, "enforcementLevel": "mandatory", "message": name}})
    made.messages.append(name)
    harmless = plan(
        event("create", "aws:s3/bucket:Bucket", "n", "n", new={}),
        event("delete", "aws:s3/bucket:Bucket", "n2", "n", old={}),
        event("update", "aws:iam/rolePolicy:RolePolicy", "n", "n", old={}, new=policy("n"), diffs=["n"]),
    )
    harmless.add({"policyEvent": {"policyName": "n", "enforcementLevel": "mandatory", "message": "n"}})
    harmless.messages.append("n")
    review = Review(name, date(2027, 1, 30), 12, True, name)
    plain = Review("n", date(2027, 1, 30), 12, True, "n")
    found = outside_of_code(comment(made, frozenset(), [review]))
    assert sorted(found.split("\n")) == sorted(outside_of_code(comment(harmless, frozenset(), [plain])).split("\n"))
    assert outside_of_code(failed("dev", name)) == outside_of_code(failed("dev", "n"))
    assert all(char.isprintable() or char == "\n" for char in comment(made))


@given(st.text())
def test_any_text_is_one_code_span_and_one_block(text: str) -> None:
    assert outside_of_code(code(text)) == ""
    assert "\n" not in code(text)
    assert outside_of_code("\n".join(block(text))) == ""


@pytest.mark.parametrize("length", [10, 3000])
def test_it_is_never_longer_than_github_takes(length: int) -> None:
    def wide(number: int) -> dict[str, Any]:
        name = f"{number}" + "ü" * length
        return event(
            "update", "aws:iam/rolePolicy:RolePolicy", name, name, old={}, new=policy(*[name] * 30), diffs=[name]
        )

    made = plan(*map(wide, range(1500)))
    made.messages += ["y" * 1000] * 100
    text = comment(made, frozenset(), DUE)
    assert len(text.encode()) <= MOST_BYTES < 65_536
    assert text.count("<details>") == text.count("</details>")
    assert "1500 to change" in text and "more" in text


@pytest.mark.parametrize("said", ["x", "<details>", "</details>", "```", "`````"])
def test_what_is_cut_off_within_a_block_is_closed(said: str) -> None:
    """Else the rest of the comment, and that something is missing, would be part of what the program said."""
    head = "<!-- herd preview of dev -->\n<details><summary>What the program said</summary>\n\n"
    text = failed("dev", "x", head + "\n".join(block(f"{said}\n" * 60_000, 300_000)))
    assert len(text.encode()) <= MOST_BYTES
    left = outside_of_code(text)
    assert left.rstrip().endswith(outside_of_code(LEFT_OUT))
    assert left.count("<details>") == left.count("</details>") == 1


def test_what_is_refused_is_shown_with_what_would_change_otherwise() -> None:
    known = comment(everything())
    text = failed("dev", "policy x: no", known)
    assert text.startswith(
        "<!-- herd preview of dev -->\n### `dev` cannot be deployed like this\n\n```text\npolicy x: no\n"
    )
    assert text.endswith(known.split("\n", 1)[1])
    assert text.count("<!--") == 1
    assert len(failed("dev", "x" * 9999, known + "ü" * 40_000).encode()) <= MOST_BYTES
