"""What happens after a kill: the next update finds what the last one made, and nothing twice or for ever."""

from __future__ import annotations

import base64
import itertools
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.config import LocalCloudError
from localcloud.plugins import Plugins, SweepIncomplete
from localcloud.plugins.ledger import Ledger, Origin, name_of, stack_of, type_of
from localcloud.plugins.provider import Provider
from localcloud.plugins.refusals import Refused
from localcloud.plugins.types.iam import Role
from localcloud.plugins.values import Props
from localcloud.server import Server
from tests.localcloud.plugins_state import StateFiles
from tests.localcloud.plugins_support import TRUST

ALLOW = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]})
ROLE = "urn:pulumi:dev::proj::a:b:Component$aws:iam/role:Role::worker"
FAMILY = "urn:pulumi:dev::proj::aws:ecs/taskDefinition:TaskDefinition::task"
INPUTS = {"assumeRolePolicy": TRUST}
MACHINES = {
    "minSize": 0, "maxSize": 1, "availabilityZones": ["eu-west-1a"],
    "launchTemplate": {"name": "machines", "version": "$Latest"},
}  # fmt: skip


_seeds = itertools.count(1)


def checked(provider: Provider, news: Props, olds: Props | None = None, urn: str = ROLE) -> Props:
    inputs, problems = provider.check(urn, olds or {}, news, next(_seeds).to_bytes(2, "big") * 16, None)
    assert not problems
    return inputs


@pytest.fixture
def states(tmp_path: Path) -> StateFiles:
    """The stack's file: `pulumi stack init` has made it."""
    files = StateFiles(tmp_path / "state")
    files.write()
    return files


def roles(server: Server) -> list[str]:
    return sorted(role["RoleName"] for role in server.client("iam").list_roles()["Roles"])


def test_urns_are_read() -> None:
    assert (stack_of(ROLE), type_of(ROLE), name_of(ROLE)) == ("proj/dev", "aws:iam/role:Role", "worker")


def test_a_killed_creation_is_adopted(server: Server, plugins: Plugins, states: StateFiles) -> None:
    killed = states.session(plugins)
    made = killed.create(ROLE, checked(killed, INPUTS), preview=False)
    after = states.session(plugins)
    inputs = checked(after, INPUTS)
    assert inputs["name"] == made[0], "the name is proposed again"
    assert after.create(ROLE, inputs, preview=False) == made
    assert roles(server) == [made[0]]


def test_what_a_killed_destroy_has_not_removed_is_taken_up_again(
    server: Server, plugins: Plugins, states: StateFiles
) -> None:
    """Images outlive their deletion. The engine's state of before still has them, and so has a refresh."""
    client = server.client("ec2")
    vpc = client.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    urn = "urn:pulumi:dev::proj::aws:ec2/defaultSecurityGroup:DefaultSecurityGroup::default"
    killed = states.session(plugins)
    inputs = checked(killed, {"vpcId": vpc}, urn=urn)
    identifier, outputs = killed.create(urn, inputs, preview=False)
    killed.delete(urn, identifier, outputs)
    assert plugins.stacks() == {}
    found = states.session(plugins).read(urn, identifier, inputs, outputs)
    assert found is not None
    assert plugins.stacks() == {"proj/dev": 1}
    states.session(plugins).delete(urn, identifier, found[1])
    assert plugins.stacks() == {}


def test_what_goes_while_a_session_begins_is_not_brought_back(plugins: Plugins, states: StateFiles) -> None:
    """The late session has asked what is deleted, and not yet looked at the entries."""
    _, identifier, outputs = a_role_in_state(plugins, states)
    first = states.session(plugins)
    checked(first, INPUTS)  # it has begun
    removal = threading.Thread(target=first.delete, args=(ROLE, identifier, outputs))

    def deleted() -> set[tuple[str, str]]:
        known = set(first.deleted)
        removal.start()
        removal.join(0.5)
        return known

    late = replace(states.session(plugins), deleted_by_all=deleted)
    checked(late, INPUTS, urn=ROLE.replace("worker", "another"))
    removal.join()
    assert plugins.stacks() == {}


