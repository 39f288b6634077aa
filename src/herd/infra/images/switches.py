"""The switches of image.toml as lines of a Dockerfile, in marked blocks, so that what is built can be read.

`build`, after the first FROM, is what packages need while they are installed; `system`, after the last one, what
workloads need. Where a Dockerfile has one stage the second is enough. The line that both share is the same to the
letter and stands at the same place, so BuildKit runs it once; a last stage that builds on the first one goes without.
"""

import json
from pathlib import Path

from herd.infra.images import marks
from herd.infra.spec.image_settings import CUDA, FILE, ODBC, QUARTO, ImageSettings

BUILD, SYSTEM = "build", "system"

COMPILERS = ("build-essential", "cmake", "gfortran", "pkg-config")

QUARTO_HASHES = {
    "1.7.32": {
        "amd64": "262505e3d26459c64e66efefd4b9240eb755ea20dd6fe876d6aa64c7a7b13d27",
        "arm64": "87835e6ed965d865ee1cda367ff0316c7d52104c114f5f1962fdc9fe5da46cd0",
    },
    "1.8.27": {
        "amd64": "bdf689b5589789a1f21d89c3b83d78ed02a97914dd702e617294f2cc1ea7387d",
        "arm64": "1f2082e82e971c5b2b78424cac93a0921c0050455ec5eaa32533b0230682883e",
    },
}
"""SHA-256 of `quarto-<release>-linux-<processor>.tar.gz`, as its checksums say. A wrong one ends the build."""


class DockerfileError(ValueError):
    """The Dockerfile of an image folder cannot hold the blocks; the message names the file and what to do."""


def rewrite(text: str, settings: ImageSettings, image: str) -> str:
    """The Dockerfile with the blocks that the switches ask for, and without those that nothing asks for.

    Raises DockerfileError.
    """
    source = f"from {FILE}, by `herd image lock {image}`"
    try:
        # The last one first: a block after the first FROM moves it.
        system = system_lines(settings, with_build=not marks.last_builds_on_first(text))
        text = marks.put(text, SYSTEM, system, _made_from(settings), source, "after the last FROM")
        several = marks.stages(text) > 1 or BUILD in marks.blocks(text)
        lines = build_lines(settings) if several else ""
        return marks.put(text, BUILD, lines, _made_from(settings), source, "after the first FROM")
    except ValueError as error:
        raise DockerfileError(f"images/{image}/Dockerfile: {error}") from None


def out_of_step(root: Path, image: str, settings: ImageSettings) -> str | None:
    """What is wrong with the blocks of an image folder: they were changed, or image.toml was; None if nothing is."""
    path = root / "images" / image / "Dockerfile"
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return None  # whoever builds it says so
    try:
        blocks = marks.blocks(text)
        wanted = marks.blocks(rewrite(text, settings, image))
    except DockerfileError as error:
        return str(error)
    except marks.BrokenMarks as error:
        return f"images/{image}/Dockerfile: {error}"
    for name in (SYSTEM, BUILD):
        block = blocks.get(name)
        if (name in wanted) != (block is not None) or (block and not block.is_of(_made_from(settings))):
            return (
                f"images/{image}/Dockerfile: its block {name} is not what images/{image}/{FILE} says; "
                f"`herd image lock {image}` writes it again"
            )
    return None


def _made_from(settings: ImageSettings) -> tuple[bytes]:
    """Of a switch that is off nothing counts, so that a new one of a later Herd changes no seal; nor does a limit."""
    switches = settings.model_dump(exclude_defaults=True, exclude={"max_files_mb"})
    return (json.dumps(switches, sort_keys=True).encode(),)


def build_lines(settings: ImageSettings) -> str:
    """What the installation of packages needs."""
    packages = {*settings.apt, *(COMPILERS if settings.compilers else ())}
    if settings.git:
        packages |= {"ca-certificates", "git"}
    return _installed(sorted(packages)) if packages else ""


def system_lines(settings: ImageSettings, with_build: bool = True) -> str:
    """What workloads need. `with_build`: also what the stage that they run in does not have from the first one."""
    lines = [build_lines(settings) if with_build else ""]
    if settings.odbc:
        lines.append(_installed(["unixodbc", *sorted(ODBC[database] for database in settings.odbc)]))
    if settings.quarto:
        lines.append(_quarto(QUARTO.get(settings.quarto, settings.quarto)))
    if settings.tinytex:
        lines.append(_TINYTEX)
    if settings.gpu:
        lines.append(_CUDA.format(image=CUDA[settings.gpu], release=settings.gpu))
    return "\n".join(filter(None, lines))


def _installed(packages: list[str]) -> str:
    listed = "".join(f"        {package} \\\n" for package in packages)
    return (
        "RUN apt-get update \\\n"
        "    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \\\n"
        f"{listed}"
        "    && rm -rf /var/lib/apt/lists/*"
    )


def _quarto(release: str) -> str:
    hashes = QUARTO_HASHES[release]
    return _QUARTO.format(release=release, amd64=hashes["amd64"], arm64=hashes["arm64"])


_QUARTO = """\
# A mirror is given as a build argument; the hash decides what is installed.
ARG QUARTO_URL=https://github.com/quarto-dev/quarto-cli/releases/download
RUN --mount=type=secret,id=ca,target=/etc/ssl/certs/ca-certificates.crt \\
    apt-get update \\
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends ca-certificates curl \\
    && rm -rf /var/lib/apt/lists/* \\
    && case "$(uname -m)" in \\
        x86_64) processor=amd64 sum={amd64} ;; \\
        aarch64) processor=arm64 sum={arm64} ;; \\
        *) echo "Quarto has no archive for $(uname -m)" >&2; exit 1 ;; \\
    esac \\
    && curl -fsSL --retry 3 -o /tmp/quarto.tar.gz \\
        "$QUARTO_URL/v{release}/quarto-{release}-linux-$processor.tar.gz" \\
    && echo "$sum  /tmp/quarto.tar.gz" | sha256sum -c --quiet - \\
    && mkdir -p /opt/quarto \\
    && tar -xzf /tmp/quarto.tar.gz -C /opt/quarto --strip-components=1 --no-same-owner \\
    && rm /tmp/quarto.tar.gz \\
    && ln -s /opt/quarto/bin/quarto /usr/local/bin/quarto"""

_TINYTEX = """\
RUN --mount=type=secret,id=ca,target=/etc/ssl/certs/ca-certificates.crt \\
    mkdir -p /opt/tinytex \\
    && HOME=/opt/tinytex quarto install tinytex --no-prompt \\
    && ln -s /opt/tinytex/.TinyTeX/bin/*/* /usr/local/bin/"""

# A mount and not COPY --from: a builder without Docker leaves RUN out and says so.
_CUDA = """\
RUN --mount=type=bind,from={image},target=/mnt/cuda \\
    cp -a /mnt/cuda/usr/local/cuda-{release} /usr/local/cuda \\
    && cp -a /mnt/cuda/usr/lib/x86_64-linux-gnu/libcudnn* /usr/lib/x86_64-linux-gnu/ \\
    && echo /usr/local/cuda/lib64 > /etc/ld.so.conf.d/cuda.conf \\
    && ldconfig
ENV NVIDIA_VISIBLE_DEVICES=all \\
    NVIDIA_DRIVER_CAPABILITIES=compute,utility"""
