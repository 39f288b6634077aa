"""What `herd verify` takes from a stack's settings, and that its file names nobody."""

from __future__ import annotations

import json
import shutil
import string
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from harness.tools import with_pulumi
from herd.checkout.find import Checkout
from herd.deploy import verify
from herd.deploy.verify import environment, promises, report
from herd.deploy.verify.promises import Outcome
from herd.deploy.verify.redaction import Redaction, words_of_settings, words_of_this_machine
from herd.errors import HerdError, Interrupted, WrongInput

ROOT = Path(__file__).parents[2]
RECORD = environment.Record("verify-12345", "/nowhere", "prod", "word")

PROD = {
    "secretsprovider": "awskms://alias/acme?region=eu-west-1",
    "encryptedkey": "AAAA",
    "config": {
        "aws:region": "eu-west-1",
        "herd:account": "123456789012",
        "herd:profile": "prod",
        "herd:network": "endpoints",
        "herd:data_bucket": "herd-prod-data",
        "herd:log_bucket": "acme-logs",
        "herd:boundary": "arn:aws:iam::123456789012:policy/herd-boundary",
        "herd:domain": "data.example.com",
        "herd:dns_zone": "example.com",
        "herd:sign_in": {"client_secret": {"secure": "v1:abc"}},
        "herd:tags": {"cost-centre": "research"},
        "herd:access_logs": "profile",
    },
}


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """The project itself, as far as it is copied, with a stack prod."""
    root = tmp_path / "checkout"
    root.mkdir()
    for name in environment.FILES:
        shutil.copy(ROOT / name, root / name)
    for name in environment.PROGRAM:
        (root / name).symlink_to(ROOT / name)
    (root / ".venv").symlink_to(ROOT / ".venv")
    (root / "Pulumi.prod.yaml").write_text(yaml.safe_dump(PROD))
    (root / "Pulumi.dev.yaml").write_text("config:\n  herd:allow_public: true\n")
    return Checkout(root, with_pulumi(tmp_path / "cache"))


def test_it_is_set_as_the_stack_but_for_what_it_must_not_touch(checkout: Checkout) -> None:
    told = environment.settings(checkout, RECORD, PROD)
    assert told["network"] == "endpoints" and told["boundary"].endswith(":policy/herd-boundary")
    assert told["tags"] == {"cost-centre": "research"}
    assert (told["encryption_key"], told["flow_logs"], told["access_logs"]) == ("create", True, True), "as prod has it"
    assert told["protect"] is False and told["profile"] == "dev"
    assert not {"data_bucket", "log_bucket", "sign_in"} & told.keys()
    assert told["domain"] == "verify-12345.data.example.com", "the record that proves the stack's certificate stays"


CHANGED: dict[str, tuple[dict[str, Any], str, Any]] = {
    "an adopted certificate is for the stack's domain": (
        {"domain": "data.example.com", "certificate": "arn:aws:acm:…"}, "domain", "data.example.com"),
    "a company's key lets in the stack's logs only": ({"encryption_key": "arn:aws:kms:…"}, "encryption_key", "create"),
    "no key stays no key": ({"encryption_key": "none"}, "encryption_key", "none"),
    "schedules that are off are tried": ({"schedules": "off"}, "schedules", "on"),
    "an encrypted setting is left out": ({"vpc": {"secure": "x"}}, "vpc", None),
}  # fmt: skip


@pytest.mark.parametrize(("own", "key", "value"), CHANGED.values(), ids=CHANGED)
def test_settings_that_a_second_environment_needs_otherwise(
    checkout: Checkout, own: dict[str, Any], key: str, value: Any
) -> None:
    file = {"config": {f"herd:{name}": one for name, one in own.items()}}
    assert environment.settings(checkout, RECORD, file).get(key) == value


@pytest.mark.parametrize("stack", [None, "prod", "acme/prod"])
def test_what_is_staged_is_a_checkout_that_herd_reads(checkout: Checkout, stack: str | None) -> None:
    from herd.checkout import team_files

    record = environment.plan(checkout, stack)
    target = environment.stage(checkout, record)
    specs = team_files.load(target.checkout, target.name)
    assert set(specs.workloads) == {promises.JOB, promises.REPORT, promises.API}
    access = getattr(specs.workloads[promises.API], "access")  # noqa: B009
    assert access == ("internal" if stack else "public"), "what the stack allows"
    file = yaml.safe_load((target.checkout.root / f"Pulumi.{record.name}.yaml").read_text())
    assert file.get("secretsprovider") == (PROD["secretsprovider"] if stack else None)
    assert "encryptedkey" not in file, "the stack that is made has one of its own"
    assert target.checkout.root.is_relative_to(checkout.cache)
    again = environment.stage(checkout, record)
    assert again.checkout == target.checkout