def test_adoption_brings_the_present_inputs(server: Server, plugins: Plugins, states: StateFiles) -> None:
    killed = states.session(plugins)
    name, _ = killed.create(ROLE, checked(killed, INPUTS), preview=False)
    after = states.session(plugins)
    inputs = checked(after, {**INPUTS, "tags": {"a": "1"}, "description": "new"})
    assert after.create(ROLE, inputs, preview=False)[1]["tagsAll"] == {"a": "1"}
    role = server.client("iam").get_role(RoleName=name)["Role"]
    assert role["Tags"] == [{"Key": "a", "Value": "1"}] and role["Description"] == "new"


def test_what_cannot_be_adopted_is_removed(server: Server, plugins: Plugins, states: StateFiles) -> None:
    killed = states.session(plugins)
    killed.create(ROLE, checked(killed, INPUTS), preview=False)
    after = states.session(plugins)
    name, _ = after.create(ROLE, checked(after, {**INPUTS, "path": "/other/"}), preview=False)
    assert roles(server) == [name]
    assert server.client("iam").get_role(RoleName=name)["Role"]["Path"] == "/other/"


def test_what_was_deleted_meanwhile_is_made_again(server: Server, plugins: Plugins, states: StateFiles) -> None:
    killed = states.session(plugins)
    name, _ = killed.create(ROLE, checked(killed, INPUTS), preview=False)
    server.client("iam").delete_role(RoleName=name)
    after = states.session(plugins)
    assert after.create(ROLE, checked(after, INPUTS), preview=False)[0] == name
    assert roles(server) == [name] and plugins.stacks() == {"proj/dev": 1}


def a_role_in_state(plugins: Plugins, states: StateFiles) -> tuple[Props, str, Props]:
    session = states.session(plugins)
    inputs = checked(session, INPUTS)
    identifier, outputs = session.create(ROLE, inputs, preview=False)
    states.write((ROLE, identifier, inputs, outputs))
    return inputs, identifier, outputs


def test_a_session_that_begins_late_does_not_bring_back_what_another_deleted(
    plugins: Plugins, states: StateFiles
) -> None:
    """In a destroy the engine's state holds everything until the end, and a provider's session begins when its first
    resource goes.
    """
    _, identifier, outputs = a_role_in_state(plugins, states)
    first = states.session(plugins)
    late = replace(states.session(plugins), deleted_by_all=lambda: first.deleted)
    first.delete(ROLE, identifier, outputs)
    checked(late, INPUTS, urn=ROLE.replace("worker", "another"))
    assert plugins.stacks() == {}


def replaced(session: Provider, olds: Props, old_id: str, outputs: Props, news: Props) -> tuple[str, Props]:
    """What the engine does up to the deletion of the old one."""
    wanted = checked(session, news, olds)
    assert session.diff(ROLE, old_id, olds, outputs, wanted, ()).replaces
    again = checked(session, news)
    return session.create(ROLE, again, preview=False)


def test_a_replacement_creates_and_a_killed_replacement_is_adopted(
    server: Server, plugins: Plugins, states: StateFiles
) -> None:
    olds, old_id, outputs = a_role_in_state(plugins, states)
    news = {**INPUTS, "path": "/new/"}
    new_id, _ = replaced(states.session(plugins), olds, old_id, outputs, news)
    assert new_id != old_id and roles(server) == sorted([old_id, new_id])

    after = states.session(plugins)  # killed before the deletion: the engine's state still says old_id
    assert replaced(after, olds, old_id, outputs, news)[0] == new_id
    after.delete(ROLE, old_id, outputs)
    assert roles(server) == [new_id] and plugins.stacks() == {"proj/dev": 1}


def test_a_replacement_demanded_by_a_person_creates_though_nobody_asked_for_a_diff(
    server: Server, plugins: Plugins, states: StateFiles
) -> None:
    olds, old_id, _ = a_role_in_state(plugins, states)
    session = states.session(plugins)
    checked(session, INPUTS, olds)
    new_id, _ = session.create(ROLE, checked(session, INPUTS), preview=False)
    assert new_id != old_id and roles(server) == sorted([old_id, new_id])


def test_what_a_refresh_finds_gone_is_forgotten(server: Server, plugins: Plugins, states: StateFiles) -> None:
    inputs, name, outputs = a_role_in_state(plugins, states)
    server.client("iam").delete_role(RoleName=name)  # by an update that was killed before it could write that down
    assert states.session(plugins).read(ROLE, name, inputs, outputs) is None
    assert plugins.stacks() == {}


