"""From a Dockerfile and its context to what the image holds: a tree of files, a configuration, and what was left out.

Planning copies nothing and runs nothing. The stages that the wanted one needs are worked out one after the other: COPY
and ADD fill the tree, ENV and the like the configuration. RUN does nothing here. What it would have made is missing,
with one exception: virtual environments, which the final stage names by labels,

    LABEL localcloud.venv./opt/venv="requirements.lock"

image path = lock file in the build context. A `COPY --from` to such a path is satisfied by it.
"""

from __future__ import annotations

import posixpath
import re
import signal
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from .context import Context, ContextError, Item
from .dockerfile import Dockerfile, ImageError, Instruction, Scope, Stage, Unsupported, declared, shortened
from .tree import Entry, File, Folder, Link, Tree, TreeError

VENV_LABEL = "localcloud.venv."

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""PATH of an image that does not set it, and what `$PATH` stands for at its first use."""

MAX_BYTES = 4 << 30
"""An image of more than 4 GiB of copied files has something in its context that does not belong there."""


@dataclass(frozen=True)
class Config:
    """What the image says about starting it; image paths throughout. None: not set."""

    environment: dict[str, str] = field(default_factory=lambda: {"PATH": DEFAULT_PATH})
    workdir: str = "/"
    entrypoint: tuple[str, ...] | None = None
    command: tuple[str, ...] | None = None
    labels: dict[str, str] = field(default_factory=dict)
    user: str = ""
    ports: tuple[str, ...] = ()
    stop_signal: str = "SIGTERM"
    shell: tuple[str, ...] = ("/bin/sh", "-c")


@dataclass(frozen=True)
class Plan:
    """An image to be built. `venvs` is image path → lock file; `recipe` is the text of what was evaluated."""

    tree: Tree
    config: Config
    venvs: dict[str, Item]
    recipe: tuple[str, ...]
    not_exercised: tuple[str, ...]


def plan(dockerfile: Dockerfile, context: Context, target: str | None = None) -> Plan:
    """Work out the image of the last stage, or of `target`. Raises `ImageError` with every problem."""
    number = len(dockerfile.stages) - 1 if target is None else dockerfile.find(target)
    if number is None:
        names = ", ".join(stage.name for stage in dockerfile.stages)
        raise ImageError([f"Dockerfile: has no stage '{target}'; there are: {names}"])
    planner = _Planner(dockerfile, context, venv_paths=_labelled(dockerfile, number))
    built = planner.stage(number)
    venvs = planner.venvs(built)
    size = sum(entry.item.size for _, entry in built.tree.items() if isinstance(entry, File))
    if size > MAX_BYTES:
        planner.problems.append(f"Dockerfile: copies {size >> 20} MiB; at most {MAX_BYTES >> 20} (.dockerignore?)")
    if planner.problems:
        raise ImageError(planner.problems)
    return Plan(built.tree, built.config, venvs, tuple(planner.recipe), tuple(dict.fromkeys(planner.left_out)))


def _labelled(dockerfile: Dockerfile, number: int) -> frozenset[str]:
    """The image paths that venv labels name, found first because COPY lines above a label rely on them."""
    paths: set[str] = set()
    base: int | None = number
    while base is not None:
        stage = dockerfile.stages[base]
        for instruction in stage.instructions:
            if instruction.name == "LABEL":
                keys = (arg.partition("=")[0].strip("\"'") for arg in instruction.args)
                paths.update(posixpath.normpath(key[len(VENV_LABEL) :]) for key in keys if key.startswith(VENV_LABEL))
        base = dockerfile.find(stage.base, before=base)
    return frozenset(paths)


@dataclass
class _Built:
    """A stage while and after it is worked out."""

    tree: Tree
    config: Config
    scope: Scope
    command_is_own: bool = False


class _Planner:
    """Works out stages; each once."""

    def __init__(self, dockerfile: Dockerfile, context: Context, venv_paths: frozenset[str]) -> None:
        self._dockerfile = dockerfile
        self._context = context
        self._venv_paths = venv_paths
        self._stages: dict[int, _Built] = {}
        self._digests: dict[str, str] = {}
        self.problems: list[str] = []
        self.recipe: list[str] = []
        self.left_out: list[str] = []

    def stage(self, number: int) -> _Built:
        """The tree and configuration of a stage."""
        if number not in self._stages:
            stage = self._dockerfile.stages[number]
            built = self._start(stage, number)
            self.recipe.append(f"FROM {stage.base}")
            for instruction in stage.instructions:
                self.recipe.append(
                    " ".join([instruction.text, *(f"{k}={v}" for k, v in sorted(built.scope.args.items()))])
                )
                try:
                    self._apply(instruction, built, number)
                except (Unsupported, ContextError, TreeError) as error:
                    self.problems.append(instruction.problem(str(error)))
            self.left_out += [f"${name} of the base image, taken as empty" for name in sorted(built.scope.unknown)]
            self._stages[number] = built
        return self._stages[number]

    def venvs(self, built: _Built) -> dict[str, Item]:
        """The labelled virtual environments and their lock files."""
        sources = {}
        for label, value in built.config.labels.items():
            if label.startswith(VENV_LABEL):
                path = label[len(VENV_LABEL) :]
                try:
                    items = self._context.find(value)
                    if len(items) != 1 or items[0].is_folder:
                        raise ContextError(f"{value}: must be one file in the build context")
                    sources[_image_path(path, "/")] = items[0]
                except (Unsupported, ContextError) as error:
                    self.problems.append(f"Dockerfile: LABEL {label}: {error}")
        return sources

    def _start(self, stage: Stage, number: int) -> _Built:
        base = self._dockerfile.find(stage.base, before=number)
        if base is None:
            if stage.base != "scratch":
                self.left_out.append(f"FROM {stage.base}: its files and system packages; this machine's are used")
            config = Config()
            return _Built(Tree(), config, Scope(self._dockerfile.escape, dict(config.environment)))
        parent = self.stage(base)
        return _Built(
            parent.tree.copy(), parent.config, Scope(self._dockerfile.escape, dict(parent.config.environment))
        )

    def _apply(self, instruction: Instruction, built: _Built, number: int) -> None:
        match instruction.name:
            case "COPY" | "ADD":
                self._copy(instruction, built, number)
            case "WORKDIR":
                path = _image_path(built.scope.expand(instruction.args[0]), built.config.workdir)
                if path not in self._venv_paths:
                    built.tree.put(path, Folder())
                built.config = replace(built.config, workdir=path)
            case "ARG":
                names = (arg.partition("=")[0] for arg in instruction.args)
                inherited = {n: v for n in names if (v := self._dockerfile.arguments.get(n)) is not None}
                built.scope.args.update(
                    {**inherited, **declared(instruction, built.scope, self._dockerfile.build_args)}
                )
            case "RUN":
                self.left_out.append(shortened(instruction.text))
            case "USER":
                built.config = replace(built.config, user=built.scope.expand(instruction.args[0]))
                self.left_out.append(shortened(instruction.text))
            case "HEALTHCHECK" | "VOLUME":
                self.left_out.append(shortened(instruction.text))
            case "MAINTAINER":
                pass
            case name if name in _SETTERS:
                _SETTERS[name](instruction, built)
            case name:
                raise Unsupported(f"{name} is not supported")

    def _copy(self, instruction: Instruction, built: _Built, number: int) -> None:
        words = [built.scope.expand(word) for word in instruction.args]
        if len(words) < 2:
            raise Unsupported("needs a source and a destination")
        sources, target = words[:-1], words[-1]
        mode = _mode(built.scope.expand(instruction.flags.get("chmod", "")))
        if "chown" in instruction.flags:
            self.left_out.append(f"--chown={instruction.flags['chown']} of COPY: files belong to you")
        into = target.endswith("/") or target in (".", "..")
        place = _image_path(target, built.config.workdir)
        if len(sources) > 1 and not into:
            raise Unsupported("has several sources, so the destination must be a folder and end with /")
        if origin := built.scope.expand(instruction.flags.get("from", "")):
            source_tree = self._stage_tree(origin, number)
            for source in sources:
                self._copy_from_stage(source_tree, origin, source, built.tree, place, into)
            return
        for source in sources:
            if instruction.name == "ADD":
                _check_add(source)
            items = self._context.find(source)
            if not items:
                self.left_out.append(f"{instruction.name} {source}: nothing in the build context matches")
            if len(items) > 1 and not into:
                raise Unsupported(f"{source} matches several, so the destination must be a folder and end with /")
            for item in items:
                if instruction.name == "ADD":
                    self._check_archive(item)
                self._copy_item(item, posixpath.basename(item.path), built.tree, place, into, mode)

    def _copy_item(self, item: Item, name: str, tree: Tree, place: str, into: bool, mode: int | None) -> None:
        if not item.is_folder:
            folder = into or isinstance(tree.get(place), Folder)
            tree.put(posixpath.join(place, name) if folder else place, self._entry(item, mode))
            return
        tree.put(place, Folder())
        for inner in self._context.walk(item.path):
            relative = inner.path[len(item.path) :].lstrip("/")
            tree.put(posixpath.join(place, relative), self._entry(inner, mode))

    def _entry(self, item: Item, mode: int | None) -> Entry:
        if item.is_folder:
            return Folder()
        if item.link is not None:
            return Link(item.link)
        if item.path not in self._digests:
            self._digests[item.path] = self._context.digest(item)
        return File(item, self._digests[item.path], mode or (0o755 if item.executable else 0o644))

    def _check_archive(self, item: Item) -> None:
        if not item.is_folder and item.link is None and tarfile.is_tarfile(self._context.root / item.path):
            raise Unsupported(f"ADD would unpack {item.path}; unpack it before the build, or COPY it as it is")

    def _stage_tree(self, origin: str, number: int) -> Tree | None:
        """The tree of an earlier stage; None for another image, whose files are not here."""
        index = self._dockerfile.find(origin, before=number)
        return self.stage(index).tree if index is not None else None

    def _copy_from_stage(self, source: Tree | None, origin: str, path: str, tree: Tree, place: str, into: bool) -> None:
        if any(character in path for character in "*?["):
            raise Unsupported("wildcards are not supported together with --from")
        path = _image_path(path, "/")
        named = [venv for venv in self._venv_paths if venv == place or venv.startswith(place.rstrip("/") + "/")]
        entry = source.get(path) if source else None
        if entry is None and not named:
            raise Unsupported(
                f"{path} of {origin} would be made by RUN or come from another image, which needs Docker: herd up "
                f"--engine docker. If it is a virtual environment of Python's, name its lock file and it needs none: "
                f'LABEL {VENV_LABEL}{place}="requirements.lock"'
            )
        if place in named or entry is None or source is None:
            return
        if not isinstance(entry, Folder):
            folder = into or isinstance(tree.get(place), Folder)
            tree.put(posixpath.join(place, posixpath.basename(path)) if folder else place, entry)
            return
        tree.put(place, Folder())
        for relative, inner in source.below(path):
            tree.put(posixpath.join(place, relative), inner)


def _set_env(instruction: Instruction, built: _Built) -> None:
    # All values of one ENV see the variables as they were before it.
    new = {built.scope.expand(k): built.scope.expand(v) for k, _, v in (arg.partition("=") for arg in instruction.args)}
    built.scope.env.update(new)
    built.config = replace(built.config, environment={**built.config.environment, **new})


def _set_labels(instruction: Instruction, built: _Built) -> None:
    new = {built.scope.expand(k): built.scope.expand(v) for k, _, v in (arg.partition("=") for arg in instruction.args)}
    built.config = replace(built.config, labels={**built.config.labels, **new})


def _set_command(instruction: Instruction, built: _Built) -> None:
    built.command_is_own = True
    built.config = replace(built.config, command=_words(instruction, built))


def _set_entrypoint(instruction: Instruction, built: _Built) -> None:
    # A CMD of the base belongs to the base's ENTRYPOINT: Docker drops it.
    command = built.config.command if built.command_is_own else None
    built.config = replace(built.config, entrypoint=_words(instruction, built), command=command)


def _words(instruction: Instruction, built: _Built) -> tuple[str, ...]:
    return instruction.args if instruction.exec_form else (*built.config.shell, instruction.args[0])


def _set_ports(instruction: Instruction, built: _Built) -> None:
    ports = tuple(built.scope.expand(arg) for arg in instruction.args)
    for port in ports:
        if not re.fullmatch(r"\d+(-\d+)?(/(tcp|udp))?", port):
            raise Unsupported(f"'{port}' is not a port")
    built.config = replace(built.config, ports=(*built.config.ports, *ports))


def _set_stop_signal(instruction: Instruction, built: _Built) -> None:
    word = built.scope.expand(instruction.args[0]).upper()
    try:
        name = (
            signal.Signals(int(word)).name
            if word.isdecimal()
            else signal.Signals["SIG" + word.removeprefix("SIG")].name
        )
    except (ValueError, KeyError) as error:
        raise Unsupported(f"'{word}' is not a signal") from error
    built.config = replace(built.config, stop_signal=name)


def _set_shell(instruction: Instruction, built: _Built) -> None:
    built.config = replace(built.config, shell=instruction.args)


_SETTERS: dict[str, Callable[[Instruction, _Built], None]] = {
    "ENV": _set_env,
    "LABEL": _set_labels,
    "CMD": _set_command,
    "ENTRYPOINT": _set_entrypoint,
    "EXPOSE": _set_ports,
    "STOPSIGNAL": _set_stop_signal,
    "SHELL": _set_shell,
}


def _image_path(path: str, workdir: str) -> str:
    """An absolute image path without `.`; one with `..` is refused."""
    if ".." in path.split("/"):
        raise Unsupported(f"'{path}': a path with '..' is not supported")
    if not path or "\0" in path:
        raise Unsupported("has an empty path")
    return "/" + posixpath.normpath(posixpath.join(workdir, path)).lstrip("/")


def _mode(text: str) -> int | None:
    if not text:
        return None
    if not re.fullmatch(r"0?[0-7]{3}", text):
        raise Unsupported(f"--chmod={text}: only three octal digits are supported, like --chmod=755")
    return int(text, 8)


def _check_add(source: str) -> None:
    if re.match(r"^([a-z][a-z0-9+.-]*://|git@)", source, re.IGNORECASE):
        raise Unsupported(f"{source}: ADD from an address is not supported; download it with RUN, or commit it")
