"""Texts that others may find on the disk but not read: sealed with a key in a private file beside them."""

from __future__ import annotations

import base64
import functools
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from localcloud import atomic
from localcloud.unreadable import Reason, Unreadable, using

NONCE_BYTES = 12


class Seal:
    """The key in `key_file`; made when something is closed and there is none, for what was closed needs its own."""

    def __init__(self, key_file: Path):
        self._key_file = key_file

    @functools.cached_property
    def _cipher(self) -> AESGCM:
        with using(self._key_file):
            text = self._key_file.read_bytes()
        try:
            return AESGCM(base64.b64decode(text.strip(), validate=True))
        except ValueError:
            raise Unreadable(self._key_file, Reason.damaged, "it holds no key") from None

    def close(self, text: str, place: str) -> str:
        """The sealed text; it opens at this `place` only."""
        if "_cipher" not in self.__dict__ and not self._key_file.exists():
            atomic.write(self._key_file, base64.b64encode(secrets.token_bytes(32)).decode())
        nonce = secrets.token_bytes(NONCE_BYTES)
        return base64.b64encode(nonce + self._cipher.encrypt(nonce, text.encode(), place.encode())).decode()

    def open(self, sealed: str, place: str) -> str:
        """The text. Raises Unreadable if it was sealed with another key or for another place, or there is no key."""
        cipher = self._cipher
        try:
            data = base64.b64decode(sealed, validate=True)
            return cipher.decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], place.encode()).decode()
        except (InvalidTag, ValueError):
            raise Unreadable(self._key_file, Reason.damaged, f"{place} was sealed with another key") from None
