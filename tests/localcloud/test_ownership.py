"""Each resource has one owner, whatever a stack lives through: 300 lives; `python -m soak --parts lives` has 10,000."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from soak.ownership import life, tell


@given(st.data())
@settings(max_examples=150, suppress_health_check=list(HealthCheck))
def test_no_two_owners_and_nothing_lost(data: st.DataObject) -> None:
    with life(lambda below: data.draw(st.integers(0, below - 1))) as one:
        one.live(data.draw(st.integers(3, 10)))


@pytest.mark.parametrize("hundred", range(3))
def test_no_two_owners_and_nothing_lost_in_known_lives(hundred: int) -> None:
    for number in range(hundred * 50, hundred * 50 + 50):
        tell(number)
