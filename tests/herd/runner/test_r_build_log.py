"""What R prints when a package cannot be installed, and the one message that is made of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from herd import PACKAGE
from herd.runner.r import build_log
from herd.runner.r.build_log import explain

# Each as R, renv, make, a compiler or a configure script prints it.
ANTICONF = """\
* installing *source* package ‘curl’ ...
** package ‘curl’ successfully unpacked and MD5 sums checked
** using staged installation
Package libcurl was not found in the pkg-config search path.
Perhaps you should add the directory containing `libcurl.pc'
to the PKG_CONFIG_PATH environment variable
No package 'libcurl' found
Using PKG_CFLAGS=
Using PKG_LIBS=-lcurl
--------------------------- [ANTICONF] --------------------------------
Configuration failed because libcurl was not found. Try installing:
 * deb: libcurl4-openssl-dev (Debian, Ubuntu, etc)
 * rpm: libcurl-devel (Fedora, CentOS, RHEL)
-----------------------------------------------------------------------
ERROR: configuration failed for package ‘curl’
* removing ‘/opt/r/library/curl’
Error: Error installing package 'curl':
"""
HEADER = """\
* installing *source* package ‘xml2’ ...
** libs
g++ -std=gnu++17 -I"/usr/share/R/include" -DNDEBUG -c connection.cpp -o connection.o
xml2_types.h:4:10: fatal error: libxml/tree.h: No such file or directory
    4 | #include <libxml/tree.h>
      |          ^~~~~~~~~~~~~~~
compilation terminated.
make: *** [/usr/lib/R/etc/Makeconf:211: connection.o] Error 1
ERROR: compilation failed for package ‘xml2’
* removing ‘/opt/r/library/xml2’
ERROR: dependency ‘xml2’ is not available for package ‘rvest’
* removing ‘/opt/r/library/rvest’
"""
LINKER = """\
* installing *source* package ‘sodium’ ...
gcc -shared -L/usr/lib/R/lib -o sodium.so wrapper.o -lsodium -L/usr/lib/R/lib -lR
/usr/bin/ld: cannot find -lsodium: No such file or directory
collect2: error: ld returned 1 exit status
make: *** [/usr/share/R/share/make/shlib.mk:10: sodium.so] Error 1
ERROR: compilation failed for package ‘sodium’
"""
LINKING_TO = """\
* installing *source* package ‘ragg’ ...
agg_capture.cpp:2:10: fatal error: cpp11.hpp: No such file or directory
    2 | #include <cpp11.hpp>
compilation terminated.
ERROR: compilation failed for package ‘ragg’
"""
LINKING_TO_EARLY = """\
- Installing ragg ...                             FAILED
Error: Error installing package 'ragg':
======================================

ERROR: dependency ‘cpp11’ is not available for package ‘ragg’
* removing ‘/opt/r/library/ragg’
"""
LOADED = """\
* installing *binary* package ‘sf’ ...
* DONE (sf)
Error: package or namespace load failed for ‘sf’ in dyn.load(file, DLLpath = DLLpath, ...):
 unable to load shared object '/opt/r/library/sf/libs/sf.so':
  libgdal.so.36: cannot open shared object file: No such file or directory
"""
CMAKE = """\
* installing *source* package ‘nloptr’ ...
./configure: line 2991: cmake: command not found
------------------ CMAKE NOT FOUND --------------------
ERROR: configuration failed for package ‘nloptr’
"""
FORTRAN = """\
* installing *source* package ‘quadprog’ ...
make: gfortran: No such file or directory
make: *** [/usr/lib/R/etc/Makeconf:206: aind.o] Error 127
ERROR: compilation failed for package ‘quadprog’
"""
GDAL_CONFIG = """\
* installing *source* package ‘sf’ ...
configure: CC: gcc
configure: error: gdal-config not found or not executable.
ERROR: configuration failed for package ‘sf’
"""
CONFIGURE = """\
* installing *source* package ‘RODBC’ ...
checking for library containing SQLTables... no
configure: error: "no ODBC driver manager found"
ERROR: configuration failed for package ‘RODBC’
"""
UNKNOWN_PACKAGE = """\
- Querying repositories for available source packages ... Done!
- Downloading nosuchpackage from CRAN ...       \tERROR [cannot open URL \
'http://127.0.0.1:8798/src/contrib/Archive/nosuchpackage/nosuchpackage_1.0.0.tar.gz']
Warning: failed to find source for 'nosuchpackage 1.0.0' in package repositories
Warning: error downloading 'http://127.0.0.1:8798/src/contrib/Archive/nosuchpackage/nosuchpackage_1.0.0.tar.gz'
Error: failed to retrieve package 'nosuchpackage@1.0.0'
Traceback (most recent calls last):
6: renv::restore(lockfile = lock, library = target, prompt = FALSE)
Execution halted
"""
UNREACHABLE = """\
- Querying repositories for available source packages ... Done!
renv was unable to query available packages from the following repositories:
- # http://127.0.0.1:9/src/contrib ------------------------------------------
error downloading 'http://127.0.0.1:9/src/contrib/PACKAGES.rds' [cannot open URL \
'http://127.0.0.1:9/src/contrib/PACKAGES.rds']
error downloading 'http://127.0.0.1:9/src/contrib/PACKAGES' [cannot open URL 'http://127.0.0.1:9/src/contrib/PACKAGES']

- Downloading ok from CRAN ...                  \tERROR [cannot open URL \
'http://127.0.0.1:9/src/contrib/Archive/ok/ok_1.0.0.tar.gz']
Warning: failed to find source for 'ok 1.0.0' in package repositories
Error: failed to retrieve package 'ok@1.0.0'
"""
NOT_IN_ANY = """\
- Downloading lto from CRAN ...                 OK [330 bytes]
- Downloading lto from CRAN ...                 \tERROR [cannot open URL \
'http://127.0.0.1:8798/src/contrib/Archive/lto/lto_1.0.0.tar.gz']
Warning: package 'cpp11' is not available
Warning: error downloading 'http://127.0.0.1:8798/src/contrib/Archive/lto/lto_1.0.0.tar.gz' [cannot open URL]
Error: failed to retrieve package 'lto@1.0.0'
"""
NOT_R = """\
- Installing err ...                            FAILED
Error: Error installing package 'err':
===============================

* installing *source* package ‘err’ ...
** R
Error in parse(...) :
  /tmp/RtmpYcB4c9/renv-package-new-167c2e2128/err/R/x.R:2:0: unexpected end of input
ERROR: unable to collate and parse R files for package ‘err’
* removing ‘/tmp/lib/.renv/1/err’
install of package 'err' failed [error code 1]
"""
UNLOCKED = """\
- Installing imptwo ...                         OK [built from source and cached in 4.9s]
Error: packages are needed and not locked: ok
Execution halted
"""
CACHED = """\
- Installing httpuv ...                         OK [copied from cache]
- Installing plumber ...                        OK [copied from cache]
Error: package 'httpuv' cannot be loaded:
unable to load shared object '/opt/r/library/httpuv/libs/httpuv.so':
  libuv.so.1: cannot open shared object file: No such file or directory
Execution halted
"""
UNLOADED = """\
Error: package 'odd' cannot be loaded:
.onLoad failed in loadNamespace() for 'odd', details:
  call: stop("no licence")
"""
TESTED = """\
- Installing fs ...                             FAILED
/usr/lib/R/bin/R --vanilla -s -f '/tmp/RtmpE5whe1/renv-install-17368c53c1.R'
============================================================================

Error in dyn.load(file, DLLpath = DLLpath, ...) :
  unable to load shared object '/opt/r/library/.renv/1/fs/libs/fs.so':
  libuv.so.1: cannot open shared object file: No such file or directory
Calls: loadNamespace -> library.dynam -> dyn.load
Execution halted

Error: error testing if 'fs' can be loaded [error code 1]
"""
UNLOADABLE = """\
* installing *source* package ‘broom’ ...
** byte-compile and prepare package for lazy loading
Error in loadNamespace(j <- i[[1L]], c(lib.loc, .libPaths()), versionCheck = vI[[j]]) :
  there is no package called ‘backports’
Calls: <Anonymous> ... withCallingHandlers -> loadNamespace -> withRestarts -> withOneRestart
Execution halted
ERROR: lazy loading failed for package ‘broom’
"""
R_TOO_OLD = """\
ERROR: this R is version 4.2.2, package ‘MASS’ requires R >= 4.4.0
"""
MEMORY = """\
* installing *source* package ‘duckdb’ ...
g++: fatal error: Killed signal terminated program cc1plus
compilation terminated.
ERROR: compilation failed for package ‘duckdb’
"""
DISK = """\
* installing *source* package ‘BH’ ...
Error in file.copy(from, to) : No space left on device
"""
UNHEARD_OF = """\
* installing *source* package ‘ours’ ...
x.c:1:10: fatal error: frobnicate/core.h: No such file or directory
ERROR: compilation failed for package ‘ours’
"""

CASES = {
    "a hint of the configure script": (ANTICONF, "curl", "libcurl4-openssl-dev", "apt = [\"libcurl4-openssl-dev\"]"),
    "a header": (HEADER, "xml2", "libxml2-dev", "the header libxml/tree.h is missing"),
    "a library for the linker": (LINKER, "sodium", "libsodium-dev", "the library libsodium is missing"),
    "a header of another R package": (LINKING_TO, "ragg", "", "which the R package cpp11 brings (LinkingTo)"),
    "LinkingTo, seen before compiling": (LINKING_TO_EARLY, "ragg", "", 'renv::install("cpp11")'),
    "a library at run time": (LOADED, "sf", "libgdal-dev", "libgdal.so.36 is not there at run time"),
    "a program": (CMAKE, "nloptr", "cmake", "the program cmake is missing"),
    "a compiler": (FORTRAN, "quadprog", "gfortran", "the program gfortran is missing"),
    "a library's own program": (GDAL_CONFIG, "sf", "libgdal-dev", "the program gdal-config is missing"),
    "the words of a configure script": (CONFIGURE, "RODBC", "", 'ended with: "no ODBC driver manager found"'),
    "a package that nobody has": (UNKNOWN_PACKAGE, "nosuchpackage", "", "no repository of renv.lock has nosuchpackage"),
    "a repository that does not answer": (UNREACHABLE, "", "", "the repository http://127.0.0.1:9 cannot be reached"),
    "a package that is not locked, and nowhere": (NOT_IN_ANY, "lto", "", "it needs the R package cpp11, which is not"),
    "packages that came unasked": (UNLOCKED, "imptwo", "", "others need ok, which renv.lock does not have"),
    "a package of another build's cache": (CACHED, "httpuv", "libuv1-dev", "libuv.so.1 is not there at run time"),
    "a package that does not want to be loaded": (UNLOADED, "odd", "", "it was installed and cannot be loaded"),
    "a package whose R is none": (NOT_R, "err", "", "unable to collate and parse R files"),
    "a binary package made for elsewhere": (TESTED, "fs", "libuv1-dev", "libuv.so.1 is not there at run time"),
    "a package that is needed to load": (UNLOADABLE, "broom", "", "it needs the R package backports"),
    "an R that is too old": (R_TOO_OLD, "MASS", "", "it needs R 4.4.0, and the image has R 4.2.2"),
    "no memory": (MEMORY, "duckdb", "", "the compiler was killed, most likely for want of memory"),
    "no disk": (DISK, "BH", "", "the disk is full"),
    "a library that no table knows": (UNHEARD_OF, "ours", "", "apt-file search frobnicate/core.h"),
}  # fmt: skip


@pytest.mark.parametrize(("log", "package", "library", "words"), CASES.values(), ids=CASES)
def test_what_failed(log: str, package: str, library: str, words: str) -> None:
    first = build_log.cause(log)
    assert first is not None
    assert (first.package, first.library) == (package, library)
    message = explain(log)
    assert words in message
    assert message.splitlines()[-2].startswith(f"the R package {package} could" if package else "an R package could")
    assert message.startswith("R's output where it failed:\n  | ")


@pytest.mark.parametrize(("log", "package", "library", "words"), CASES.values(), ids=CASES)
def test_plain_quotes_say_the_same(log: str, package: str, library: str, words: str) -> None:
    plain = log.replace("‘", "'").replace("’", "'")
    assert build_log.cause(plain) == build_log.cause(log)


def test_the_first_cause_counts_and_its_lines_are_shown() -> None:
    noise = "".join(f"line {number}\n" for number in range(2_000))
    message = explain(noise + HEADER + noise)
    assert "fatal error: libxml/tree.h" in message
    assert message.count("\n") < 20
    assert "rvest" not in message.splitlines()[-2]


def test_a_log_that_says_nothing() -> None:
    message = explain("one\ntwo\n")
    assert message.startswith("R's output where it failed:\n  | one\n  | two\nan R package could not be installed, and")


def test_names_of_the_system_are_those_of_the_rules() -> None:
    content = json.loads(Path(PACKAGE, "packages/system_requirements.json").read_text())
    known = {name for rule in content["rules"].values() for entry in rule["dependencies"] for name in entry["packages"]}
    # Compilers, which come by the image itself, and Rust, which the rules take from its own script.
    assert set(build_log.tables()) - known == {"build-essential", "gfortran", "cargo", "rustc", "libyaml-dev"}


@pytest.mark.parametrize(("log", "package", "library", "words"), CASES.values(), ids=CASES)
def test_a_builder_that_shows_few_lines_shows_all_of_it(log: str, package: str, library: str, words: str) -> None:
    assert len(explain("noise\n" * 100 + log).splitlines()) <= 12


PIECES = [line for log, *_ in CASES.values() for line in log.splitlines()] + ["ERROR: ", "'", "‘a’, " * 500, "\x1b[2J"]


@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=60), max_size=40))
def test_any_output_gives_a_short_message(lines: list[str]) -> None:
    message = explain("\n".join(lines))
    assert 2 <= len(message.splitlines()) <= 14
    assert max(map(len, message.splitlines())) < 1_000
