"""Run a notebook (.ipynb, or a script with cells) from its first cell to its last and make one page of it.

Run by the workload's own Python, with the packages of its image; it imports nothing of Herd:

    python render_notebook.py NOTEBOOK PAGE PARAMETERS [--no-input]
"""

from __future__ import annotations

import atexit
import json
import os
import re
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any, NoReturn

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [os.getcwd(), *(path for path in sys.path if os.path.abspath(path or ".") != HERE)]

LAST_LINES = 12
"""Of a traceback: the log of a run ends with them."""

LONGEST_FOLDER = 55
"""Of a socket's path, which may have 107 characters, the folder's part."""

MEMORY = 128 + signal.SIGKILL
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
MATHS = re.compile(r"(?<!\\)\$[^$\s][^$]*\$|\\\(|\\\[|\\begin\{")

ASSIGNMENTS = {
    "python": lambda name, value: f"{name} = {value!r}",
    "r": lambda name, value: f"{name} <- {str(value).upper() if isinstance(value, bool) else json.dumps(value)}",
}
"""How a parameter is set, by the notebook's language."""


def fail(message: str, status: int = 1) -> NoReturn:
    print(message, file=sys.stderr, flush=True)
    raise SystemExit(status)


def main(source: str, page: str, params: dict[str, Any], with_input: bool) -> None:
    needed = ["nbconvert", "ipykernel", *(["jupytext"] if source.endswith(".py") else [])]
    try:
        import ipykernel  # noqa: F401
        import nbformat
        from nbclient.exceptions import CellExecutionError, DeadKernelError
        from nbconvert import HTMLExporter

        notebook: Any = nbformat.read(source, as_version=4) if source.endswith(".ipynb") else script(source)
    except ImportError as missing:
        fail(
            f"{source}: a notebook needs {', '.join(needed[:-1])} and {needed[-1]} among the packages of its image "
            f"(requirements.in there, then lock), or in a lock file of its own: {missing}"
        )
    except Exception as error:  # nbformat raises what json and jsonschema do
        fail(f"{source}: is not a notebook: {last(str(error), 1)}")
    inject(notebook, params)
    client = client_of(notebook)
    try:
        client.execute()
    except CellExecutionError as error:
        fail(failure(source, notebook, error))
    except DeadKernelError:
        fail(f"{source}: the kernel died while it ran {running(notebook)}; most likely it used too much memory", MEMORY)
    except Exception as error:
        fail(f"{source}: {type(error).__name__}: {error}")
    write(HTMLExporter, notebook, source, page, with_input)


def script(source: str) -> Any:
    import jupytext

    return jupytext.read(source)


