"""AWS's limits on what a definition of a state machine leads to, worked out from the definition itself.

Source: "Quotas related to state machine executions", Step Functions developer guide; `overrides` of RunTask, ECS API
reference. An execution that reaches the first of them fails, and all of its tasks with it.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

MOST_EVENTS = 25_000
"""In the history of one execution."""

MAX_PARALLEL_ITEMS = 10
"""Items of a fan-out at a time, where nobody says how many. RunTask admits 20 launches a second on Fargate for the
whole account: a wide fan-out must not starve the rest.
"""
MOST_PARALLEL_ITEMS = 40
"""An inline Map does not run more at once, whatever it is asked for ("Map state", Step Functions developer guide)."""

MOST_DEFINITION_BYTES = 1024 * 1024

MOST_OVERRIDES_CHARACTERS = 8_192
"""What a run changes of its task definition, JSON's marks included."""

MOST_PARAMS_CHARACTERS = 6_000
"""Parameters of one run as JSON, so that what else a run hands over has room."""

States = Mapping[str, Mapping[str, Any]]

ENTER_AND_EXIT = 2
TASK_EVENTS = 4
"""Scheduled, started, submitted, and how it ended."""
MAP_EVENTS, ITERATION_EVENTS = 2, 2
"""Started and ended."""


def most_events(definition: Mapping[str, Any], attempts: int, items: int = 1) -> int:
    """The longest history that an execution can have whose loops go round `attempts` times, with so many items."""
    # The execution's own start and end.
    return 2 + _longest(definition["States"], definition["StartAt"], attempts, items)


def most_items(definition: Mapping[str, Any], attempts: int) -> int:
    """How many items fit into one execution."""
    none, one = (most_events(definition, attempts, items) for items in (0, 1))
    return (MOST_EVENTS - none) // max(1, one - none)


def _longest(states: States, start: str, attempts: int, items: int) -> int:
    """A loop is the way back to a state that leads here; each adds its length for every further attempt."""
    backs = _backs(states, start)

    @cache
    def from_to(name: str, end: str | None) -> int | None:
        """Events of the longest way from a state to `end`, or to wherever it ends; None if there is no way."""
        here = _events(states[name], attempts, items)
        if name == end:
            return here
        ways = [from_to(after, end) for after in _next(states[name]) if (name, after) not in backs]
        lengths = [way for way in ways if way is not None]
        if not lengths:
            return here if end is None and not any(True for _ in _next(states[name])) else None
        return here + max(lengths)

    loops = sum(from_to(to, back) or 0 for back, to in backs)
    return (from_to(start, None) or 0) + (attempts - 1) * loops


def _events(state: Mapping[str, Any], attempts: int, items: int) -> int:
    match state["Type"]:
        case "Task":
            again: int = sum(retrier.get("MaxAttempts", 3) for retrier in state.get("Retry", ()))
            return ENTER_AND_EXIT + TASK_EVENTS * (1 + again)
        case "Map":
            processor = state["ItemProcessor"]
            each = ITERATION_EVENTS + _longest(processor["States"], processor["StartAt"], attempts, items)
            return ENTER_AND_EXIT + MAP_EVENTS + each * items
        case "Parallel":
            branches = (_longest(branch["States"], branch["StartAt"], attempts, items) for branch in state["Branches"])
            return ENTER_AND_EXIT + MAP_EVENTS + sum(branches)
        case _:
            return ENTER_AND_EXIT


def _next(state: Mapping[str, Any]) -> Iterator[str]:
    yield from (state[key] for key in ("Next", "Default") if key in state)
    yield from (rule["Next"] for key in ("Choices", "Catch") for rule in state.get(key, ()))


def _backs(states: States, start: str) -> set[tuple[str, str]]:
    """The steps that lead back to a state on the way here."""
    steps: set[tuple[str, str]] = set()
    done: set[str] = set()

    def walk(name: str, way: tuple[str, ...]) -> None:
        if name in done:
            return
        for after in _next(states[name]):
            if after in (*way, name):
                steps.add((name, after))
            else:
                walk(after, (*way, name))
        done.add(name)

    walk(start, ())
    return steps
