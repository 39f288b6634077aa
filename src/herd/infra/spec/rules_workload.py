"""Rules over several settings of one workload, and over the folders beside it.

A rule yields the settings that it looked at (the first is the one to change) and the message. When one of those
settings is wrong by itself the message is dropped: it would only repeat the problem in other words.
"""

import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from herd.infra import capacity
from herd.infra.capacity import placement
from herd.infra.messages import did_you_mean, show
from herd.infra.spec.checks import ConnectionCheck
from herd.infra.spec.files import SETTINGS
from herd.infra.spec.models import (
    KINDS,
    OF_DUE_TIMES,
    SERVED_BY,
    SERVERS,
    AnySpec,
    BatchSpec,
    JobSpec,
    ReportSpec,
    ServiceSpec,
    WorkloadSpec,
)
from herd.infra.spec.values import SHELL
from herd.infra.states import limits
from herd.infra.states.asl import Target
from herd.infra.states.job import job_definition
from herd.runner.contract.kinds import PAGES, Kind
from herd.runner.contract.renderers import CELL, FIRST, RENDER, RENDERERS, documents_of, render_problems, renderer_of

Finding = tuple[tuple[str, ...], str]

# A task definition has 64 KB for everything. Source: "Amazon ECS task definition parameters", ECS developer guide.
MOST_CHARACTERS = 20_000

RUNS_SCRIPTS = {
    **dict.fromkeys(("python", "python3"), (".py",)),
    "Rscript": (".R", ".r"),
    **dict.fromkeys(("bash", "sh", "source", "."), (".sh", ".bash")),
}
"""Programs that run a script, and what scripts of theirs end with."""

LOCKS = ("requirements.lock", "renv.lock", "uv.lock")
"""Package layers that a workload's folder may have."""

MANY_ATTEMPTS = 100
"""Below so many attempts of items no run comes near the limit of events, so that it need not be worked out."""


def default_command(folder: Path, kind: Kind) -> tuple[list[str], str]:
    """The command and the file that decided it; raises ValueError when none or several are there.

    A script comes first; a report may be documents: the one called `report`, or else all that lie there.
    """
    choice = KINDS[kind].commands
    scripts = [file for file in choice if (folder / file).is_file()]
    documents = _documents(folder) if kind in PAGES else []
    first = [name for name in documents if PurePosixPath(name).stem in FIRST]
    # A text beside a script may be what the script makes its page of.
    rivals = [*scripts, *(name for name in first if not (scripts and name.endswith(".md")))]
    if len(rivals) > 1:
        raise ValueError(f"command is missing: {' and '.join(rivals)} are both there; say which one to run")
    if scripts:
        return list(choice[scripts[0]]), scripts[0]
    if documents:
        rendered = first or documents
        return [RENDER, *rendered], rendered[0]
    more = [f"report{suffix}" for suffix in RENDERERS] if kind in PAGES else []
    raise ValueError(f"command is missing: say what to run, or add one of {', '.join([*choice, *more])}")


def _documents(folder: Path) -> list[str]:
    """What can be rendered, in order. A name that begins with _ is what others include, a README for colleagues."""
    try:
        names = sorted(path.name for path in folder.iterdir() if path.is_file())
    except OSError:
        return []
    return [
        name
        for name in names
        if renderer_of(name) is not None
        and not name.startswith(("_", ".", "-"))
        and PurePosixPath(name).stem.upper() != "README"
        and (not name.endswith(".py") or _has_cells(folder / name))
    ]


def _has_cells(script: Path) -> bool:
    try:
        return any(line.startswith(CELL) for line in script.read_text("utf-8", "replace").splitlines())
    except OSError:
        return False


def findings(root: Path, spec: AnySpec) -> Iterator[Finding]:
    """Everything that is wrong with one workload although each of its settings is right."""
    yield from _memory(spec)
    yield from _size(spec)
    for name in sorted(spec.env.keys() & spec.secrets.keys()):
        yield ("secrets", "env"), f"[secrets] {name} stands in [env] too; a variable has one value: remove one of them"
    yield from _folders(root, spec)
    yield from _script(root, spec, "command", spec.command)
    yield from _language(root, spec)
    yield from _rendered(root, spec)
    match spec:
        case ServiceSpec():
            yield from _served(root, spec)
            if spec.replicas.min > spec.replicas.max:
                low, high = spec.replicas.min, spec.replicas.max
                yield ("replicas",), f"replicas.min = {low} is above replicas.max = {high}"
        case BatchSpec():
            yield from _batch(spec)
    if isinstance(spec, JobSpec):
        yield from _script(root, spec, "publish", spec.publish)
        if spec.publish and spec.fan_out:
            yield (
                ("publish", "fan_out"),
                "publish and fan_out exclude each other: items end one by one, so none of them can publish for all; "
                "let a job that comes `after` this one check and publish what its items have staged",
            )


