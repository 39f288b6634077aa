"""Containers by Docker: each task in a network of its own, as on Fargate.

api.py speaks to the daemon; settings.py turns a `Container` into what it takes; engine.py starts, follows and stops
them; network.py makes a task's network, with pause.py inside it; reaper.py ends what a killed local cloud has left.
"""
