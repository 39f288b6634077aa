"""moto's core: memory and speed."""

from __future__ import annotations

import ast
import threading
from collections.abc import Callable, Iterator
from functools import lru_cache, wraps
from typing import Any

from moto import backends
from moto.core import common_models, config, responses, utils
from moto.moto_server import werkzeug_app

from localcloud import api_models


def apply() -> None:
    """Forget deleted models, read API models and module names once, execute state machines, send no CORS headers."""
    _parse_one_at_a_time()
    _forget_models()
    # core/utils.py:438: for each service lists all services anew, and in each of the threads that ask for it at once.
    utils.create_loader = api_models.once(utils.create_loader)
    _cache_look_ups()
    # core/config.py:56: off, and with it StartExecution answers RUNNING for ever.
    config.default_user_config["stepfunctions"]["execute_state_machine"] = True
    # moto_server/werkzeug_app.py:35: otherwise any web page may read the answers.
    werkzeug_app.DISABLE_GLOBAL_CORS = True


def _parse_one_at_a_time() -> None:
    # Before CPython 3.11.8 and 3.12.2 two threads in ast.parse() share one counter: SystemError "AST constructor
    # recursion depth mismatch" (python/cpython#106905). werkzeug parses when a service's routes are first needed,
    # jinja2 for each template, the state machines for each string; requests and machines have threads of their own.
    parse, lock = ast.parse, threading.RLock()

    @wraps(parse)
    def parse_alone(*args: Any, **kwargs: Any) -> Any:
        with lock:
            return parse(*args, **kwargs)

    ast.parse = parse_alone


def _forget_models() -> None:
    # core/common_models.py:8 keeps each model instance ever made (log lines, tasks, metrics) for /moto-api/data.json.
    def new(cls: type, *_: Any, **__: Any) -> Any:
        return object.__new__(cls)

    common_models.BaseModel.__new__ = new


def _cache_look_ups() -> None:
    # backends.py:189 lists a directory and calls isdir() 182 times for every request: a third of a small call's time.
    modules = tuple(backends.list_of_moto_modules())

    def list_of_moto_modules() -> Iterator[str]:
        return iter(modules)

    backends.list_of_moto_modules = list_of_moto_modules
    # core/utils.py: inspects the whole class for every request.
    cached: Callable[[type], list[str]] = lru_cache(maxsize=None)(utils.method_names_from_class)
    for module in (utils, responses):
        module.method_names_from_class = cached
