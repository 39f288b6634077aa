"""The commands, by concern: deploy, run, inspect, develop, machine. Thin: they read arguments, call, and show."""
