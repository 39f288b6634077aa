"""Texts that others may find on the disk but not read: encrypted with a key in a private file beside them."""

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


class FileCipher:
    """The key in `key_file`; made for the first text that is encrypted; what was encrypted needs its own."""

    def __init__(self, key_file: Path):
        self._key_file = key_file

    @functools.cached_property
    def _aes(self) -> AESGCM:
        with using(self._key_file):
            text = self._key_file.read_bytes()
        try:
            return AESGCM(base64.b64decode(text.strip(), validate=True))
        except ValueError:
            raise Unreadable(self._key_file, Reason.damaged, "it holds no key") from None

    def encrypt(self, text: str, label: str) -> str:
        """The encrypted text; it is decrypted with this `label` only."""
        if "_aes" not in self.__dict__ and not self._key_file.exists():
            atomic.write(self._key_file, base64.b64encode(secrets.token_bytes(32)).decode())
        nonce = secrets.token_bytes(NONCE_BYTES)
        return base64.b64encode(nonce + self._aes.encrypt(nonce, text.encode(), label.encode())).decode()

    def decrypt(self, encrypted: str, label: str) -> str:
        """The text. Raises Unreadable if it was encrypted with another key or label, or there is no key."""
        cipher = self._aes
        try:
            data = base64.b64decode(encrypted, validate=True)
            return cipher.decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], label.encode()).decode()
        except (InvalidTag, ValueError):
            raise Unreadable(self._key_file, Reason.damaged, f"{label} was encrypted with another key") from None
