"""The executable that the engine starts as a provider plugin: it asks the running local cloud for one, and waits.

    launcher.py ENDPOINT PACKAGE [flags] <the engine's host:port>

Prints the port of a fresh provider instance, keeps its connection to the local cloud open for as long as the engine
lives (the instance ends with it), and ends when the engine or the local cloud does. It imports little, because the
engine starts it once an update and a provider. `install_plugins` writes the executables that call it: ENDPOINT is the
file in which the local cloud says where it is, PACKAGE the provider's name.
"""

import json
import os
import select
import signal
import socket
import sys

NEEDED = {"docker": ("DOCKER_AUTH_CONFIG", "DOCKER_CONFIG", "HOME", "PATH")}
"""Package -> variables of the engine's environment: Docker's configuration is found by them (docker_config.py)."""


def main(endpoint: str, package: str, engine: str) -> int:
    """Serve one engine; the exit status."""
    try:
        with open(endpoint, encoding="utf-8") as file:
            control = json.load(file)["control"]
        cloud = socket.socket(socket.AF_UNIX)
        cloud.settimeout(20)
        cloud.connect(control)
        environment = {name: os.environ[name] for name in NEEDED.get(package, ()) if name in os.environ}
        request = {
            "do": "plugin", "package": package, "engine": engine, "cwd": os.getcwd(),
            "home": os.path.expanduser("~"), "backend": os.environ.get("PULUMI_BACKEND_URL", ""),
            "skip_checkpoints": os.environ.get("PULUMI_SKIP_CHECKPOINTS", ""),
            "environment": environment,
        }  # fmt: skip
        cloud.sendall(json.dumps(request).encode() + b"\n")
        answer = json.loads(read_line(cloud))
    except (OSError, ValueError, KeyError) as error:
        print(f"the local cloud does not answer ({error}): start it first", file=sys.stderr)
        return 1
    if "port" not in answer:
        print(answer.get("error", "the local cloud refused the plugin"), file=sys.stderr)
        return 1
    print(answer["port"], flush=True)
    wait(engine, cloud)
    return 0


def read_line(connection: socket.socket) -> bytes:
    """One line of the answer."""
    line = b""
    while not line.endswith(b"\n"):
        chunk = connection.recv(65536)
        if not chunk:
            raise OSError("it closed the connection")
        line += chunk
    return line


def wait(engine: str, cloud: socket.socket) -> None:
    """Return when the engine or the local cloud has gone.

    The engine closes idle connections now and then, so a closed one counts only when no new one can be made.
    """
    host, _, port = engine.rpartition(":")
    while True:
        try:
            watched = socket.create_connection((host, int(port)), 5)
        except (OSError, ValueError):
            return
        while True:
            ready = select.select([watched, cloud], [], [])[0]
            if cloud in ready:
                return
            if not watched.recv(65536):
                watched.close()
                break


def stop(*_: object) -> None:
    """The engine asks for the end."""
    os._exit(0)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[-1]))
