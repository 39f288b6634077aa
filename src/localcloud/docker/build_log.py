"""What BuildKit prints when a build fails, as one message: the step, the last lines of its log, and what to do."""

from __future__ import annotations

import re
from collections.abc import Sequence

LAST_LINES = 12

_LINE = re.compile(r"#\d+ (?:\d+\.\d+ )?(?P<text>.*)")
_STEP = re.compile(r"#(?P<number>\d+) \[(?P<step>[^\]]*\d+/\d+)\] (?P<text>.*)")
_MARK = re.compile(r"#\d+ sha256:[0-9a-f]{64}")
_FAILED = re.compile(r"#(?P<number>\d+) ERROR: (?P<text>.*)")

ADVICE = (
    (r"no space left on device|disk quota exceeded",
     "the disk of Docker is full: `docker system df` shows what takes it; make room and run it again"),
    (r"failed to (compute cache key|calculate checksum)|not found: not found$",
     "COPY names what is not in the build context: correct the path, or .dockerignore"),
    (r"pull access denied|failed to resolve source metadata|failed to do request|manifest unknown"
     r"|registry-1\.docker\.io",
     "the base image cannot be had: correct the FROM line (or its ARG), or pull it first"),
    (r"lookup \S+.*(no such host|server misbehaving|i/o timeout)|failed to resolve|Could not resolve host"
     r"|Temporary failure (in name resolution|resolving)|dns error|Name or service not known",
     "a name did not resolve while building: is the network there, and is a mirror to be named (PIP_INDEX_URL, "
     "UV_DEFAULT_INDEX)?"),
    (r"does not match the (sha256|hash)|THESE PACKAGES DO NOT MATCH THE HASHES|[Hh]ash mismatch|--require-hashes"
     r"|Hashes? (are|is) required|lock ?file .*(out of date|needs to be updated)|out.of.sync",
     "the lock file is out of step with what is installed: lock it again (herd image lock NAME) and commit it"),
    (r"Unable to locate package (?P<what>\S+)",
     "Debian has no package {what}: correct its name in the Dockerfile, or run `apt-get update` in the same RUN"),
    (r"[Cc]onnection refused|Connection timed out|Network is unreachable|error sending request|No route to host"
     r"|Failed to connect|tcp connect error",
     "a package repository did not answer while building: is it up, and reachable from a container?"),
    (r"No matching distribution found for (?P<what>\S+)|(?P<other>[\w.-]+) was not found in the package registry",
     "the package index has no {what} for this Python: correct the lock file's version, or the index"),
    (r"certificate verify failed|UnknownIssuer|self.signed certificate",
     "a proxy's certificate is not trusted in the build: name the file of its roots in SSL_CERT_FILE; the Dockerfile "
     "mounts it as the secret `ca`"),
    (r"(?P<what>[\w./-]+): (command )?not found|exec: \"?(?P<other>[\w./-]+)\"?: executable file not found",
     "the image has no program {what} at this step: install the package that brings it in a RUN above"),
    (r"exec format error", "the image is for another processor than this machine's"),
    (r"dockerfile parse error|unknown instruction|unknown flag", "correct that line of the Dockerfile"),
)  # fmt: skip
"""The first that matches the failed step's lines is said."""


def message(lines: Sequence[str]) -> str:
    """Of a build's whole output, for a person."""
    step, said = _failed_step(lines)
    error = next((line for line in reversed(lines) if line.strip()), "it says nothing").strip()
    error = re.sub(r"^(ERROR: )?(failed to solve: |failed to solve with frontend \S+: )*", "", error)
    # The step's own words first: what follows them repeats the whole command.
    texts = ["\n".join(said), error]
    advice = next(filter(None, map(_advice, texts)), "")
    head = f"{step}: failed" if step else error
    shown = [line for line in said if line.strip()][-LAST_LINES:]
    parts = [head, *(f"    {line}" for line in shown)]
    if step and not shown:
        parts.append(f"    {error}")
    return "\n".join([*parts, *([advice] if advice else [])])


def _failed_step(lines: Sequence[str]) -> tuple[str, list[str]]:
    """The instruction that failed, and what it printed."""
    steps: dict[str, str] = {}
    failed = ""
    for line in lines:
        if match := _STEP.match(line):
            steps[match["number"]] = match["text"]
        elif match := _FAILED.match(line):
            failed = match["number"]
    if failed not in steps:
        return "", []
    said = []
    for line in lines:
        match = _LINE.match(line)
        if match and line.startswith(f"#{failed} ") and not any(one.match(line) for one in (_STEP, _FAILED, _MARK)):
            said.append(match["text"].rstrip())
    return _shortened(steps[failed]), said


def _advice(text: str) -> str:
    for pattern, advice in ADVICE:
        if match := re.search(pattern, text, re.MULTILINE | re.IGNORECASE):
            what = next((value for value in match.groupdict().values() if value), "")
            return advice.format(what=what)
    return ""


def _shortened(text: str, limit: int = 160) -> str:
    line = " ".join(text.split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"
