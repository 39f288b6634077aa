"""Amazon States Language: paths, error names, waiting, and what an abort leaves behind."""

from __future__ import annotations

import logging
import re
import sys
import threading
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import moto.stepfunctions.parser.models  # noqa: F401 - loads the modules that import names from one another
from jsonpath_ng.ext import parse
from moto.stepfunctions.parser import utils
from moto.stepfunctions.parser.asl.component import eval_component
from moto.stepfunctions.parser.asl.component.common.error_name.error_name import ErrorName
from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl
from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration import iteration_worker
from moto.stepfunctions.parser.asl.component.state.exec.state_parallel import branches_decl
from moto.stepfunctions.parser.asl.eval import environment
from moto.stepfunctions.parser.asl.parse import asl_parser
from moto.stepfunctions.parser.asl.utils import json_path

DEFINITE_PATH = re.compile(r"\$(\.[\w\-]+|\['[^']*'\]|\[\d+\])*")
"""A path that names one place, such as `$.Containers[0].ExitCode`."""

ABORT_POLL_SECONDS = 0.1

KEPT_TREES = 16
KEPT_CHARACTERS = 32_000
"""Of so many definitions, none longer, the parse trees are kept: 140 bytes a character, some MB for an environment."""


def apply() -> None:
    """Correct the interpreter where it differs from AWS's."""
    _patch_paths()
    _patch_error_names()
    _patch_retry_wait()
    _patch_abort()
    _drop_thread_list()
    _keep_trees()
    # eval_component.py:48 logs an error for each failure of a state, also of one that is caught: it is the person's
    # program that failed, and the execution's history says so.
    logging.getLogger(eval_component.__name__).setLevel(logging.CRITICAL)


def replace_everywhere(name: str, value: Any) -> int:
    """Replace a function that moto's Step Functions modules import by name from one another; how many had it."""
    count = 0
    for module_name, module in list(sys.modules.items()):
        if module_name.startswith("moto.stepfunctions.parser") and hasattr(module, name):
            setattr(module, name, value)
            count += 1
    return count


def _keep_trees() -> None:
    # stepfunctions/parser/asl/parse/asl_parser.py:49 parses a definition when it is validated, when its machine is made
    # and at each start of an execution: the grammar takes four fifths of that. Only the tree is kept, which nobody
    # changes; what an execution evaluates is made of it anew.
    def tree_of(definition: str) -> Any:
        errors = asl_parser.SyntaxErrorListener()
        lexer = asl_parser.ASLLexer(asl_parser.InputStream(definition))
        parser = asl_parser.ASLParser(asl_parser.CommonTokenStream(lexer))
        parser.removeErrorListeners()
        parser.addErrorListener(errors)
        tree = parser.state_machine()
        if errors.errors:
            raise asl_parser.ASLParserException(errors=errors.errors)
        return tree

    kept = lru_cache(maxsize=KEPT_TREES)(tree_of)

    def parse_definition(definition: str) -> tuple[Any, Any]:
        tree = (kept if len(definition) <= KEPT_CHARACTERS else tree_of)(definition)
        return asl_parser.Preprocessor().visit(tree), tree

    asl_parser.AmazonStateLanguageParser.parse = staticmethod(parse_definition)


def _patch_paths() -> None:
    # stepfunctions/parser/asl/utils/json_path.py:47: `$.Containers[0].ExitCode` gave [0] where AWS gives 0.
    cached: Callable[[str], Any] = lru_cache(maxsize=4096)(parse)
    json_path.parse = cached
    stock = json_path.extract_json

    def extract_json(path: str, data: Any) -> Any:
        if not DEFINITE_PATH.fullmatch(path):
            return stock(path, data)
        matches = cached(path).find(data)
        if not matches:
            raise json_path.NoSuchJsonPathError(json_path=path, data=data)
        return matches[0].value

    replace_everywhere("extract_json", extract_json)


def _patch_error_names() -> None:
    # branches_decl.py:102, iteration_worker.py:91 refuse any `States.…` error of a branch or an item with a ValueError,
    # so that Retry and Catch on a Parallel or Map never saw States.TaskFailed.
    branches_decl.CustomErrorName = ErrorName
    iteration_worker.CustomErrorName = ErrorName


def _patch_retry_wait() -> None:
    # retrier_decl.py:107 sleeps through StopExecution and time limits.
    current = threading.local()
    stock = retrier_decl.RetrierDecl._eval_body

    def eval_body(self: Any, env: Any) -> None:
        current.env = env
        stock(self, env)

    class InterruptibleTime:
        @staticmethod
        def sleep(seconds: float) -> None:
            deadline = time.monotonic() + seconds
            while current.env.is_running() and (left := deadline - time.monotonic()) > 0:
                time.sleep(min(ABORT_POLL_SECONDS, left))

    retrier_decl.RetrierDecl._eval_body = eval_body
    retrier_decl.time = InterruptibleTime


def _patch_abort() -> None:
    # eval/environment.py:211: the error that an abort causes inside a Map turned ABORTED into FAILED.
    stock = environment.Environment.set_error

    def set_error(self: Any, error: Any) -> None:
        if not isinstance(self._program_state, (environment.ProgramStopped, environment.ProgramTimedOut)):
            stock(self, error)

    environment.Environment.set_error = set_error


class _Forgetful(list[Any]):
    def append(self, item: Any) -> None:
        """Keep nothing."""


def _drop_thread_list() -> None:
    # stepfunctions/parser/utils.py:5 keeps each thread that was ever started.
    utils.TMP_THREADS = _Forgetful()
    replace_everywhere("TMP_THREADS", utils.TMP_THREADS)
