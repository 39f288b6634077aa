"""What hurts an environment, on purpose and by seed: kills, commands that meet, cycles; and what must hold afterwards.

`world.py` is a small environment in a checkout of its own and everything that can be known of it from outside;
`kills.py`, `meetings.py` and `cycles.py` are the scenarios. `python -m soak` (`make soak`) carries many of each out and
writes docs/soak-report.md.
"""