def test_what_a_killed_replacement_made_under_the_same_name_is_one_with_what_a_refresh_finds(
    server: Server, plugins: Plugins, states: StateFiles
) -> None:
    """The old one had the same id, and an ARN of another path: nothing of it is nobody's."""
    named = {**INPUTS, "name": "fixed"}
    session = states.session(plugins)
    olds = checked(session, named)
    identifier, outputs = session.create(ROLE, olds, preview=False)
    states.write((ROLE, identifier, olds, outputs))
    killed = states.session(plugins)
    killed.delete(ROLE, identifier, outputs)
    killed.create(ROLE, checked(killed, {**named, "path": "/new/"}), preview=False)
    found = states.session(plugins).read(ROLE, identifier, olds, outputs)
    assert found is not None and found[1]["arn"] != outputs["arn"]
    states.write((ROLE, identifier, found[2], found[1]))
    assert plugins.sweep("proj", "dev") == [] and plugins.unowned() == []
    assert plugins.stacks() == {"proj/dev": 1} and roles(server) == ["fixed"]


MADE_AGAIN = {
    "a role of a new path": ("iam/role:Role", {**INPUTS, "path": "/old/"}, {**INPUTS, "path": "/new/"}),
    "an instance profile of a new path": ("iam/instanceProfile:InstanceProfile", {"path": "/old/"}, {"path": "/new/"}),
    "a group of a new path": ("iam/group:Group", {"path": "/old/"}, {"path": "/new/"}),
    "an Auto Scaling group, whose ARN has a new UUID": ("autoscaling/group:Group", MACHINES, MACHINES),
}
"""A given name may come back with another ARN: type, inputs before, inputs of the replacement."""


@dataclass(frozen=True)
class MadeAgain:
    """URN in the state, URN and inputs of the killed replacement; id, inputs and outputs as the state has them."""

    old: str
    new: str
    remade: Props
    id: str
    inputs: Props
    outputs: Props


@pytest.fixture(params=MADE_AGAIN.values(), ids=list(MADE_AGAIN))
def made_again(request: pytest.FixtureRequest, server: Server, plugins: Plugins, states: StateFiles) -> MadeAgain:
    """An update was killed that had removed `old`, and made what `new` is to be by the same given name."""
    kind, before, after = request.param
    if before is MACHINES:
        server.client("ec2").create_launch_template(
            LaunchTemplateName="machines",
            LaunchTemplateData={"ImageId": "ami-12c6146b", "InstanceType": "t3.micro"},
        )
    old, new = (f"urn:pulumi:dev::proj::aws:{kind}::{name}" for name in ("old", "new"))
    session = states.session(plugins)
    inputs = checked(session, {**before, "name": "fixed"}, urn=old)
    identifier, outputs = session.create(old, inputs, preview=False)
    states.write((old, identifier, inputs, outputs))
    killed = states.session(plugins)
    killed.delete(old, identifier, outputs)
    remade = checked(killed, {**after, "name": "fixed"}, urn=new)
    again, now = killed.create(new, remade, preview=False)
    assert again == identifier and now["arn"] != outputs["arn"]
    return MadeAgain(old, new, remade, identifier, inputs, outputs)


def refreshed(session: Provider, made: MadeAgain) -> MadeAgain:
    found = session.read(made.old, made.id, made.inputs, made.outputs)
    assert found is not None
    return replace(made, inputs=found[2], outputs=found[1])


def assert_the_states_own(plugins: Plugins) -> None:
    assert plugins.unowned() == [] and plugins.missing("proj", "dev") == []
    assert plugins.sweep("proj", "dev") == [] and plugins.stacks() == {"proj/dev": 1}


def test_what_was_made_again_is_the_states_after_a_refresh(
    plugins: Plugins, states: StateFiles, made_again: MadeAgain
) -> None:
    now = refreshed(states.session(plugins), made_again)
    states.write((now.old, now.id, now.inputs, now.outputs))
    assert_the_states_own(plugins)


def test_a_refresh_may_be_killed_too_before_the_state_is_written(
    plugins: Plugins, states: StateFiles, made_again: MadeAgain
) -> None:
    """The state goes on naming the ARN that is no more."""
    for _ in range(2):
        session = states.session(plugins)
        now = refreshed(session, made_again)
        assert_the_states_own(plugins)
        session.update(now.old, now.id, now.inputs, now.outputs, now.inputs, preview=False)
        assert_the_states_own(plugins)


