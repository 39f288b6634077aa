"""Tools that must be on the machine: uv, the project's packages, Pulumi and its Python language host.

Standard library only: `src/herd/toolchain/setup.py` uses these modules with the system's Python, before there is a
`.venv`.
"""
