"""Texts that others may find on the disk but not read: sealed with a key in a private file beside them."""

from __future__ import annotations

import base64
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from localcloud.config import LocalCloudError, write_private

NONCE_BYTES = 12


class Sealed(LocalCloudError):
    """What is to be opened was sealed with another key, or for another place."""


class Seal:
    """The key in `key_file`, made if there is none."""

    def __init__(self, key_file: Path):
        if not key_file.exists():
            write_private(key_file, base64.b64encode(secrets.token_bytes(32)).decode())
        self._cipher = AESGCM(base64.b64decode(key_file.read_text()))
        self._key_file = key_file

    def close(self, text: str, place: str) -> str:
        """The sealed text; it opens at this `place` only."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return base64.b64encode(nonce + self._cipher.encrypt(nonce, text.encode(), place.encode())).decode()

    def open(self, sealed: str, place: str) -> str:
        """The text. Raises Sealed."""
        try:
            data = base64.b64decode(sealed, validate=True)
            return self._cipher.decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], place.encode()).decode()
        except (InvalidTag, ValueError):
            raise Sealed(f"{place} cannot be opened with {self._key_file}: it was sealed with another key") from None