def test_what_was_made_again_follows_a_rename_in_the_state(
    plugins: Plugins, states: StateFiles, made_again: MadeAgain
) -> None:
    refreshed(states.session(plugins), made_again)
    renamed = replace(made_again, old=f"{made_again.old}er")
    states.write((renamed.old, renamed.id, renamed.inputs, renamed.outputs), by_hand=True)
    assert_the_states_own(plugins)
    now = refreshed(states.session(plugins), renamed)
    states.write((now.old, now.id, now.inputs, now.outputs))
    assert_the_states_own(plugins)


@pytest.mark.parametrize("at_once", [True, False], ids=["by the update that refreshed", "by the next one"])
def test_what_was_made_again_is_deleted_for_good(
    plugins: Plugins, states: StateFiles, made_again: MadeAgain, at_once: bool
) -> None:
    """By the ARN of now or by the one that the state names; a session that begins late sees that one too."""
    first = states.session(plugins)
    now = refreshed(first, made_again)
    if not at_once:
        first, now = states.session(plugins), made_again
    first.delete(now.old, now.id, now.outputs)
    late = replace(states.session(plugins), deleted_by_all=lambda: first.deleted)
    checked(late, INPUTS)
    assert plugins.stacks() == {} and first.read(now.old, now.id, now.inputs, now.outputs) is None


def test_a_deletion_without_a_refresh_spares_what_was_made_again(
    plugins: Plugins, states: StateFiles, made_again: MadeAgain
) -> None:
    """`pulumi up` alone, where the other is declared and this one is not: made first, deleted afterwards."""
    session = states.session(plugins)
    identifier, outputs = session.create(made_again.new, made_again.remade, preview=False)
    session.delete(made_again.old, made_again.id, made_again.outputs)
    assert session.read(made_again.new, identifier, made_again.remade, outputs) is not None
    states.write((made_again.new, identifier, made_again.remade, outputs))
    assert_the_states_own(plugins)


def test_an_update_without_a_refresh_does_not_change_what_was_made_again(
    plugins: Plugins, states: StateFiles, made_again: MadeAgain
) -> None:
    session = states.session(plugins)
    news = checked(session, made_again.inputs, made_again.inputs, made_again.old)
    with pytest.raises(Refused, match=r"is gone, and .* `fixed` again as arn:.*`pulumi refresh`"):
        session.update(made_again.old, made_again.id, made_again.inputs, made_again.outputs, news, preview=False)


def test_a_refresh_after_that_does_not_give_one_thing_to_two(
    plugins: Plugins, states: StateFiles, made_again: MadeAgain
) -> None:
    """`pulumi up --target` has adopted what was made again, and the state goes on naming the other too."""
    session = states.session(plugins)
    identifier, outputs = session.create(made_again.new, made_again.remade, preview=False)
    kept = (made_again.new, identifier, made_again.remade, outputs)
    states.write(kept, (made_again.old, made_again.id, made_again.inputs, made_again.outputs))
    session = states.session(plugins)
    assert session.read(made_again.old, made_again.id, made_again.inputs, made_again.outputs) is None
    assert session.read(*kept) is not None
    states.write(kept)
    assert_the_states_own(plugins)


def test_a_sweep_without_a_refresh_spares_what_was_made_again(
    plugins: Plugins, states: StateFiles, made_again: MadeAgain
) -> None:
    """By its id it is what the state holds: a sweep would leave the state with nothing."""
    assert plugins.sweep("proj", "dev") == []
    refreshed(states.session(plugins), made_again)
    assert_the_states_own(plugins)


VERSION = "urn:pulumi:dev::proj::aws:secretsmanager/secretVersion:SecretVersion::value"
TARGET = "urn:pulumi:dev::proj::aws:cloudwatch/eventTarget:EventTarget::"


