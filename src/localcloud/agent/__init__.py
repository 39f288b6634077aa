"""The agent: it looks at what the API's clients declared and makes it true.

`Agent` wires the parts: `tasks` (through an engine), `services` (deployments, health), `schedules` (cron), `events`,
`logs`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from localcloud.agent.agent import Agent

__all__ = ["Agent"]


def __getattr__(name: str) -> Any:
    # Late, because the server's rules use `localcloud.agent.cron` and the agent uses the server.
    if name == "Agent":
        from localcloud.agent.agent import Agent

        return Agent
    raise AttributeError(name)
