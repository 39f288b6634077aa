"""A Pulumi language host for Python, for machines without the official distribution.

The official host comes with Pulumi's installers only; a `pulumi` built from Go modules has none. The engine starts
`pulumi-language-python <engine host:port>`, reads one line (a port) from its stdout and speaks
`pulumirpc.LanguageRuntime` to it:

    server.py    the host: answers the engine, starts programs and policy packs
    program.py   the child: runs one program with the interpreter of the project's virtual environment

What it does not do, unlike the official one: install dependencies (`make up` does), generate code, find plugins.
"""