def test_versions_of_a_secret_are_told_apart_though_both_say_its_arn(
    server: Server, plugins: Plugins, states: StateFiles
) -> None:
    """What the deletion of the first would take along: the cause by which the journal keeps the second."""
    secret = server.client("secretsmanager").create_secret(Name="s")["ARN"]
    session = states.session(plugins)
    olds = checked(session, {"secretId": secret, "secretString": "one"}, urn=VERSION)
    old_id, outputs = session.create(VERSION, olds, preview=False)
    states.write((VERSION, old_id, olds, outputs))
    session = states.session(plugins)
    before = plugins.living()
    new_id, _ = session.create(
        VERSION, checked(session, {"secretId": secret, "secretString": "two"}, urn=VERSION), preview=False
    )
    assert outputs["arn"] == secret and new_id != old_id
    (cause,) = plugins.living() - before
    session.delete(VERSION, old_id, outputs)
    assert plugins.living() == {cause} and plugins.stacks() == {"proj/dev": 1}


def test_targets_of_two_rules_are_told_apart_though_both_go_to_one_arn(
    server: Server, plugins: Plugins, states: StateFiles
) -> None:
    events, queue = server.client("events"), "arn:aws:sqs:eu-west-1:123456789012:jobs"
    killed = states.session(plugins)
    for rule in ("hourly", "daily"):
        events.put_rule(Name=rule, ScheduleExpression="rate(1 hour)")
        inputs = checked(killed, {"rule": rule, "arn": queue, "targetId": "t"}, urn=TARGET + rule)
        identifier, outputs = killed.create(TARGET + rule, inputs, preview=False)
        if rule == "hourly":
            states.write((TARGET + rule, identifier, inputs, outputs))
    assert plugins.unowned() == [] and plugins.sweep("proj", "dev") == [TARGET + "daily"]
    assert [len(events.list_targets_by_rule(Rule=rule)["Targets"]) for rule in ("hourly", "daily")] == [1, 0]


def test_what_waits_for_its_deletion_is_never_adopted(server: Server, plugins: Plugins, states: StateFiles) -> None:
    """An update that failed after a replacement leaves the old one in the state, to be deleted by the next."""
    olds, old_id, outputs = a_role_in_state(plugins, states)
    first = states.session(plugins)
    new_id, new_outputs = replaced(first, olds, old_id, outputs, {**INPUTS, "path": "/new/"})
    new_inputs = {**INPUTS, "path": "/new/", "name": new_id, "__defaults": ["name"]}
    states.write((ROLE, old_id, olds, outputs), (ROLE, new_id, new_inputs, new_outputs))
    second = states.session(plugins)
    third_id, _ = replaced(second, new_inputs, new_id, new_outputs, INPUTS)  # the same inputs as the first one had
    assert len({old_id, new_id, third_id}) == 3
    second.delete(ROLE, old_id, outputs)
    second.delete(ROLE, new_id, new_outputs)
    assert roles(server) == [third_id] and plugins.stacks() == {"proj/dev": 1}


def test_revisions_of_a_family_are_told_apart_by_their_arn(
    server: Server, plugins: Plugins, states: StateFiles
) -> None:
    def task(image: str) -> Props:
        return {"family": "f", "containerDefinitions": json.dumps([{"name": "main", "image": image, "memory": 128}])}

    session = states.session(plugins)
    olds = checked(session, task("one"), urn=FAMILY)
    identifier, outputs = session.create(FAMILY, olds, preview=False)
    for _ in range(2):  # the second time after a kill
        session = states.session(plugins)
        news = checked(session, task("two"), olds, FAMILY)
        assert session.diff(FAMILY, identifier, olds, outputs, news, ()).replaces
        new_id, new_outputs = session.create(FAMILY, checked(session, task("two"), urn=FAMILY), preview=False)
        assert new_id == identifier and new_outputs["revision"] == 2
    session.delete(FAMILY, identifier, outputs)
    assert session.read(FAMILY, new_id, news, new_outputs) is not None
    assert session.read(FAMILY, identifier, olds, outputs) is None


