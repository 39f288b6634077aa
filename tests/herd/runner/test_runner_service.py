"""Services: started without inputs, kept current beside the running program, stopped gracefully."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import Any

Make = Callable[..., Any]

# Says what it sees until it is told to stop; `readlink` shows that one look at the link gives one whole version.
WATCH = """
trap 'echo bye; exit 0' TERM
echo up $PORT $HERD_BASE_PATH $HERD_INPUT_MODEL_URI
while :; do
    v=$(readlink inputs/model) && [ "$v" != "$old" ] && old=$v && echo "sees $(cat "$v/name" "$v/other" | tr '\\n' ' ')"
    sleep 0.05
done
"""


def publish(make: Make, run_id: str) -> None:
    assert make("model", "echo $HERD_RUN_ID | tee outputs/name > outputs/other").run(run_id).status == 0


def lines_until(process: Any, words: str) -> str:
    seen = ""
    deadline = time.monotonic() + 60
    while words not in seen:
        line = process.stdout.readline()
        assert line and time.monotonic() < deadline, seen
        seen += line
    return seen


def test_a_service_starts_without_inputs_and_takes_up_new_versions(make: Make) -> None:
    api = make("api", WATCH, kind="api", reads=["model"], port=8000, base_path="/api")
    process = api.start("s1", HERD_REFRESH_SECONDS="0.2")
    assert process.stdout.readline() == f"up 8000 /api s3://{api.bucket}/model/\n"
    for run_id in ("r1", "r2", "r3", "r4"):
        publish(make, run_id)
        lines_until(process, f"sees {run_id} {run_id} ")
    process.send_signal(signal.SIGTERM)
    log, _ = process.communicate(timeout=60)
    assert process.returncode == 0 and log.endswith("bye\n")


def test_the_port_that_the_platform_chose_wins(make: Make) -> None:
    api = make("api", "echo port $PORT; exit 3", kind="api", port=8000)
    run = api.run("s1", PORT="41234")
    assert run.status == 3 and "port 41234" in run.log and "ended with exit status 3" in run.log
    assert api.keys() == [], "a service has no run records and publishes nothing"


def test_trouble_with_an_input_is_said_once_and_does_not_end_the_service(make: Make) -> None:
    publish(make, "r1")
    api = make("api", WATCH, kind="api", reads=["model", "broken"], port=8000)
    api.s3.client.put_object(Bucket=api.bucket, Key="broken/latest.json", Body=b"{}")
    process = api.start("s1", HERD_REFRESH_SECONDS="0.1")
    log = lines_until(process, "sees r1 r1")
    time.sleep(1)
    process.send_signal(signal.SIGTERM)
    log += process.communicate(timeout=60)[0]
    assert process.returncode == 0 and log.count("input broken could not be refreshed") == 1


def test_a_service_that_does_not_listen_to_sigterm_gets_its_signal_s_status(make: Make) -> None:
    api = make("api", "echo up; exec sleep 300", kind="api", port=8000)
    process = api.start("s1")
    assert process.stdout.readline() == "up\n"
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 143