def _memory(spec: WorkloadSpec) -> Iterator[Finding]:
    sizes = placement(spec.hardware).memory_gb
    if sizes is None:
        if not 0.125 <= spec.memory_gb <= 32_768:
            yield ("memory_gb",), f"memory_gb = {spec.memory_gb:g} is out of range; allowed: 0.125 or more"
        return
    try:
        allowed = sizes[capacity.known_cpu(spec.cpu)]
    except ValueError as unknown:
        yield ("cpu", "hardware"), f"cpu = {spec.cpu:g} {unknown}"
        return
    if spec.memory_gb not in allowed:
        pair = f"memory_gb = {spec.memory_gb:g} is not available with cpu = {spec.cpu:g}"
        yield ("memory_gb", "cpu"), f"{pair}; allowed: {capacity.describe(allowed)}"


def _size(spec: WorkloadSpec) -> Iterator[Finding]:
    values = [*spec.env.items(), *spec.params.items()]
    size = sum(len(name) + len(str(value)) for name, value in values)
    if size > MOST_CHARACTERS:
        more = f"{size:,} characters; allowed: up to {MOST_CHARACTERS:,}, larger things belong in files"
        yield ("env", "params"), f"[env] and [params] together have {more}"


def _folders(root: Path, spec: WorkloadSpec) -> Iterator[Finding]:
    if not (root / "images" / spec.image / "Dockerfile").is_file():
        hint = did_you_mean(spec.image, (path.parent.name for path in root.glob("images/*/Dockerfile")))
        yield ("image",), f"image = {show(spec.image)} is not there: no images/{spec.image}/Dockerfile{hint}"
    for name in spec.uses:
        if not (root / "lib" / name).is_dir():
            hint = did_you_mean(name, (path.name for path in root.glob("lib/[a-z]*") if path.is_dir()))
            yield ("uses",), f"uses: {show(name)} is not a folder of lib/{hint}"


def _script(root: Path, spec: WorkloadSpec, setting: str, command: tuple[str, ...]) -> Iterator[Finding]:
    """`["python", "trian.py"]` would be noticed minutes later, in the cloud."""
    for name in scripts_of(command):
        script, folder = PurePosixPath(name), root / spec.folder
        if ".." in script.parts or not (folder / script).is_file():
            hint = did_you_mean(script.name, (path.name for path in folder.glob(f"*{script.suffix}")))
            yield (setting,), f"{setting}: {show(name)} is not a file of {spec.folder.as_posix()}{hint}"


def scripts_of(command: Sequence[str]) -> list[str]:
    """The scripts that a command runs and that must lie in the workload's folder, as far as that can be seen.

    Of a line for the shell: none where it goes to another folder, and none that an earlier step may make.

    >>> scripts_of(["python", "-u", "train.py"]), scripts_of([*SHELL, "curl -o x.py $URL && python x.py"])
    (['train.py'], [])
    >>> scripts_of([*SHELL, "set -e; exec Rscript a.R | tee log && python b.py --to c.py"])
    ['a.R', 'b.py']
    """
    if tuple(command[:-1]) != SHELL:
        return _scripts([list(command)])
    steps, before = [], ""
    for step in re.split(r"&&|\|\||[;|\n]", command[-1]):
        try:
            words = [word for word in shlex.split(step, comments=True) if not re.fullmatch(r"[A-Za-z_]\w*=.*", word)]
        except ValueError:
            return []
        if words[:1] in (["cd"], ["pushd"]):
            break
        steps += [words] if not any(word in before for word in _scripts([words])) else []
        before += step
    return _scripts(steps)


