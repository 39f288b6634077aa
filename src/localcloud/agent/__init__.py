"""The agent: it looks at what the API's clients declared and makes it true.

`agent.agent.Agent` wires the parts: `tasks` (through an engine), `services` (deployments, health), `schedules`,
`events`, `logs`.
"""
