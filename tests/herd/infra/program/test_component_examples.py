"""Each component that a program in `infra/` is written with begins with an example, and the example fits it."""

import ast
import inspect
import textwrap

import pytest

from herd.infra import components

MADE = sorted(
    name
    for name in components.__all__
    if inspect.isclass(getattr(components, name)) and name != "Workload"  # nobody makes one by itself
)


def example_of(component: type) -> str:
    """The first indented block of its docstring."""
    paragraphs = (inspect.getdoc(component) or "").split("\n\n")
    return textwrap.dedent(next((each for each in paragraphs if each.startswith("    ")), ""))


@pytest.mark.parametrize("name", MADE)
def test_its_example_can_be_written_so(name: str) -> None:
    component = getattr(components, name)
    tree = ast.parse(example_of(component))
    [made, *used] = tree.body
    assert isinstance(made, ast.Assign) and isinstance(made.value, ast.Call), f"{name} has no example"
    call = made.value
    target = component
    for attribute in ast.unparse(call.func).split(".")[1:]:
        target = getattr(target, attribute)
    assert ast.unparse(call.func).split(".")[0] == name
    inspect.signature(target).bind(*call.args, **{str(each.arg): each.value for each in call.keywords})
    # What the example uses of it is there.
    variable = ast.unparse(made.targets[0])
    source = "".join(inspect.getsource(base) for base in component.__mro__ if base.__module__.startswith("herd."))
    for node in (inner for statement in used for inner in ast.walk(statement)):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == variable:
            assert hasattr(component, node.attr) or f"self.{node.attr}" in source, f"{name} has no {node.attr}"