def _scripts(steps: Iterable[Sequence[str]]) -> list[str]:
    """The first script of each step that begins with a program that runs one."""
    scripts = []
    for words in steps:
        rest = list(words[1:] if words[:1] in (["exec"], ["time"], ["nice"]) else words)
        if not rest or rest[0] not in RUNS_SCRIPTS:
            continue
        for word in rest[1:]:
            if word.startswith("-") and word not in ("-m", "-c", "-e", "-"):
                continue
            script = PurePosixPath(word)
            fits = script.suffix in RUNS_SCRIPTS[rest[0]] and not script.is_absolute() and word.isprintable()
            scripts += [word] if fits and not set("$*`<>(){}~") & set(word) else []
            break
    return scripts


def _language(root: Path, spec: WorkloadSpec) -> Iterator[Finding]:
    """A program of R in an image whose base has Python only, and the other way round."""
    first = {words[0] for words in ([*spec.command], spec.command[-1].split()) if words}
    of_r = any(renderer_of(document) is RENDERERS[".Rmd"] for document in documents_of(spec.command))
    dockerfile = root / "images" / spec.image / "Dockerfile"
    if not dockerfile.is_file():
        return
    text = "\n".join(
        line for line in dockerfile.read_text("utf-8", "replace").splitlines() if not line.lstrip().startswith("#")
    )
    for language, needed, base, also in (
        ("R", of_r or "Rscript" in first, _PYTHON_BASE, _HAS_R),
        ("Python", bool({"python", "python3"} & first), _R_BASE, _HAS_PYTHON),
    ):
        if needed and re.search(base, text) and not re.search(also, text):
            others = [
                path.parent.name
                for path in sorted(root.glob("images/*/Dockerfile"))
                if re.search(also, path.read_text("utf-8", "replace"))
            ]
            how = f"write image = {show(others[0])}" if others else "docs/guide/images.md says how to make one"
            yield (
                ("image", "command"),
                f"image = {show(spec.image)} has no {language}, which the command of {spec.folder.as_posix()} needs; "
                f"{how}",
            )


_PYTHON_BASE = r"(?im)^(?:ARG\s+BASE=|FROM\s+)(?:[\w.:/-]*/)?python:"
_R_BASE = r"(?im)^(?:ARG\s+BASE=|FROM\s+)(?:[\w.:/-]*/)?(?:r-base|r-ver|rocker/[\w-]+):"
_HAS_R = r"(?i)\br-base|\br-ver\b|\brocker\b|\brscript\b|\bR_VERSION\b|\br2u\b|\brig\b"
_HAS_PYTHON = r"(?i)python|miniconda|\buv\b"


def _rendered(root: Path, spec: WorkloadSpec) -> Iterator[Finding]:
    """Documents: they are there, and what makes pages of them is among the packages."""
    if spec.command[0] != RENDER:
        return
    for problem in render_problems(spec.command):
        yield ("command",), f"command: {problem}"
    folder = root / spec.folder
    for document in documents_of(spec.command):
        renderer = renderer_of(document)
        if ".." in PurePosixPath(document).parts or not (folder / document).is_file():
            suffix = PurePosixPath(document).suffix
            hint = did_you_mean(document, (path.name for path in folder.glob("*") if path.suffix == suffix))
            yield ("command",), f"command: {show(document)} is not a file of {spec.folder.as_posix()}{hint}"
        elif renderer is not None and renderer.lock is not None:
            source = _source(root, spec, renderer.lock)
            lacking = _lacking(source[0], renderer.packages) if source is not None else []
            if source is not None and lacking:
                yield (
                    ("command", "image"),
                    f"{document}: {renderer.what} needs {' and '.join(lacking)} in {source[1].as_posix()}; add what is "
                    "missing and lock again",
                )


SOURCES = {
    "requirements": {"requirements.lock": "requirements.in", "uv.lock": "pyproject.toml"},
    "renv": {"renv.lock": "renv.lock"},
}
"""Lock files, and the file that a person changes, by the kind of packages."""


def _source(root: Path, spec: WorkloadSpec, kind: str) -> tuple[Path, Path] | None:
    """The lock that a workload's packages come from, and what is changed for it; None where that is not known here."""
    if any((root / spec.folder).glob("*.py.lock")):
        return None
    for folder in (spec.folder, Path("images", spec.image)):
        for lock, source in SOURCES[kind].items():
            if (root / folder / lock).is_file():
                return root / folder / lock, folder / source
    return None


def _served(root: Path, spec: ServiceSpec) -> Iterator[Finding]:
    """What serves a file that is an API by itself is among the packages."""
    lock = Path("images", spec.image, "renv.lock")
    for file, package in SERVED_BY.items():
        if spec.command == SERVERS[file] and (root / lock).is_file() and _lacking(root / lock, [package]):
            message = f"{file}: needs {package} in {lock.as_posix()}; add what is missing and lock again"
            yield ("command", "image"), message


