"""CRAN-like repositories: which packages are there, and what a package says of itself. Uses the network.

A repository is a folder behind http or https: `src/contrib/PACKAGES.gz` (or PACKAGES) lists the newest version of each
package, `src/contrib/Archive/<name>/` keeps older ones. What the list leaves out (SystemRequirements, on CRAN) is read
from the head of the package's own archive, which is left as soon as its DESCRIPTION has been read.
"""

from __future__ import annotations

import gzip
import re
import tarfile
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import IO

from herd.foreign import on_one_line
from herd.packages.renv import NAME, VERSION

SECONDS = 30
MOST_BYTES_OF_LIST = 256 << 20
MOST_BYTES_OF_DESCRIPTION = 1 << 20
MOST_BYTES_OF_ARCHIVE = 256 << 20
"""Up to so much of an archive, unpacked, is read until its DESCRIPTION comes; only `build` and `data` lie before it."""

Fields = Mapping[str, str]

_FIELD = re.compile(r"([A-Za-z][A-Za-z0-9@/_.-]*):[ \t]?(.*)")


class Unreachable(Exception):
    """A repository that does not answer, or not as one; the message says which, and why."""


class NotThere(Exception):
    """A package, or a version of it, that a repository does not have."""


def control(text: str) -> Iterator[Fields]:
    """The records of a file in Debian's control format, as DESCRIPTION and PACKAGES are. Unknown lines are left out."""
    record: dict[str, str] = {}
    last = ""
    for line in text.splitlines():
        if not line.strip():
            if record:
                yield record
            record, last = {}, ""
        elif line[0] in " \t":
            if last:
                record[last] += f" {line.strip()}"
        elif match := _FIELD.fullmatch(line):
            last = match[1]
            record[last] = match[2].strip()
    if record:
        yield record


@dataclass
class Repository:
    """One repository. What was asked is kept."""

    url: str
    name: str = "CRAN"
    _list: dict[str, Fields] | None = field(default=None, repr=False)

    def newest(self) -> Mapping[str, Fields]:
        """Package -> its record in the list. Raises Unreachable."""
        if self._list is None:
            text = self._packages_text()
            records = (record for record in control(text) if NAME.fullmatch(record.get("Package", "")))
            self._list = {}
            for record in records:
                if VERSION.fullmatch(record.get("Version", "")):
                    # Of several versions of one package the first is the one that R takes for all of R's versions.
                    self._list.setdefault(record["Package"], record)
            if not self._list:
                raise Unreachable(f"{self.name} ({self.url}): its list of packages is empty")
        return self._list

    def description(self, name: str, version: str) -> Fields:
        """The DESCRIPTION of one version. Raises NotThere, Unreachable."""
        listed = self.newest().get(name)
        if listed and listed["Version"] == version and "SystemRequirements" in listed:
            return listed
        places = [f"src/contrib/{name}_{version}.tar.gz", f"src/contrib/Archive/{name}/{name}_{version}.tar.gz"]
        if not listed or listed["Version"] != version:
            places.reverse()
        for place in places:
            try:
                with closing(self._open(place)) as answer:
                    return _description(answer, name)
            except NotThere:
                continue
        raise NotThere(f"{self.name} ({self.url}) has no {name} {version}")

    def _packages_text(self) -> str:
        try:
            with closing(self._open("src/contrib/PACKAGES.gz")) as answer, gzip.open(answer) as unpacked:
                data = unpacked.read(MOST_BYTES_OF_LIST + 1)
        except NotThere:
            try:
                with closing(self._open("src/contrib/PACKAGES")) as answer:
                    data = answer.read(MOST_BYTES_OF_LIST + 1)
            except NotThere:
                raise Unreachable(
                    f"{self.name} ({self.url}) has no src/contrib/PACKAGES, so it is no repository of R packages"
                ) from None
        except (OSError, EOFError, zlib.error) as error:
            raise Unreachable(f"{self.name} ({self.url}): its list of packages cannot be read: {error}") from None
        if len(data) > MOST_BYTES_OF_LIST:
            raise Unreachable(
                f"{self.name} ({self.url}): its list of packages has more than {MOST_BYTES_OF_LIST:,} bytes"
            )
        return data.decode("utf-8", "replace")

    def _open(self, place: str) -> IO[bytes]:
        request = urllib.request.Request(f"{self.url}/{place}", headers={"User-Agent": "herd"})
        try:
            answer: IO[bytes] = urllib.request.urlopen(request, timeout=SECONDS)
        except urllib.error.HTTPError as error:
            with error:
                if error.code in (403, 404, 410):
                    raise NotThere(place) from None
                raise Unreachable(f"{self.name} ({self.url}) answered {error.code} for {place}") from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise Unreachable(f"{self.name} ({self.url}) cannot be reached: {on_one_line(str(reason))}") from None
        return answer


def _description(answer: IO[bytes], name: str) -> Fields:
    """From an archive that is read as it comes. Raises NotThere, Unreachable."""
    try:
        with tarfile.open(fileobj=answer, mode="r|*") as archive:
            for member in archive:
                if member.name.removeprefix("./") == f"{name}/DESCRIPTION" and member.isfile():
                    file = archive.extractfile(member)
                    data = file.read(MOST_BYTES_OF_DESCRIPTION) if file else b""
                    record = next(control(data.decode("utf-8", "replace")), {})
                    if record.get("Package") == name:
                        return record
                if member.offset_data + member.size > MOST_BYTES_OF_ARCHIVE:
                    break
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise Unreachable(f"the archive of {name} cannot be read: {on_one_line(str(error))}") from None
    raise NotThere(f"the archive of {name} has no DESCRIPTION of it")
