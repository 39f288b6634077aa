"""A folder's Python packages: whatever they are locked by, as hashed requirements, without a network."""

from __future__ import annotations

from pathlib import Path

import pytest

from herd.packages.python_project import NotLocked, PythonPackages, allows, of_folder, python_of
from herd.toolchain import machine, uv

HASH = "sha256:4721f391ed90541fddacab5acf947aa0d3dc7d27b2e1e8eda2be8970586c3274"
OTHER = "sha256:" + "0" * 64

PYPROJECT = """\
[project]
name = "churn"
version = "0"
requires-python = ">=3.11"
dependencies = ["six>=1.16", "idna; sys_platform == 'linux'"]

[dependency-groups]
dev = ["attrs"]
"""


def package(name: str, version: str, digest: str = HASH, host: str = "https://index.example.org/simple") -> str:
    return f"""
[[package]]
name = "{name}"
version = "{version}"
source = {{ registry = "{host}" }}
wheels = [
    {{ url = "https://files.example.com/{name}-{version}-py3-none-any.whl", hash = "{digest}", size = 1 }},
]
"""


UV_LOCK = (
    """\
version = 1
revision = 3
requires-python = ">=3.11"
"""
    + package("attrs", "25.1.0")
    + """
[[package]]
name = "churn"
version = "0"
source = { virtual = "." }
dependencies = [
    { name = "idna", marker = "sys_platform == 'linux'" },
    { name = "six" },
]

[package.dev-dependencies]
dev = [
    { name = "attrs" },
]

[package.metadata]
requires-dist = [
    { name = "idna", marker = "sys_platform == 'linux'" },
    { name = "six", specifier = ">=1.16" },
]

[package.metadata.requires-dev]
dev = [{ name = "attrs" }]
"""
    + package("idna", "3.10", OTHER)
    + package("six", "1.17.0")
)

SCRIPT = """\
#!/usr/bin/env python
# /// script
# requires-python = ">=3.11"
# dependencies = ["six"]
# ///
import six
"""
SCRIPT_LOCK = (
    'version = 1\nrevision = 3\nrequires-python = ">=3.11"\n\n[manifest]\nrequirements = [{ name = "six" }]\n'
    + package("six", "1.17.0")
)

EXPORTED = b"""\
idna==3.10 ; sys_platform == 'linux' \\
    --hash=sha256:0000000000000000000000000000000000000000000000000000000000000000
six==1.17.0 \\
    --hash=sha256:4721f391ed90541fddacab5acf947aa0d3dc7d27b2e1e8eda2be8970586c3274
"""


def packages(
    files: dict[str, str], command: tuple[str, ...] = (), python: tuple[int, int] | None = (3, 13), **more: str
) -> PythonPackages | None:
    content = {name: text.encode() for name, text in files.items()}
    return of_folder(content, command, "`herd lock churn`", lambda: uv.find(machine.user_cache()), python, **more)


def test_a_uv_lock_is_what_the_project_installs_by_hash_and_without_hosts() -> None:
    got = packages({"pyproject.toml": PYPROJECT, "uv.lock": UV_LOCK})
    assert got == PythonPackages(EXPORTED, frozenset({"uv.lock"}))


def test_a_mirrors_lock_is_taken_as_it_is() -> None:
    mirrored = UV_LOCK.replace("https://index.example.org", "https://mirror.example.com")
    got = packages({"pyproject.toml": PYPROJECT, "uv.lock": mirrored})
    assert got is not None and got.lock == EXPORTED


def test_a_project_that_is_a_package_itself_is_not_built() -> None:
    more = 'readme = "README.md"\n\n[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
    files = {
        "pyproject.toml": PYPROJECT.replace('version = "0"\n', f'version = "0"\n{more.splitlines()[0]}\n')
        + "\n".join(more.splitlines()[1:]),
        "uv.lock": UV_LOCK.replace('virtual = "."', 'editable = "."'),
    }
    got = packages(files)
    assert got is not None and got.lock == EXPORTED


