"""The agent: it reconciles what runs with what the API's clients declared.

`agent.agent.Agent` wires the parts: `tasks` (through an engine), `services` (deployments, health), `schedules`,
`events`, `logs`.
"""