def test_a_create_that_still_runs_is_waited_for(
    server: Server, plugins: Plugins, states: StateFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, go_on = threading.Event(), threading.Event()
    stock = Role.create

    def slow(self: Role, *args: Any) -> Any:
        entered.set()
        assert go_on.wait(60)
        return stock(self, *args)

    monkeypatch.setattr(Role, "create", slow)
    killed, after = states.session(plugins), states.session(plugins)
    made: list[str] = []
    inputs = checked(killed, INPUTS)
    first = threading.Thread(target=lambda: made.append(killed.create(ROLE, inputs, preview=False)[0]))
    first.start()
    assert entered.wait(60)
    again = checked(after, INPUTS)
    assert again["name"] == inputs["name"]
    second = threading.Thread(target=lambda: made.append(after.create(ROLE, again, preview=False)[0]))
    second.start()
    go_on.set()
    first.join(60)
    second.join(60)
    assert made == [inputs["name"]] * 2 and roles(server) == [inputs["name"]]


def test_a_preview_adopts_and_touches_nothing(server: Server, plugins: Plugins, states: StateFiles) -> None:
    killed = states.session(plugins)
    name, _ = killed.create(ROLE, checked(killed, INPUTS), preview=False)
    preview = states.session(plugins)
    assert preview.create(ROLE, checked(preview, INPUTS), preview=True)[0] == ""
    after = states.session(plugins)
    assert after.create(ROLE, checked(after, INPUTS), preview=False)[0] == name


def test_a_failed_creation_leaves_no_entry(server: Server, plugins: Plugins, states: StateFiles) -> None:
    server.client("iam").create_role(RoleName="taken", AssumeRolePolicyDocument=TRUST)
    session = states.session(plugins)
    with pytest.raises(Refused, match='creating aws:iam/role:Role "worker": CreateRole: EntityAlreadyExists: .*taken'):
        session.create(ROLE, checked(session, {**INPUTS, "name": "taken"}), preview=False)
    assert plugins.stacks() == {}


ATTACHED = "urn:pulumi:dev::proj::aws:iam/rolePolicyAttachment:RolePolicyAttachment::a"
POLICY = "urn:pulumi:dev::proj::aws:iam/policy:Policy::q"
INLINE = "urn:pulumi:dev::proj::aws:iam/rolePolicy:RolePolicy::p"


def test_a_destroy_removes_what_a_killed_update_hung_on_something(
    server: Server, plugins: Plugins, states: StateFiles
) -> None:
    """The engine knows the role, and the killed update's answers about the rest never arrived."""
    inputs, name, outputs = a_role_in_state(plugins, states)
    killed = states.session(plugins)
    killed.create(INLINE, checked(killed, {"role": name, "policy": ALLOW}, urn=INLINE), preview=False)
    arn, _ = killed.create(POLICY, checked(killed, {"policy": ALLOW}, urn=POLICY), preview=False)
    killed.create(ATTACHED, checked(killed, {"role": name, "policyArn": arn}, urn=ATTACHED), preview=False)
    states.session(plugins).delete(ROLE, name, outputs)
    assert roles(server) == []
    assert plugins.stacks() == {"proj/dev": 1}, "the policy hangs on nothing that went: it waits for the sweep"


GROUPS = [f"urn:pulumi:dev::proj::aws:ec2/securityGroup:SecurityGroup::{name}" for name in ("one", "other")]
RULES = [f"urn:pulumi:dev::proj::aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule::{name}" for name in "ab"]


def test_deletions_at_once_wait_for_what_the_other_removes(
    server: Server, plugins: Plugins, states: StateFiles
) -> None:
    """Two security groups, of which a killed update has let each into the other."""
    vpc = server.client("ec2").create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    known = states.session(plugins)
    made = [known.create(urn, checked(known, {"vpcId": vpc}, urn=urn), preview=False) for urn in GROUPS]
    killed = states.session(plugins)
    for urn, (mine, _), (others, _) in zip(RULES, made, reversed(made), strict=True):
        rule = {"securityGroupId": mine, "referencedSecurityGroupId": others, "ipProtocol": "-1"}
        killed.create(urn, checked(killed, rule, urn=urn), preview=False)
    destroying = states.session(plugins)
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(destroying.delete, urn, *one) for urn, one in zip(GROUPS, made, strict=True)]:
            done.result()
    assert plugins.stacks() == {}