def client_of(notebook: Any) -> Any:
    from jupyter_client.kernelspec import KernelSpecManager
    from nbclient import NotebookClient
    from traitlets.config import Config

    class Client(NotebookClient):  # type: ignore[misc]
        def output(self, outs: Any, msg: Any, display_id: Any, cell_index: int) -> Any:
            """What cells print is in the log at once."""
            if msg["msg_type"] == "stream":
                to = sys.stderr if msg["content"]["name"] == "stderr" else sys.stdout
                print(msg["content"]["text"], end="", file=to, flush=True)
            return super().output(outs, msg, display_id, cell_index)

    wanted = notebook.metadata.get("kernelspec", {})
    name, language = wanted.get("name", "python3"), str(wanted.get("language", "python")).lower()
    # The name of a kernel is the author's machine's; here there is one Python, the image's.
    if name not in KernelSpecManager().find_kernel_specs() and language == "python":
        name = "python3"
    folder = tempfile.mkdtemp(prefix="k-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ["JUPYTER_RUNTIME_DIR"] = folder
    # Sockets in a folder of this run's own: others on the machine cannot listen, and no port can be taken twice.
    manager = {"transport": "ipc"} if len(folder) <= LONGEST_FOLDER else {}
    resources = {"metadata": {"path": os.getcwd()}}
    client = Client(
        notebook, timeout=None, kernel_name=name, resources=resources, config=Config({"KernelManager": manager})
    )

    def end(number: int, frame: object) -> None:
        """The kernel is in a session of its own and would not hear of it."""
        provisioner = getattr(client.km, "provisioner", None)
        if provisioner is not None and getattr(provisioner, "pid", None):
            os.killpg(os.getpgid(provisioner.pid), signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(128 + number)

    # nbclient sets a handler of its own before this hook.
    client.on_notebook_start = lambda **_: signal.signal(signal.SIGTERM, end)
    return client


def inject(notebook: Any, params: dict[str, Any]) -> None:
    """After the cell that has the tag `parameters`, or at the beginning, a cell that sets those of the run."""
    import nbformat

    cells = [cell for cell in notebook.cells if "injected-parameters" not in tags(cell)]
    language = notebook.metadata.get("kernelspec", {}).get("language") or notebook.metadata.get(
        "language_info", {}
    ).get("name", "python")
    assign = ASSIGNMENTS.get(str(language).lower())
    if params and assign is not None:
        text = "\n".join(["# parameters of this run", *(assign(name, value) for name, value in params.items())])
        cell = nbformat.v4.new_code_cell(text, metadata={"tags": ["injected-parameters"]})
        place = next((number for number, one in enumerate(cells) if "parameters" in tags(one)), -1)
        cells.insert(place + 1, cell)
        if notebook.nbformat_minor < 5:
            cell.pop("id", None)
    notebook.cells = cells


def tags(cell: Any) -> list[str]:
    return list(cell.metadata.get("tags", []))


def code_cells(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code" and "injected-parameters" not in tags(cell)]


def running(notebook: Any) -> str:
    """The cell that was started and has not ended; cells are counted as their author sees them."""
    for number, cell in enumerate(code_cells(notebook), 1):
        times = cell.metadata.get("execution", {})
        if "iopub.execute_input" in times and "shell.execute_reply" not in times:
            return f"code cell {number}"
    return "a cell"


def failure(source: str, notebook: Any, error: Any) -> str:
    where, text, trace = "the cell with the parameters of the run", "", str(error)
    for number, cell in enumerate(code_cells(notebook), 1):
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                where, text, trace = f"code cell {number}", cell.source, "\n".join(output.traceback) or str(error)
    lines = [line for line in text.strip().splitlines() if line.strip()]
    shown = [f"    {line}" for line in lines[:4]] + (["    …"] if len(lines) > 4 else [])
    trace = last(re.sub(r"^-{10,}$", "", ESCAPES.sub("", trace), flags=re.MULTILINE), LAST_LINES)
    ends_with = f"{source}: {where} failed: {error.ename}: {last(ESCAPES.sub('', error.evalue), 3)}"
    return "\n".join([f"{source}, {where}:", *shown, trace, ends_with])


def last(text: str, count: int) -> str:
    return "\n".join([line for line in text.strip().splitlines() if line.strip()][-count:])


def write(exporter_class: Any, notebook: Any, source: str, page: str, with_input: bool) -> None:
    from jinja2 import DictLoader
    from nbconvert.preprocessors import TagRemovePreprocessor

    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    heading = re.search(r"^#\s+(.+)$", text, re.MULTILINE)
    exporter = exporter_class(embed_images=True, exclude_input_prompt=True, exclude_output_prompt=True)
    exporter.exclude_input = not with_input
    # The page asks nobody for what it does not need: require.js is for old charts, MathJax for formulas.
    exporter.require_js_url = exporter.jquery_url = ""
    if not MATHS.search(text):
        exporter.mathjax_url = ""
    if "mermaid" not in json.dumps(notebook):
        exporter.extra_loaders = [
            DictLoader({"mermaidjs.html.j2": "{% macro mermaid_js(url, elk_url) %}{% endmacro %}"})
        ]
    for cell in notebook.cells:
        if "injected-parameters" in tags(cell):
            cell.metadata["tags"] = [*tags(cell), "remove-cell"]
    removed = {"remove_cell_tags": {"remove-cell", "remove_cell"}, "remove_input_tags": {"remove-input", "hide-input"}}
    remove = TagRemovePreprocessor(enabled=True, remove_all_outputs_tags={"remove-output"}, **removed)
    notebook, _ = remove.preprocess(notebook, {})
    title = heading[1].strip() if heading else Path(source).stem
    body, _ = exporter.from_notebook_node(notebook, {"metadata": {"name": title, "path": os.getcwd()}})
    Path(page).write_text(body, "utf-8")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), "--no-input" not in sys.argv[4:])
