"""Encrypted and signed cookie values with an expiry."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Any

import msgspec
from cryptography.fernet import Fernet, InvalidToken

from cds_service.json_types import Json


class SealedCookie:
    """Encrypts and decrypts cookie values with one symmetric key.

    Args:
        key: the secret, at least 32 characters of it random.
        purpose: part of the key; a value sealed for one purpose cannot be opened for another.
    """

    def __init__(self, key: str, purpose: str) -> None:
        # Fernet needs 32 bytes in base64; the secret is long and random, so one round of a hash is enough.
        self._fernet = Fernet(urlsafe_b64encode(sha256(f"{purpose}\0{key}".encode()).digest()))

    def seal(self, content: Json, now: float) -> str:
        """The encrypted content as the value of a cookie."""
        return self._fernet.encrypt_at_time(msgspec.json.encode(content), int(now)).decode("ascii")

    def open(self, sealed: str, now: float, most_seconds: int) -> Json | None:
        """The content; None if it was sealed with another key or purpose, or too long ago."""
        try:
            content = self._fernet.decrypt_at_time(sealed.encode("ascii"), most_seconds, int(now))
        except (InvalidToken, UnicodeEncodeError):
            return None
        opened: Json = msgspec.json.decode(content, type=dict[str, Any])
        return opened