def test_a_destroy_leaves_what_the_engine_knows_and_what_strangers_hung_on_something(
    server: Server, plugins: Plugins, states: StateFiles
) -> None:
    inputs, name, outputs = a_role_in_state(plugins, states)
    before = states.session(plugins)
    given = checked(before, {"role": name, "policy": ALLOW}, urn=INLINE)
    identifier, made = before.create(INLINE, given, preview=False)
    states.write((ROLE, name, inputs, outputs), (INLINE, identifier, given, made))
    with pytest.raises(Refused, match="DeleteConflict"):
        states.session(plugins).delete(ROLE, name, outputs)
    states.session(plugins).delete(INLINE, identifier, made)
    server.client("iam").put_role_policy(RoleName=name, PolicyName="stranger", PolicyDocument=ALLOW)
    with pytest.raises(Refused, match="DeleteConflict"):
        states.session(plugins).delete(ROLE, name, outputs)
    assert roles(server) == [name]


def test_a_sweep_removes_what_is_left_in_the_right_order(server: Server, plugins: Plugins, states: StateFiles) -> None:
    session = states.session(plugins)
    name, _ = session.create(ROLE, checked(session, INPUTS), preview=False)
    policy = "urn:pulumi:dev::proj::aws:iam/rolePolicy:RolePolicy::p"
    session.create(policy, checked(session, {"role": name, "policy": ALLOW}, urn=policy), preview=False)
    other = ROLE.replace("dev", "prod")
    states.write(stack="proj/prod")
    kept, _ = session.create(other, checked(session, INPUTS, urn=other), preview=False)
    assert plugins.stacks() == {"proj/dev": 2, "proj/prod": 1}
    assert plugins.sweep("proj", "dev") == [policy, ROLE]
    assert roles(server) == [kept] and plugins.stacks() == {"proj/prod": 1}


def test_a_sweep_that_gets_stuck_says_on_what(
    server: Server, plugins: Plugins, states: StateFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = states.session(plugins)
    session.create(ROLE, checked(session, INPUTS), preview=False)

    def refuse(*_: Any) -> None:
        raise ClientError({"Error": {"Code": "DeleteConflict", "Message": "in use"}}, "DeleteRole")

    monkeypatch.setattr(Role, "delete", refuse)
    with pytest.raises(SweepIncomplete, match="worker: .*DeleteConflict"):
        plugins.sweep("proj", "dev")
    assert plugins.stacks() == {"proj/dev": 1}


def test_the_ledger_survives_its_process(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    ledger = Ledger(path)
    entry = ledger.made(
        ledger.begin(ROLE, "eu-west-1", {"a": [1.5, {"b": None}]}, Origin("../state", 7)), "arn", "id", {"arn": "arn"}
    )
    ledger.begin(ROLE, "eu-west-1", {}, Origin())
    ledger.close()
    assert path.stat().st_mode & 0o777 == 0o600
    again = Ledger(path)
    assert again.of(ROLE)[-1] == entry and len(again.of(ROLE)) == 2
    again.close()


def test_an_older_ledger_may_have_told_resources_apart_by_something_else(plugins: Plugins, tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    ledger = Ledger(path)
    ledger.made(ledger.begin(VERSION, "eu-west-1", {}, Origin()), "arn", "arn|1", {"arn": "arn"})
    ledger.close()
    again = Ledger(path)
    assert again.find(VERSION, "arn|1") is not None and again.find(VERSION, "arn") is None
    again.close()


def test_what_is_remembered_cannot_be_read_from_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    ledger = Ledger(path)
    ledger.made(
        ledger.begin(ROLE, "eu-west-1", {"password": "a secret of somebody"}, Origin()),
        "i",
        "i",
        {"token": "another one"},
    )
    ledger.close()
    assert b"secret" not in path.read_bytes() and b"another" not in path.read_bytes()
    again = Ledger(path)
    assert again.of(ROLE)[0].inputs == {"password": "a secret of somebody"}
    again.close()
    key = path.with_name("ledger.key")
    own = key.read_text()
    for content, why in (
        (base64.b64encode(b"x" * 32), "encrypted with another key"),
        (b"\xff no key", "it holds no key"),
        (b"", "it holds no key"),
    ):
        key.write_bytes(content)
        with pytest.raises(LocalCloudError, match=why):
            Ledger(path)
    key.unlink()
    with pytest.raises(LocalCloudError, match="ledger.key cannot be used: it is missing"):
        Ledger(path)
    assert not key.exists(), "it can still be put back"
    key.write_text(own)
    Ledger(path).close()
    key.unlink()
    with pytest.raises(LocalCloudError, match="it is missing"):
        Ledger(path)