def test_a_record_stays_until_nothing_is_left(checkout: Checkout) -> None:
    record = environment.plan(checkout, None)
    environment.note(checkout, record)
    (checkout.state / "verify/verify-1.json").write_text('{"name": "ver')
    assert environment.left_behind(checkout) == [record], "one that was cut short while it was written is none"
    environment.forget(checkout, record)
    assert environment.left_behind(checkout) == []


def test_two_at_once_do_not_meet(checkout: Checkout) -> None:
    with (
        environment.verification_lock(checkout),
        pytest.raises(HerdError, match="is running"),
        environment.verification_lock(checkout),
    ):
        pass


# --- what is told ---

SAID = {
    "an ARN": ("role arn:aws:iam::210987654321:role/herd-prod-x is not", ["210987654321", "role/herd"]),
    "an account": ("account 210987654321, again 2109-8765-4321", ["210987654321", "2109-8765-4321"]),
    "a key": ("key AKIAIOSFODNN7EXAMPLE", ["AKIA"]),
    "a secret key": ("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", ["wJalr", "bPxRf"]),
    "an address": ("GET https://data.acme.example/a?b=c failed", ["acme", "b=c"]),
    "a host": ("could not resolve db-1.internal.acme.io:5432", ["acme", "5432"]),
    "a bucket's host": ("acme-data.s3.eu-west-1.amazonaws.com", ["acme"]),
    "e-mail": ("owner ada.lovelace+x@acme.org", ["ada", "acme"]),
    "a path": ("open /home/ada/projects/x.yaml, ~/.aws/config, ../acme/x", ["ada", ".aws", "acme"]),
    "a path with another user": ("no file /Users/ada", ["ada"]),
    "ids of EC2": ("vpc-0a1b2c3d4e5f60718 in subnet-08172635445362718", ["0a1b2c3d", "0817"]),
    "a UUID": ("RequestId: 8d0c4b6e-3b1a-4a0a-9a3c-0f2f6d1c2b3a", ["8d0c4b6e"]),
    "an address of the network": ("10.1.2.3 refused, fe80:0:0:0:1:2:3:4 too", ["10.1.2.3", "fe80"]),
    "a private key": ("-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----", ["abc"]),
    "control characters": ("\x1b]0;title\x07 x", ["\x1b", "\x07"]),
    "an account in colours": ("2109\x1b[1m8765\x1b[0m4321 and 21098\x00765\u200b4321", ["8765"]),
}  # fmt: skip


@pytest.mark.parametrize(("said", "gone"), SAID.values(), ids=SAID)
def test_what_has_the_form_of_an_identifier_is_taken_out(said: str, gone: list[str]) -> None:
    told = Redaction({})(said)
    assert [word for word in gone if word in told] == [], told


def test_what_helps_stays() -> None:
    said = "AccessDenied: is not authorized to perform: s3:GetObject because no identity-based policy allows it (400)"
    assert Redaction({"acme": "<name>"})(said) == said


LETTERS = string.ascii_lowercase + string.digits
NAMES = st.builds(lambda text: f"zq{text}", st.text(LETTERS, min_size=4, max_size=12))
"""They begin with what no other text has, so that what is found is theirs."""

IDENTIFIERS = st.one_of(
    st.builds("{:012d}".format, st.integers(0, 10**12 - 1)),
    st.builds("AKIA{}".format, st.text(string.ascii_uppercase + string.digits, min_size=16, max_size=16)),
    st.text(string.ascii_letters + string.digits + "+/", min_size=40, max_size=40),
    st.builds("{}@{}.example".format, NAMES, NAMES),
    st.builds("arn:aws:s3:::{}/{}".format, NAMES, NAMES),
    st.builds("{}.s3.eu-west-1.amazonaws.com".format, NAMES),
    st.builds("https://{}.{}.com/{}".format, NAMES, NAMES, NAMES),
    st.builds("/home/{}/{}".format, NAMES, NAMES),
    st.builds("vpc-{:017x}".format, st.integers(16**16, 16**17 - 1)),
)
AROUND = st.sampled_from(["{}", " {} ", "'{}'", '"{}"', "({})", "x: {},", "[{}]", "\n{}\n", "<{}>", "={};", "`{}`."])


