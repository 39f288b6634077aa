"""A browser and the driver of its version, for tests of pages.

From PATH; else installed by Selenium's own manager, if the network allows it; else Debian's packages, as root.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from herd.toolchain import atomic, debian, machine
from herd.toolchain.machine import ToolMissing
from herd.toolchain.progress import Progress

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
DRIVERS = ("chromedriver", "chromium.chromedriver")
PACKAGES = ("chromium", "chromium-driver", "fonts-liberation")

SWITCH = "HERD_NO_BROWSER"

SOURCES = ("https://googlechromelabs.github.io/chrome-for-testing/", "https://storage.googleapis.com/")
"""Where Selenium's manager gets the list of versions, and Chrome with its driver."""

REACH_SECONDS = 3.0

ASK_MANAGER = """
import json, sys
from selenium.webdriver.common.selenium_manager import SeleniumManager
print(json.dumps(SeleniumManager().binary_paths(sys.argv[1:])))
"""


@dataclass(frozen=True)
class Browser:
    """A browser and its driver, of the same version."""

    program: Path
    driver: Path


def is_unwanted(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether HERD_NO_BROWSER=1 skips the tests of pages."""
    return environment.get(SWITCH) == "1"


def find(cache: Path) -> Browser | None:
    """The browser on PATH, else one that was installed earlier; None where neither starts."""
    program, driver = _first(PROGRAMS), _first(DRIVERS)
    if program and driver and _fit(browser := Browser(program, driver)):
        return browser
    try:
        kept = json.loads(_record(cache).read_text())
        browser = Browser(Path(kept["program"]), Path(kept["driver"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return browser if _fit(browser) else None


def is_reachable() -> bool:
    """Whether Selenium's manager can reach its sources; answered within REACH_SECONDS, whatever the network does."""
    answers: list[bool] = []
    # In threads: looking up a name has no time limit of its own.
    threads = [threading.Thread(target=lambda url=url: answers.append(_answers(url)), daemon=True) for url in SOURCES]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(REACH_SECONDS)
    return len(answers) == len(SOURCES) and all(answers)


def ensure(cache: Path, python: Path, reachable: bool) -> Browser:
    """A browser, installed if necessary; `python` has Selenium. Raises ToolMissing with reasons and advice."""
    if browser := find(cache):
        return browser
    with machine.exclusive(cache / "browser.lock", lambda: print("another process brings a browser …")):
        if browser := find(cache):
            return browser
        tried = []
        if reachable:
            try:
                return _by_selenium(cache, python)
            except ToolMissing as error:
                tried.append(str(error))
        if debian.can_install():
            try:
                return _by_debian(cache)
            except ToolMissing as error:
                tried.append(str(error))
    raise ToolMissing("\n".join([*tried, advice()]))


def advice() -> str:
    """Advice where no browser can be installed."""
    return (
        f"The tests look at pages in a browser: Chromium or Chrome, and chromedriver of the same version.\n{_seen()}"
        "Install both, or leave those tests out:\n"
        f"    {debian.line(PACKAGES[:2])}     (Debian; elsewhere from your system, onto PATH)\n"
        f"    {SWITCH}=1 make test"
    )


def _seen() -> str:
    versions = [(path, _version(path)) for names in (PROGRAMS, DRIVERS) if (path := _first(names))]
    if not versions:
        return "PATH has neither.\n"
    seen = [f"{path} ({version or 'does not start'})" for path, version in versions]
    return f"PATH has {' and '.join(seen)}.\n"


def _by_selenium(cache: Path, python: Path) -> Browser:
    program = _first(PROGRAMS)
    where = ["--browser-path", str(program)] if program and _version(program) else []
    command = [str(python), "-c", ASK_MANAGER, "--browser", "chrome", "--cache-path", str(cache / "selenium"), *where]
    lines: list[str] = []
    with Progress("bringing a browser by Selenium's manager") as progress:

        def note(line: str) -> None:
            lines.append(line)
            progress.note(line)

        machine.run(command, env={**os.environ, "SE_AVOID_STATS": "true"}, on_line=note)
        try:
            paths = json.loads(lines[-1])
            browser = Browser(Path(paths["browser_path"]), Path(paths["driver_path"]))
        except (IndexError, ValueError, KeyError, TypeError):
            raise ToolMissing("Selenium's manager does not say where it put a browser") from None
        if not _fit(browser):
            # Chrome for testing brings none of the system's libraries that it needs.
            raise ToolMissing(f"{browser.program} or {browser.driver} does not start:\n    {_complaint(browser)}")
    atomic.write(_record(cache), json.dumps({"program": str(browser.program), "driver": str(browser.driver)}))
    return browser


def _by_debian(cache: Path) -> Browser:
    debian.install(PACKAGES)
    if browser := find(cache):
        return browser
    # Ubuntu's package of that name starts a snap, which does not run everywhere.
    raise ToolMissing(f"{' and '.join(PACKAGES[:2])} are installed and do not start")


def _record(cache: Path) -> Path:
    return cache / "browser.json"


def _first(names: tuple[str, ...]) -> Path | None:
    return next((Path(path) for name in names if (path := shutil.which(name))), None)


def _fit(browser: Browser) -> bool:
    """Whether both start and are of the same major version; a driver refuses other versions."""
    versions = {_version(browser.program), _version(browser.driver)}
    return len(versions) == 1 and "" not in versions


def _version(program: Path) -> str:
    """Its major version; "" if it does not start."""
    match = re.search(r"\b(\d+)\.\d+\.\d+", _say(program))
    return match[1] if match else ""


def _complaint(browser: Browser) -> str:
    return next(
        (_say(path).strip() for path in (browser.program, browser.driver) if not _version(path)), "other versions"
    )


def _say(program: Path) -> str:
    try:
        done = subprocess.run([program, "--version"], capture_output=True, text=True, errors="replace", timeout=20)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error) if isinstance(error, OSError) else "does not answer"
    return done.stdout if done.returncode == 0 else done.stderr[:400]


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=REACH_SECONDS).close()
    except urllib.error.HTTPError as error:
        return error.code in (400, 404)  # the server's own answer; others are those of a proxy that blocks
    except (OSError, ValueError):
        return False
    return True
