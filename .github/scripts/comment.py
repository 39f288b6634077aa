"""`comment.py NUMBER FILE…`: each file becomes a comment of pull request NUMBER, and takes its earlier one's place.

A file's first line is a marker by which its comment is found again; a comment counts only if a bot wrote it, so that
nobody else's is overwritten. A second line ONLY_TO_UPDATE: where there is no comment yet, none
is written. Needs GITHUB_TOKEN, GITHUB_REPOSITORY and, from GitHub, GITHUB_API_URL. Standard library
only: it runs without the project.
"""

import json
import os
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PAGE = 100
ONLY_TO_UPDATE = "<!-- only to update -->"


def ask(method: str, path: str, body: dict[str, str] | None = None) -> Any:
    request = urllib.request.Request(
        f"{os.environ.get('GITHUB_API_URL', 'https://api.github.com')}/repos/{os.environ['GITHUB_REPOSITORY']}/{path}",
        data=json.dumps(body).encode() if body else None,
        method=method,
        headers={
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {os.environ['GITHUB_TOKEN']}",
            "X-GitHub-Api-Version": "2022-11-28",
        },
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def comments(number: int) -> Iterator[dict[str, Any]]:
    page = 1
    while found := ask("GET", f"issues/{number}/comments?per_page={PAGE}&page={page}"):
        yield from found
        if len(found) < PAGE:
            return
        page += 1


def publish(number: int, text: str) -> str:
    """Write the comment or bring it up to date; which of the two."""
    marker = text.split("\n", 1)[0]
    if not marker.startswith("<!-- herd "):
        raise SystemExit("the file has no marker in its first line; nothing was written")
    for comment in comments(number):
        # GitHub may hand the text back with other ends of lines.
        if comment["user"]["type"] == "Bot" and comment["body"].splitlines()[:1] == [marker]:
            if comment["body"].splitlines() == text.splitlines():
                return "unchanged"
            ask("PATCH", f"issues/comments/{comment['id']}", {"body": text})
            return "updated"
    if text.splitlines()[1:2] == [ONLY_TO_UPDATE]:
        return "not needed"
    ask("POST", f"issues/{number}/comments", {"body": text})
    return "written"


def refusal(why: str) -> int:
    """Say it; the exit status of wrong input."""
    print(f"comment.py: {why}; nothing was written", file=sys.stderr)
    return 2


def main(arguments: list[str]) -> None:
    number, files = next(iter(arguments), ""), arguments[1:]
    if not (number.isascii() and number.isdigit()):
        sys.exit(refusal(f"{number!r} is no pull request's number"))
    if missing := [file for file in files if not Path(file).is_file()]:
        sys.exit(refusal(f"{missing[0]!r} is no file"))
    for file in files:
        print(f"{file}: {publish(int(number), Path(file).read_text())}")


if __name__ == "__main__":
    main(sys.argv[1:])
