"""`herd clone`: the settings file of a copy, and what is refused before anything is made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from herd.checkout import stack_copy
from herd.checkout.find import Checkout
from herd.errors import WrongInput
from herd.infra.settings.schema import PROFILES
from herd.infra.spec.load import Offer, SpecErrors, load_specs
from tests.herd.conftest import Cli

SOURCE: dict[str, Any] = {
    "secretsprovider": "awskms:///alias/pulumi?region=eu-west-1",
    "encryptedkey": "AAAA",
    "encryptionsalt": "v1:x",
    "config": {
        "aws:region": "eu-west-1",
        "aws:allowedAccountIds": ["123456789012"],
        "herd:account": "123456789012",
        "herd:zones": 3,
        "herd:expired": ["old"],
        "acme:own": "of the team",
        "acme:key": {"secure": "v1:AAAA"},
    },
}


def copied(checkout: Checkout, config: dict[str, Any] | None = None, **chosen: Any) -> dict[str, Any]:
    source = checkout.root / "Pulumi.prod.yaml"
    source.write_text(yaml.safe_dump({**SOURCE, "config": {**SOURCE["config"], **(config or {})}}))
    made = stack_copy.made(checkout, "prod", "staging", source, chosen)
    made.write("prod")
    loaded: dict[str, Any] = yaml.safe_load((checkout.root / "Pulumi.staging.yaml").read_text())
    return loaded


def test_a_copy_has_the_settings_of_the_other_and_starts_nothing(checkout: Checkout) -> None:
    assert copied(checkout) == {
        "secretsprovider": "awskms:///alias/pulumi?region=eu-west-1",
        "config": {
            "aws:region": "eu-west-1",
            "aws:allowedAccountIds": ["123456789012"],
            "herd:account": "123456789012",
            "herd:zones": 3,
            "acme:own": "of the team",
            "herd:copy_of": "prod",
            "herd:schedules": "off",
        },
    }
    assert stack_copy.source_of(checkout, "staging") == "prod"


def test_what_only_the_other_can_decrypt_is_left_out_and_named(checkout: Checkout) -> None:
    path = checkout.root / "Pulumi.prod.yaml"
    path.write_text(yaml.safe_dump(SOURCE))
    sign_in = {"herd:sign_in": {"issuer": "https://id.example.com", "client_secret": {"secure": "v1:BBBB"}}}
    path.write_text(yaml.safe_dump({**SOURCE, "config": {**SOURCE["config"], **sign_in}}))
    made = stack_copy.made(checkout, "prod", "staging", path, {})
    assert made.encrypted == ("acme:key", "herd:sign_in")
    assert "v1:" not in str(made.file)


def test_what_is_chosen_differs_and_all_else_stays(checkout: Checkout) -> None:
    config = copied(checkout, {"herd:profile": "prod", "herd:protect": True}, profile="dev", zones="2")["config"]
    assert (config["herd:profile"], config["herd:zones"], config["herd:protect"]) == ("dev", "2", True)
    pinned = {name: value for name, value in PROFILES["prod"].items() if name != "protect"}
    assert {name: config[f"herd:{name}"] for name in pinned} == pinned


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"herd:data_bucket": "acme-data"}, "herd:data_bucket = acme-data is of prod alone"),
        ({"herd:domain": "data.example.com"}, "herd:domain = data.example.com is of prod alone"),
        ({"herd:certificate": "arn:x"}, "herd:certificate = arn:x is of prod alone"),
        ({"herd:copy_of": "live"}, "prod is itself a copy of live: clone live"),
    ],
)
def test_what_no_two_environments_share_must_be_chosen(said: dict[str, Any], words: str, checkout: Checkout) -> None:
    with pytest.raises(WrongInput, match=words):
        copied(checkout, said)
    assert not (checkout.root / "Pulumi.staging.yaml").exists()
    key = next(iter(said)).removeprefix("herd:")
    if key != "copy_of":
        assert f"herd:{key}" not in copied(checkout, said, **{key: ""})["config"]


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("zones", "cannot be a setting with its value"),
        ("zone=3", "did you mean 'zones'"),
        ("zones=7", "zones = 7 is not allowed; allowed: 2, 3"),
        ("copy_of=x", "is written by Herd itself"),
    ],
)
def test_a_wrong_choice_is_refused(entry: str, words: str) -> None:
    with pytest.raises(WrongInput, match=words):
        stack_copy.chosen([entry])


def test_a_choice_is_a_value_as_a_file_has_it() -> None:
    assert stack_copy.chosen(["zones=3", "herd:data_bucket=", 'tags={"a": "b=c"}']) == {
        "zones": "3",
        "data_bucket": "",
        "tags": {"a": "b=c"},
    }


def test_the_tables_of_the_other_apply_to_its_copy_below_its_own(root: Path) -> None:
    settings = root / "jobs/hello/workload.toml"
    settings.write_text(
        "[environments.prod]\nmemory_gb = 8\nretries = 4\n"
        "[environments.staging]\nretries = 1\n[environments.dev]\ncpu = 2\n"
    )
    hello = load_specs(root, "staging", Offer(copy_of="prod")).workloads["hello"]
    assert (hello.memory_gb, getattr(hello, "retries", None), hello.cpu) == (8, 1, 1)
    settings.write_text("[environments.prod]\nmemory_gb = 8\n[environments.other]\nmemory_gb = 'x'\n")
    with pytest.raises(SpecErrors, match="environments.other"):
        load_specs(root, "staging", Offer(copy_of="prod"))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (("clone", "dev", "dev"), "both are dev"),
        (("diff", "dev", "dev"), "both are dev"),
        (("clone", "dev", "staging"), "is not up"),
        (("diff", "dev", "staging"), "is not up"),
        (("clone", "dev", "Staging"), "cannot be a stack's name"),
        (("clone", "dev", "acme/prod"), "cannot be an environment's name"),
        (("clone", "dev", "staging", "--set", "zones"), "cannot be a setting with its value"),
        (("clone", "dev", "staging", "--with-data", "a b"), "cannot be a snapshot's name"),
        (("clone", "dev", "staging", "--resume"), "is not up"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_cannot_be_copied_is_one_sentence_and_makes_nothing(
    line: tuple[str, ...], words: str, cli: Cli, root: Path
) -> None:
    before = sorted(root.glob("*"))
    done = cli(*line)
    assert done.exit_code in (1, 2) and words in done.stderr and done.stderr.count("\n") == 1
    assert sorted(root.glob("*")) == before
