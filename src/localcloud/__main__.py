"""`python -m localcloud`: runs a local cloud, and what others do with its files.

serve            run in the foreground until SIGTERM, SIGINT or `stop`
stop             end the one that serves this home, tasks first
forget           remove what a cloud that has ended held, or move it aside
set-aside        go on without what is lost: the rest stays, and a copy of all of it
check            name the files of a cloud that has ended which cannot be read
install-plugins  write the provider executables into a PULUMI_HOME
realise          make the virtual environment of a lock file, and print its folder
find-docker      print the path of a docker whose daemon answers, and the options of `docker build` for this machine
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import signal
import sys
import time
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import NoReturn

import psutil

from localcloud.config import ENGINES, TASKS_AT_ONCE, Config, Endpoint, LocalCloudError
from localcloud.control import NotRunning, ask
from localcloud.unreadable import using

START_OBJECTS = 100_000
"""After so many new objects Python looks for cycles while the local cloud starts. After 700, as by itself, that would
take a quarter of the start's processor time: half a million objects of moto and botocore are made, and stay.
"""

STOP_SECONDS = 60.0  # tasks have half of that to end by themselves


def main(arguments: list[str] | None = None) -> int:
    """0 when it worked, 1 when it did not and standard error says why, 2 for a wrong call."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except LocalCloudError as error:
        print(f"localcloud: {error}", file=sys.stderr)
        return 1
    finally:
        gc.freeze()  # else Python, when it ends, looks through all modules for garbage


def serve(options: argparse.Namespace) -> NoReturn:
    from localcloud.cloud import LocalCloud

    config = Config(options.home.absolute(), options.cache.absolute(), options.uv, options.account, options.region)
    with using(config.home):
        config.prepare()
        _log_to(config.log_file)
    cloud = LocalCloud(config, options.port, tasks_at_once=options.tasks_at_once, engine=options.engine)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: cloud.ask_to_stop())
    usual = gc.get_threshold()
    gc.set_threshold(START_OBJECTS)
    try:
        endpoint = cloud.start()
    except LocalCloudError:
        raise
    except Exception:
        logging.getLogger("localcloud").exception("the local cloud could not start")
        raise
    gc.freeze()
    gc.set_threshold(*usual)
    print(f"ready: {endpoint.url}", flush=True)
    if options.detach:
        os.dup2(sys.stdout.fileno(), sys.stderr.fileno())  # whoever listened there has gone
    cloud.wait_until_asked()
    cloud.stop()
    # All is closed and on disk. Taking moto's and botocore's millions of objects apart one by one, as the interpreter
    # does when it ends, would take seconds in which `down` waits.
    logging.shutdown()
    sys.stdout.flush()
    os._exit(0)


def stop(options: argparse.Namespace) -> int:
    endpoint = Endpoint.read(options.home / "endpoint.json")
    if endpoint is None:
        return 0
    try:
        ask(endpoint.control, {"do": "stop"})
    except NotRunning:
        return 0
    deadline = time.monotonic() + STOP_SECONDS
    while _runs(endpoint.pid) and Endpoint.read(options.home / "endpoint.json") == endpoint:
        if time.monotonic() > deadline:
            raise LocalCloudError(f"process {endpoint.pid} has not ended after {STOP_SECONDS:.0f} s")
        time.sleep(0.05)
    return 0