def _lacking(lock: Path, packages: Iterable[str]) -> list[str]:
    """Which of the packages a lock file does not have."""
    text = lock.read_text("utf-8", "replace")
    if lock.stem == "renv":
        return [name for name in packages if not re.search(rf'"{re.escape(name)}"\s*:\s*\{{', text)]
    if lock.stem == "uv":
        text = "\n".join(re.findall(r'^name = "([^"]+)"', text, re.MULTILINE))
    locked = {re.sub(r"[-_.]+", "-", name).lower() for name in re.findall(r"^([A-Za-z0-9][\w.-]*)", text, re.MULTILINE)}
    return [name for name in packages if name not in locked]


def _events(spec: BatchSpec) -> Iterator[Finding]:
    """AWS ends an execution whose history is full, and with it all tasks that still run."""
    attempts = spec.retries + 1
    if len(spec.fan_out) * attempts < MANY_ATTEMPTS:
        return
    definition = job_definition(spec, spec.name, Target("", "", "", "", (), ()))
    most = limits.most_items(definition, attempts)
    if len(spec.fan_out) > most:
        yield (
            ("fan_out", "retries"),
            f"fan_out has {len(spec.fan_out)} items, which with retries = {spec.retries} can take more than the "
            f"{limits.MOST_EVENTS:,} events that AWS allows one run; allowed: up to {most} items, or fewer retries",
        )


def _needs_a_schedule(spec: BatchSpec) -> Iterator[Finding]:
    """Settings of due times, where there are none."""
    if spec.schedule:
        return
    for setting in OF_DUE_TIMES:
        value = getattr(spec, setting)
        if value in (None, "none"):
            continue
        written = f"{setting} = {show(value)}"
        if spec.after:
            first = spec.after[0]
            yield (
                (setting, "after"),
                f"{written} means nothing beside after: its pipeline starts it, and what that begins with has the "
                f"{setting} of all; move it there (look at {show(first)} first), or remove it",
            )
        else:
            yield (
                (setting, "schedule"),
                f"{written} means nothing without a schedule: it is started by hand only; add a schedule or remove it",
            )


def _cache(spec: BatchSpec) -> Iterator[Finding]:
    """What a run leaves is never part of the image, so code that lay there would be missing."""
    files = {SETTINGS, *LOCKS} | ({PurePosixPath(spec.command[1]).as_posix()} if len(spec.command) > 1 else set())
    for path in spec.cache:
        for file in sorted(files):
            if file == path or file.startswith(f"{path}/"):
                yield ("cache", "command"), f"cache: {show(path)} holds {file}, which comes with each deployment"


def _mail(spec: BatchSpec) -> Iterator[Finding]:
    if isinstance(spec, ReportSpec) and spec.mail != "link" and not spec.mail_to:
        yield ("mail",), f"mail = {show(spec.mail)} means nothing without mail_to, which says who gets it"


def _parallel(spec: BatchSpec) -> Iterator[Finding]:
    if "max_parallel" in spec.model_fields_set and not spec.fan_out:
        yield (
            ("max_parallel",),
            f"max_parallel = {spec.max_parallel} means nothing without fan_out: add the items, or remove it",
        )


def _batch(spec: BatchSpec) -> Iterator[Finding]:
    if spec.schedule and spec.after:
        yield (
            ("after", "schedule"),
            "schedule and after exclude each other: a workload starts by the clock or after others; remove one",
        )
    yield from _needs_a_schedule(spec)
    yield from _cache(spec)
    yield from _parallel(spec)
    yield from _mail(spec)
    yield from _events(spec)
    if spec.name in spec.after:
        yield ("after",), f"after: {show(spec.name)} is this workload itself"
    for number, check in enumerate(spec.checks, 1):
        for problem in check.problems():
            yield ("check",), f"[[check]] no. {number}: {problem}"
        if isinstance(check, ConnectionCheck) and check.connection not in spec.connects:
            hint = did_you_mean(check.connection, spec.connects)
            yield (
                ("check", "connects"),
                f"[[check]] no. {number}: connection = {show(check.connection)} is not in connects{hint}; write: "
                f"connects = [{', '.join(show(name) for name in (*spec.connects, check.connection))}]",
            )
