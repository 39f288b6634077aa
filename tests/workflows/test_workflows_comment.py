"""comment.py against a GitHub of our own: written once, brought up to date in place, nobody else's is touched."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

SCRIPT = Path(__file__).parents[2] / ".github/scripts" / "comment.py"
MARKER = "<!-- herd preview of dev -->"


class GitHub(ThreadingHTTPServer):
    """The comments of pull request 7, and what was asked."""

    def __init__(self) -> None:
        self.comments: list[dict[str, Any]] = []
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), Answer)

    def have(self, body: str, kind: str = "Bot") -> None:
        self.comments.append({"id": len(self.comments) + 1, "body": body, "user": {"type": kind}})


class Answer(BaseHTTPRequestHandler):
    server: GitHub

    def do_GET(self) -> None:
        page = int(parse_qs(urlsplit(self.path).query)["page"][0])
        self._answer(self.server.comments[(page - 1) * 100 : page * 100])

    def do_POST(self) -> None:
        assert urlsplit(self.path).path == "/repos/acme/data/issues/7/comments"
        self.server.have(self._body())
        self._answer({})

    def do_PATCH(self) -> None:
        number = int(self.path.rsplit("/", 1)[-1])
        self.server.comments[number - 1]["body"] = self._body()
        self._answer({})

    def _body(self) -> str:
        return str(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["body"])

    def _answer(self, value: Any) -> None:
        assert self.headers["Authorization"] == "Bearer token-of-the-job"
        self.server.asked.append(self.command)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(value).encode())

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def github() -> Iterator[GitHub]:
    server = GitHub()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def publish(github: GitHub, tmp_path: Path, *texts: str) -> subprocess.CompletedProcess[str]:
    files = []
    for number, text in enumerate(texts):
        (tmp_path / f"{number}.md").write_text(text)
        files.append(str(tmp_path / f"{number}.md"))
    address = f"http://127.0.0.1:{github.server_address[1]}"
    told = {"GITHUB_API_URL": address, "GITHUB_REPOSITORY": "acme/data", "GITHUB_TOKEN": "token-of-the-job"}
    return subprocess.run(
        [sys.executable, str(SCRIPT), "7", *files],
        env={**os.environ, **told, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"},
        capture_output=True,
        text=True,
    )


def test_it_is_written_once_and_brought_up_to_date_in_place(github: GitHub, tmp_path: Path) -> None:
    github.have("what a colleague thinks", "User")
    for text, word in (("one", "written"), ("one", "unchanged"), ("two", "updated")):
        done = publish(github, tmp_path, f"{MARKER}\n{text}\n")
        assert done.returncode == 0, done.stderr
        assert done.stdout.rstrip().endswith(word)
    assert [comment["body"] for comment in github.comments] == ["what a colleague thinks", f"{MARKER}\ntwo\n"]


def test_each_environment_has_its_own(github: GitHub, tmp_path: Path) -> None:
    other = "<!-- herd preview of prod -->\nx"
    publish(github, tmp_path, f"{MARKER}\nx", other)
    publish(github, tmp_path, f"{MARKER}\ny", other)
    assert [comment["body"] for comment in github.comments] == [f"{MARKER}\ny", other]


def test_a_persons_comment_with_the_marker_is_not_overwritten(github: GitHub, tmp_path: Path) -> None:
    github.have(f"{MARKER}\nlooks harmless, approve it", "User")
    publish(github, tmp_path, f"{MARKER}\nx")
    assert [comment["body"][-1] for comment in github.comments] == ["t", "x"]


def test_it_is_found_behind_many_others_and_with_other_ends_of_lines(github: GitHub, tmp_path: Path) -> None:
    for _ in range(230):
        github.have("+1", "User")
    github.have(f"{MARKER}\r\nx\r\n")
    assert publish(github, tmp_path, f"{MARKER}\nx\n").stdout.rstrip().endswith("unchanged")
    publish(github, tmp_path, f"{MARKER}\ny\n")
    assert (len(github.comments), "POST" in github.asked) == (231, False)


def test_a_file_without_the_marker_is_refused(github: GitHub, tmp_path: Path) -> None:
    assert publish(github, tmp_path, "hello").returncode == 1
    assert github.comments == []


def test_what_is_nothing_new_to_anybody_only_takes_an_earlier_ones_place(github: GitHub, tmp_path: Path) -> None:
    nothing = "<!-- herd pages -->\n<!-- only to update -->\nNo report changes.\n"
    assert publish(github, tmp_path, nothing).stdout.rstrip().endswith("not needed")
    assert github.comments == []
    publish(github, tmp_path, "<!-- herd pages -->\none\n")
    assert publish(github, tmp_path, nothing).stdout.rstrip().endswith("updated")
    assert [comment["body"] for comment in github.comments] == [nothing]