@pytest.mark.parametrize("command", [("python", "main.py"), ("bash", "-e", "-c", "cd . && python ./main.py | cat")])
def test_a_script_has_the_packages_of_its_block(command: tuple[str, ...]) -> None:
    got = packages({"main.py": SCRIPT, "main.py.lock": SCRIPT_LOCK, "other.py": SCRIPT}, command)
    assert got is not None and got.files == {"main.py.lock"}
    assert got.lock.splitlines()[0] == b"six==1.17.0 \\"


def test_this_machines_python_need_not_be_the_images() -> None:
    later = {"pyproject.toml": PYPROJECT.replace("3.11", "3.19"), "uv.lock": UV_LOCK.replace(">=3.11", ">=3.19")}
    got = packages(later, python=(3, 19))
    assert got is not None and b"six==1.17.0" in got.lock


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"main.py": "import six\n"},
        {"pyproject.toml": "[tool.ruff]\nselect = []\n"},
        {"requirements.in": "# none\n"},
    ],
)
def test_a_folder_that_names_no_packages_has_its_images(files: dict[str, str]) -> None:
    assert packages(files, ("python", "main.py")) is None


WANTED = "six\n# x\n-r other.in\nScikit_Learn[x]>=1 # y\ntomli; python_version < '3'\n"
LOCK = f"six==1.17.0 \\\n    --hash={HASH}\n"


@pytest.mark.parametrize(
    ("files", "message"),
    [
        pytest.param({"pyproject.toml": PYPROJECT}, "uv.lock is missing: its packages are not locked"),
        pytest.param({"uv.lock": UV_LOCK}, "pyproject.toml is missing: uv.lock is of no use without it"),
        pytest.param({"main.py": SCRIPT}, "main.py.lock is missing: its packages are not locked; `herd lock churn`"),
        pytest.param(
            {"pyproject.toml": PYPROJECT.replace("six>=1.16", "six>=2"), "uv.lock": UV_LOCK},
            "uv.lock is out of step with pyproject.toml (it has no fitting ",
            id="another version",
        ),
        pytest.param(
            {"pyproject.toml": PYPROJECT.replace('"six', '"attrs", "six'), "uv.lock": UV_LOCK},
            "uv.lock is out of step with pyproject.toml (it has no fitting attrs); `herd lock churn`",
            id="one more",
        ),
        pytest.param(
            {"main.py": SCRIPT.replace('"six"', '"six", "idna"'), "main.py.lock": SCRIPT_LOCK},
            "main.py.lock is out of step with main.py (it has no fitting idna); `herd lock churn`",
            id="one more of a script",
        ),
        pytest.param({"pyproject.toml": PYPROJECT, "uv.lock": "[["}, "uv.lock cannot be read: ", id="broken"),
        pytest.param({"pyproject.toml": "[project", "uv.lock": UV_LOCK}, "pyproject.toml: is not TOML", id="not TOML"),
        pytest.param(
            {"requirements.lock": LOCK, "pyproject.toml": PYPROJECT, "uv.lock": UV_LOCK},
            "names its packages twice, in requirements.lock and uv.lock",
            id="twice",
        ),
        pytest.param(
            {"requirements.lock": LOCK, "main.py": SCRIPT, "main.py.lock": SCRIPT_LOCK},
            "names its packages twice, in requirements.lock and main.py.lock",
            id="twice, with a script",
        ),
        pytest.param(
            {"requirements.lock": LOCK, "requirements.in": WANTED},
            "requirements.lock is out of step with requirements.in: Scikit_Learn not locked; `herd lock churn`",
            id="requirements.in",
        ),
        pytest.param({"requirements.lock": "six==1.17.0\n"}, "requirements.lock: six without hashes", id="no hashes"),
        pytest.param(
            {"requirements.lock": f"# made by uv\n{LOCK}idna\n"},
            "requirements.lock, line 4: 'idna' is no package with its version and hashes, like "
            "`flask==3.0.0 --hash=sha256:…`; list the packages in requirements.in, then `herd lock churn`",
            id="not pinned",
        ),
        pytest.param({"requirements.lock": "this is !!! not a lock\n"}, "line 1: 'this is !!! not", id="no lock"),
        pytest.param({"requirements.lock": "git+https://example.com/x\n"}, "line 1: 'git+https://", id="a repository"),
        pytest.param({"requirements.lock": f"{LOCK}-r more.txt\n"}, "line 3: '-r more.txt'", id="another file"),
        pytest.param({"requirements.lock": f"{LOCK}-e .\n"}, "line 3: '-e .'", id="a folder"),
        pytest.param(
            {"requirements.txt": "flask\n"},
            "requirements.txt: is not read, so none of its packages would be installed; rename it to requirements.in, "
            "then `herd lock churn`",
            id="requirements.txt",
        ),
        pytest.param(
            {"requirements.in": "flask\n"},
            "requirements.in: its packages are not locked, so none of them would be installed; `herd lock churn`",
            id="requirements.in alone",
        ),
        pytest.param({"poetry.lock": "[[package]]\n"}, "poetry.lock: is not read", id="poetry"),
        pytest.param({"environment.yml": "dependencies: [flask]\n"}, "environment.yml: is not read", id="conda"),
        pytest.param(
            {"main.py": SCRIPT, "other.py": SCRIPT}, "main.py and other.py each have a `# /// script` block", id="two"
        ),
        pytest.param({"main.py": SCRIPT + SCRIPT}, "main.py: has several `# /// script` blocks", id="two blocks"),
        pytest.param(
            {"pyproject.toml": PYPROJECT.replace(">=3.11", ">=3.14"), "uv.lock": UV_LOCK},
            "pyproject.toml asks for Python >=3.14, and the image has 3.13",
            id="Python of a project",
        ),
        pytest.param(
            {"main.py": SCRIPT.replace(">=3.11", "<3.13"), "main.py.lock": SCRIPT_LOCK},
            "main.py asks for Python <3.13, and the image has 3.13",
            id="Python of a script",
        ),
        pytest.param(
            {
                "pyproject.toml": PYPROJECT,
                "uv.lock": UV_LOCK.replace(
                    'source = { registry = "https://index.example.org/simple" }\nwheels',
                    'source = { git = "https://git.example.com/six?rev=1#' + "0" * 40 + '" }\n_',
                ),
            },
            "uv.lock",
            id="from a repository",
        ),
    ],
)  # fmt: skip
def test_what_is_not_locked_is_said(files: dict[str, str], message: str) -> None:
    with pytest.raises(NotLocked) as error:
        packages(files, ("bash", "-c", "python main.py; python other.py"))
    assert message in str(error.value), error.value
    assert "Traceback" not in str(error.value) and "\n" not in str(error.value)