@given(st.lists(st.tuples(IDENTIFIERS, AROUND), min_size=1, max_size=5))
def test_no_identifier_is_told_wherever_it_stands(parts: list[tuple[str, str]]) -> None:
    told = Redaction({})(" ".join(around.format(word) for word, around in parts))
    assert [word for word, _ in parts if word in told] == [] and "zq" not in told


TABLES = st.dictionaries(
    NAMES, st.one_of(NAMES, st.lists(NAMES, max_size=3), st.dictionaries(NAMES, NAMES, max_size=2))
)
SPELLINGS = st.sampled_from([str.upper, str.title, str.lower])
FORMS = st.sampled_from(["{}", "herd-{}-x", "a_{}", "{}.py", "{}{}"])


@given(TABLES, SPELLINGS, FORMS)
def test_no_name_of_the_settings_is_told_in_the_whole_file(values: dict[str, Any], spelling: Any, form: str) -> None:
    words = list(words_of_settings({"tags": values, **{f"domain{at}": one for at, one in enumerate(values.values())}}))
    why = " ".join(form.format(spelling(word), word) for word in words)
    outcomes = [Outcome("ran", "the job ran", "no", 1.0, why)]
    settings = {"tags": values, "network": "public", "domain": next(iter(values.values()), "")}
    text = report.render(
        report.Verified("AWS, eu-west-1", settings, outcomes), Redaction(dict.fromkeys(words, "<name>"))
    )
    assert "zq" not in text.lower()


def test_a_setting_that_is_wrong_is_not_told_either() -> None:
    done = report.Verified("AWS, eu-west-1", {"network": "acme secret", "zones": "a|b\n"}, [])
    text = report.render(done, Redaction({}))
    assert "secret" not in text and "a|b" not in text


def test_a_short_name_leaves_other_words_whole() -> None:
    redact = Redaction({"ab": "<name>"})
    assert redact("ab is able, herd-ab-x") == "<name> is able, herd-<name>-x"


def test_the_person_and_what_their_variables_hide() -> None:
    words = words_of_this_machine({"DB_PASSWORD": "hunter22", "AWS_SECRET_ACCESS_KEY": "short-one", "LANG": "C.UTF-8"})
    assert words["hunter22"] == words["short-one"] == "<secret>" and "C.UTF-8" not in words


# --- the order of things ---


class Ended(Exception):
    pass


