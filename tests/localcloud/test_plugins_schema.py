"""The table language, acceptance, comparison by meaning, and the way to the API and back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.plugins.acceptance import accept
from localcloud.plugins.comparison import changes, covers, paths_of_change, same
from localcloud.plugins.conversion import camel, from_api, pascal, to_api
from localcloud.plugins.resource import REGISTRY
from localcloud.plugins.schema import Field, Fields, table
from localcloud.plugins.types import load_types
from localcloud.plugins.values import UNKNOWN, Props, dump, has_unknown, load

load_types()

TABLE = table("""
    name ! ^            # a comment
    size int default:3
    open bool
    labels map
    zones set
    order list
    policy policy
    network object =networkConfiguration.awsvpc
        subnets set !
        public bool
    rules bag
        port int !
        from
    arn ~
""")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name strin", "unknown word 'strin'"),
        ("name object", "object with 0 properties"),
        ("name\n    inner", "string with 1 properties"),
        ("a\n        b\n    c", "1 properties|bad indentation"),
    ],
)
def test_a_wrong_table_is_no_table(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        table(text)


@pytest.mark.parametrize(
    ("given_", "path", "reason"),
    [
        ({"name": "a", "sise": 3}, "sise", "Did you mean 'size'"),
        ({"name": "a", "arn": "x"}, "arn", "does not support the property 'arn'"),
        ({}, "name", "needs 'name'"),
        ({"name": "a", "size": "many"}, "size", "a whole number, not 'many'"),
        ({"name": "a", "size": 1.5}, "size", "a whole number"),
        ({"name": "a", "open": "maybe"}, "open", "true or false"),
        ({"name": "a", "zones": "z"}, "zones", "a list of strings"),
        ({"name": "a", "labels": {"a": {}}}, "labels", "a map of strings"),
        ({"name": "a", "policy": "{"}, "policy", "not valid JSON"),
        ({"name": "a", "network": {"subnetz": []}}, "network.subnetz", "Did you mean 'network.subnets'"),
        ({"name": "a", "rules": [{"port": 1}, {"from": "x"}]}, "rules[1].port", "needs 'rules[1].port'"),
        ({"name": "a", "rules": {"port": 1}}, "rules", "a list of objects"),
    ],
)
def test_what_is_refused_is_named(given_: Props, path: str, reason: str) -> None:
    problems = accept(TABLE, given_, of="aws:x/y:Y")[1]
    assert path in [problem.path for problem in problems]
    assert any(reason in problem.reason for problem in problems if problem.path == path)


def test_all_problems_are_told_at_once() -> None:
    assert len(accept(TABLE, {"sise": 1, "open": 3, "network": {}}, of="T")[1]) == 4


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("size", "4", 4.0),
        ("name", 7.0, "7"),
        ("name", True, "true"),
        ("open", "true", True),
        ("labels", {"a": 1.0}, {"a": "1"}),
    ],
)
def test_numbers_and_texts_are_taken_for_each_other(name: str, value: Any, kept: Any) -> None:
    accepted, problems = accept(TABLE, {"name": "a", name: value}, of="T")
    assert accepted[name] == kept and not problems


def test_unknown_values_are_accepted_everywhere_and_equal_nothing() -> None:
    props = {name: UNKNOWN for name, field in TABLE.items() if not field.output} | {"network": {"subnets": [UNKNOWN]}}
    accepted, problems = accept(TABLE, props, of="T")
    assert accepted == props and not problems
    assert set(changes(TABLE, accepted, accepted)) >= {"name"} or same(
        TABLE["network"], accepted["network"], accepted["network"]
    )
    assert not same(TABLE["name"], UNKNOWN, "a") and not same(TABLE["name"], UNKNOWN, UNKNOWN)


ALLOW = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": ["a:B", "a:A"], "Resource": "*", "Principal": "*"}],
}
SAID_OTHERWISE = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": {"Principal": {"AWS": "*"}, "Effect": "Allow", "Action": ["a:A", "a:B"], "Resource": ["*"]},
    }
)


@pytest.mark.parametrize(
    ("name", "one", "other", "equal"),
    [
        ("size", 3.0, None, True),
        ("size", 4.0, None, False),
        ("open", False, None, True),
        ("zones", ["a", "b"], ["b", "a"], True),
        ("order", ["a", "b"], ["b", "a"], False),
        ("labels", {}, None, True),
        ("rules", [{"port": 1.0}, {"port": 2.0}], [{"port": 2.0}, {"port": 1.0}], True),
        ("rules", [{"port": 1.0}], [{"port": 2.0}], False),
        ("network", {"subnets": ["a"], "public": False}, {"subnets": ["a"]}, True),
        ("policy", json.dumps(ALLOW), SAID_OTHERWISE, True),
        ("policy", json.dumps(ALLOW), json.dumps(ALLOW).replace("Allow", "Deny"), False),
        ("policy", json.dumps(ALLOW), json.dumps(ALLOW).replace("a:A", "a:C"), False),
    ],
)
def test_values_are_compared_by_meaning(name: str, one: Any, other: Any, equal: bool) -> None:
    assert same(TABLE[name], one, other) is equal
    assert (name in changes(TABLE, {name: one}, {name: other})) is not equal


def test_what_aws_chooses_is_kept_when_left_out() -> None:
    fields = table("zone ?\nplain")
    assert changes(fields, {"zone": "a", "plain": "a"}, {}) == ["plain"]
    assert changes(fields, {"zone": "a"}, {"zone": "b"}) == ["zone"]


def test_only_what_was_declared_counts_as_drift() -> None:
    assert covers(TABLE["network"], {"subnets": ["b", "a"], "public": True}, {"subnets": ["a", "b"]})
    assert not covers(TABLE["network"], {"subnets": ["a"], "public": True}, {"subnets": ["a"], "public": False})
    assert covers(TABLE["rules"], [{"port": 2.0, "from": "x"}, {"port": 1.0}], [{"port": 1.0}, {"port": 2.0}])
    assert not covers(TABLE["rules"], [{"port": 1.0}], [{"port": 1.0}, {"port": 2.0}])


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ({"a": "1"}, {"a": "2", "b": "3"}, [("p.a", "update"), ("p.b", "add")]),
        ({"x.y": "1"}, {}, [('p["x.y"]', "delete")]),
        (["a", "b"], ["a"], [("p[1]", "delete")]),
        ([{"a": 1.0}], [{"a": 2.0}], [("p[0].a", "update")]),
        (None, "x", [("p", "add")]),
        ("x", "x", []),
    ],
)
def test_paths_of_change(old: Any, new: Any, found: list[tuple[str, str]]) -> None:
    assert paths_of_change(old, new, "p") == found


texts = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=8)
plain = st.recursive(
    st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | texts | st.just(UNKNOWN),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(texts, plain, max_size=4))
def test_values_survive_the_wire(props: Props) -> None:
    assert load(dump(props)) == props


@given(plain)
def test_unknown_is_found_wherever_it_is(value: Any) -> None:
    assert has_unknown(value) == (repr(UNKNOWN) in repr(value))


def values_of(field: Field) -> st.SearchStrategy[Any]:
    some = st.text(alphabet="abc", min_size=1, max_size=3)
    match field.kind:
        case "int":
            return st.integers(1, 9).map(float)
        case "number":
            return st.sampled_from([0.5, 2.0])
        case "bool":
            return st.booleans()
        case "json" | "policy":
            return st.sampled_from(['{"a": ["b"]}', "[]", json.dumps(ALLOW)])
        case "list":
            return st.lists(some, min_size=1, max_size=3)
        case "set":
            return st.lists(some, min_size=1, max_size=3, unique=True)
        case "map":
            return st.dictionaries(some, some, min_size=1, max_size=3)
        case "asset":
            mark = {"4dabf18193072939515e22adb298388d": "c44067f5952c0a294b673a41bacd8c17"}
            return some.map(lambda text: {**mark, "hash": text, "text": text})
        case "archive":
            mark = {"4dabf18193072939515e22adb298388d": "0def7320c3a5731c473e5ecbe6d01bc7"}
            return some.map(lambda text: {**mark, "hash": text, "assets": {}})
        case "object":
            return inputs_of(field.fields)
        case "objects" | "bag":
            return st.lists(inputs_of(field.fields), min_size=1, max_size=2)
        case _:
            return some


def inputs_of(fields: Fields) -> st.SearchStrategy[Props]:
    given_ = {name: values_of(field) for name, field in fields.items() if not field.output}
    optional = {name: value for name, value in given_.items() if not fields[name].required}
    return st.fixed_dictionaries({name: given_[name] for name in given_ if fields[name].required}, optional=optional)


TYPES = st.sampled_from(sorted(REGISTRY))


@given(st.data())
def test_every_type_accepts_what_its_table_says_and_sees_no_difference_in_it(data: st.DataObject) -> None:
    kind = REGISTRY[data.draw(TYPES)]
    inputs = data.draw(inputs_of(kind.fields))
    accepted, problems = accept(kind.fields, inputs, of=kind.token)
    assert not problems
    assert accept(kind.fields, accepted, of=kind.token) == (accepted, [])
    assert changes(kind.fields, inputs, accepted) == []
    assert all(covers(kind.fields[name], value, value) for name, value in accepted.items())


@given(st.data())
def test_what_goes_to_the_api_comes_back(data: st.DataObject) -> None:
    kind = REGISTRY[data.draw(TYPES)]
    sent = {name: field for name, field in kind.fields.items() if field.member != "-" and not field.output}
    inputs = data.draw(inputs_of({name: field for name, field in sent.items() if not _hidden(field)}))
    for spelling in (pascal, camel):
        assert changes(sent, inputs, from_api(sent, to_api(sent, inputs, spelling), spelling)) == []


def _hidden(field: Field) -> bool:
    return any(inner.member == "-" or _hidden(inner) for inner in field.fields.values())


@given(st.data())
def test_order_matters_only_where_it_should(data: st.DataObject) -> None:
    kind = REGISTRY[data.draw(TYPES)]
    loose = {name: field for name, field in kind.fields.items() if field.kind in ("set", "bag")}
    inputs = data.draw(inputs_of(loose))
    mixed = {name: data.draw(st.permutations(value)) for name, value in inputs.items()}
    assert changes(loose, inputs, mixed) == []