def test_python_version_is_compared_with_the_image() -> None:
    with pytest.raises(NotLocked, match=r"\.python-version asks for Python 3\.12, and the image has 3\.13"):
        packages({}, python_version="3.12\n")
    assert packages({}, python_version="3.13.2\n") is None


@pytest.mark.parametrize(
    ("specifiers", "fits"),
    [
        ("", True),
        (">=3.11", True),
        (">=3.14", False),
        (">=3.13.4", True),
        ("<3.13", False),
        ("<3.13.5", True),
        ("<=3.13", True),
        ("<4", True),
        (">3.13", False),
        (">3.12,<3.14", True),
        ("==3.13.*", True),
        ("==3.12.*", False),
        ("~=3.11", True),
        ("~=3.12.1", False),
        ("!=3.13.*", False),
        ("!=3.13.1", True),
        ("nonsense", True),
    ],
)
def test_specifiers_of_python(specifiers: str, fits: bool) -> None:
    assert allows(specifiers, (3, 13)) is fits


def test_the_python_of_an_image_stands_in_its_base() -> None:
    root = Path(__file__).parents[3]
    assert python_of((root / "images/python/Dockerfile").read_text()) == (3, 13)
    assert python_of("FROM registry.example.com:5000/mirror/python:3.12-slim\n") == (3, 12)
    assert python_of("ARG BASE=rocker/r-ver:4.5.1\nFROM ${BASE}\n") is None