@pytest.fixture
def steps(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`verify` with stand-ins for making and taking down; what each does is a test's to say."""
    said = SimpleNamespace(calls=[], up=lambda: None, down=lambda: None, exports=True)

    def call(name: str) -> Any:
        def done(*_: Any, **__: Any) -> None:
            said.calls.append(name)
            getattr(said, name)()

        return done

    monkeypatch.setenv("HERD_CHECKOUT", str(checkout.root))
    monkeypatch.setattr(verify, "find_checkout", lambda: checkout)
    monkeypatch.setattr(verify.up, "bring_up", call("up"))
    monkeypatch.setattr(environment, "take_down", call("down"))
    monkeypatch.setattr(verify, "_is_deployed", lambda target: said.exports)
    promise = promises.Promise("ran", "it ran", lambda target, word: None)
    monkeypatch.setattr(promises, "PROMISES", (promise,))
    return said


def fails(error: BaseException) -> Any:
    def fail() -> None:
        raise error

    return fail


ORDERS: dict[str, tuple[dict[str, Any], list[str], bool]] = {
    "all is well": ({}, ["yes", "yes", "yes"], True),
    "it is not deployed": ({"up": fails(HerdError("x")), "exports": False}, ["no", "not tried", "yes"], False),
    "its first run fails, the rest is looked at": ({"up": fails(HerdError("x"))}, ["no", "yes", "yes"], False),
    "Ctrl-C in Pulumi": ({"up": fails(Interrupted("x"))}, ["no", "not tried", "yes"], False),
    "Ctrl-C elsewhere": ({"up": fails(KeyboardInterrupt())}, ["no", "not tried", "yes"], False),
    "something is left": ({"down": fails(HerdError("left: bucket x"))}, ["yes", "yes", "no"], False),
    "Ctrl-C again": ({"down": fails(KeyboardInterrupt())}, ["yes", "yes", "no"], False),
}


@pytest.mark.parametrize(("happens", "kept", "good"), ORDERS.values(), ids=ORDERS)
def test_it_is_taken_down_and_told_whatever_happens(
    steps: Any, checkout: Checkout, tmp_path: Path, happens: dict[str, Any], kept: list[str], good: bool
) -> None:
    for name, what in happens.items():
        setattr(steps, name, what)
    file = tmp_path / "told.md"
    assert verify.verify_environment(None, None, yes=False, file=file) is good
    assert steps.calls == ["up", "down"]
    rows = [line for line in file.read_text().splitlines() if line.startswith("| ") and line.count("|") == 4]
    assert [row.split(" | ")[1] for row in rows[2:]] == kept
    left = environment.left_behind(checkout)
    if kept[-1] == "yes":
        assert left == [], "nothing is remembered of what is gone"
        return
    assert "again removes the leftovers" in file.read_text()
    steps.down, steps.calls = (lambda: None), []
    assert verify.verify_environment(None, None, yes=False, file=file) is True
    assert steps.calls == ["down", "up", "down"] and environment.left_behind(checkout) == []


def test_what_cannot_be_removed_of_an_earlier_one_stops_the_next(
    steps: Any, checkout: Checkout, tmp_path: Path
) -> None:

    environment.note(checkout, replace(environment.plan(checkout, None), made=True))
    steps.down = fails(HerdError("this is left: bucket x"))
    with pytest.raises(HerdError, match="this is left"):
        verify.verify_environment(None, None, yes=False, file=tmp_path / "told.md")
    assert steps.calls == ["down"] and len(environment.left_behind(checkout)) == 1


def test_shared_repositories_lose_what_it_pushed_and_nothing_else() -> None:
    asked: list[Any] = []
    image = "docker:index/image:Image"
    address = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/herd/python"
    resources = [
        {"type": image, "retainOnDelete": True, "inputs": {"imageName": f"{address}:verify-job.abc"}},
        {"type": image, "retainOnDelete": True, "inputs": {"imageName": f"{address}:train.abc"}},
        {"type": image, "inputs": {"imageName": f"{address}:verify-api.abc"}},
        {"type": "aws:s3/bucket:Bucket"},
    ]
    ecr = SimpleNamespace(batch_delete_image=lambda **told: asked.append(told) or {"failures": []})
    target: Any = SimpleNamespace(state_resources=lambda: resources, client=lambda name: ecr)
    environment._remove_images(target, environment._shared_images(target))
    assert asked == [{"repositoryName": "herd/python", "imageIds": [{"imageTag": "verify-job.abc"}]}]


REFUSALS: dict[str, tuple[dict[str, str], str]] = {
    "all refused": ({"read": "AccessDenied", "write": "AccessDenied"}, ""),
    "one allowed": ({"read": "AccessDenied", "write": "allowed"}, "may write (allowed)"),
    "another answer is no refusal": ({"read": "NoSuchKey"}, "may read (NoSuchKey)"),
    "nothing tried": ({}, "nothing was tried"),
}


@pytest.mark.parametrize(("answers", "why"), REFUSALS.values(), ids=REFUSALS)
def test_a_refusal_is_one_only_if_the_cloud_says_so(
    monkeypatch: pytest.MonkeyPatch, answers: dict[str, str], why: str
) -> None:
    monkeypatch.setattr(promises, "_read", lambda target, file: json.dumps(answers).encode())
    target: Any = None
    outcome = promises.attempt("refused", "x", lambda: promises._refused(target, ""))
    assert (outcome.kept == "yes") == (not why) and why in outcome.why


def test_wrong_accounts_are_refused_before_anything_is_made(steps: Any, tmp_path: Path) -> None:
    with pytest.raises(WrongInput, match="--yes needs --account"):
        verify.verify_environment("prod", None, yes=True, file=tmp_path / "x.md")
    assert steps.calls == []