def _runs(pid: int) -> bool:
    """A zombie does not: where nobody waits for orphans, as in some containers, it stays for ever."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def forget(options: argparse.Namespace) -> int:
    from localcloud import state

    config = Config(options.home.absolute(), options.home, options.home)
    if config.home.exists():
        for path in state.forget(config, options.keep):
            print(path)
    return 0


def check(options: argparse.Namespace) -> int:
    from localcloud import integrity_check

    gc.disable()  # it is over in a moment, most of which is the loading of modules
    problems = [problem.text for problem in integrity_check.problems(options.home.absolute())]
    print(*problems, sep="\n", end="\n" if problems else "")
    return 1 if problems else 0


def set_aside(options: argparse.Namespace) -> int:
    from localcloud import salvage

    aside = salvage.set_aside(Config(options.home.absolute(), options.home, options.home))
    print(aside or "nothing is lost")
    return 0


def install_plugins(options: argparse.Namespace) -> int:
    from localcloud import provider_executables

    for path in provider_executables.install_plugins(options.home.absolute(), options.pulumi_home.absolute()):
        print(path)
    return 0


def realise(options: argparse.Namespace) -> int:
    from localcloud.images.realise import RealiseError, VenvRealiser

    try:
        print(VenvRealiser(options.cache.absolute(), options.uv).realise(options.lock, lambda line: _note(line)))
    except RealiseError as error:
        raise LocalCloudError(str(error)) from error
    return 0


def find_docker(options: argparse.Namespace) -> int:
    from localcloud.docker.client import DockerClient, DockerError
    from localcloud.docker.images import sources

    try:
        client = DockerClient.find()
        client.check()
    except DockerError as error:
        raise LocalCloudError(str(error)) from error
    print(client.program, *sources(os.environ), sep="\n")
    return 0


def _note(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _log_to(path: Path) -> None:
    handler = RotatingFileHandler(path, maxBytes=5_000_000, backupCount=2)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.raiseExceptions = False  # a full disk takes no log either, and standard error is for people
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    path.chmod(0o600)
    for noisy in ("botocore", "werkzeug", "urllib3", "moto"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m localcloud", description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(required=True, metavar="command")

    command = commands.add_parser("serve", help="run a local cloud in the foreground")
    command.add_argument("--home", type=Path, required=True, help="the cloud's own folder")
    command.add_argument("--cache", type=Path, required=True, help="where virtual environments are kept")
    command.add_argument("--uv", type=Path, required=True, help="the uv executable")
    command.add_argument(
        "--port", type=int, help="default: the one used last time, at first a free one; 0: any, this once"
    )
    command.add_argument(
        "--tasks-at-once",
        type=int,
        default=os.environ.get(TASKS_AT_ONCE),
        help=f"how many tasks of jobs run at the same time; others wait for a place (default: ${TASKS_AT_ONCE}, "
        "or two a core and at least four)",
    )
    command.add_argument(
        "--detach", action="store_true", help="once it is ready, standard error goes where standard output goes"
    )
    command.add_argument(
        "--engine", choices=ENGINES, help=f"what runs tasks; default: the one used last time, at first {ENGINES[0]}"
    )
    command.add_argument("--account", default=Config.account)
    command.add_argument("--region", default=Config.region)
    command.set_defaults(run=serve)

    command = commands.add_parser("stop", help="end the local cloud of a home")
    command.add_argument("--home", type=Path, required=True)
    command.set_defaults(run=stop)

    command = commands.add_parser("forget", help="remove what a cloud that has ended held")
    command.add_argument("--home", type=Path, required=True)
    command.add_argument("--keep", action="store_true", help="move it aside instead")
    command.set_defaults(run=forget)

    command = commands.add_parser("set-aside", help="go on without what is lost of a cloud that has ended")
    command.add_argument("--home", type=Path, required=True)
    command.set_defaults(run=set_aside)

    command = commands.add_parser("check", help="name what cannot be read of a cloud that has ended")
    command.add_argument("--home", type=Path, required=True)
    command.set_defaults(run=check)

    command = commands.add_parser("install-plugins", help="write provider executables that lead to a home's cloud")
    command.add_argument("--home", type=Path, required=True)
    command.add_argument("--pulumi-home", type=Path, required=True)
    command.set_defaults(run=install_plugins)

    command = commands.add_parser("realise", help="make a lock file's virtual environment")
    command.add_argument("--lock", type=Path, required=True)
    command.add_argument("--cache", type=Path, required=True)
    command.add_argument("--uv", type=Path, required=True)
    command.set_defaults(run=realise)

    command = commands.add_parser("find-docker", help="print the path of a docker that can build images")
    command.set_defaults(run=find_docker)
    return parser


if __name__ == "__main__":
    sys.exit(main())
