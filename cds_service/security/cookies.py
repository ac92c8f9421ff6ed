"""Small secrets that a browser keeps for us: encrypted, signed, and good for a while only."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Any

import msgspec
from cryptography.fernet import Fernet, InvalidToken

from cds_service.json_types import Json


class SealedCookie:
    """Encrypts and opens; whoever has the key can do both.

    Args:
        key: the secret, at least 32 characters of it random.
        purpose: what is sealed with it; what was sealed for one purpose cannot be opened for another.
    """

    def __init__(self, key: str, purpose: str) -> None:
        # Fernet wants 32 bytes in base64; the secret is long and random, so one round of a hash does.
        self._fernet = Fernet(urlsafe_b64encode(sha256(f"{purpose}\0{key}".encode()).digest()))

    def seal(self, content: Json, now: float) -> str:
        """The content as text that may stand in a cookie."""
        return self._fernet.encrypt_at_time(msgspec.json.encode(content), int(now)).decode("ascii")

    def open(self, sealed: str, now: float, most_seconds: int) -> Json | None:
        """The content; None if it was not sealed here for this purpose, or too long ago."""
        try:
            content = self._fernet.decrypt_at_time(sealed.encode("ascii"), most_seconds, int(now))
        except (InvalidToken, UnicodeEncodeError):
            return None
        opened: Json = msgspec.json.decode(content, type=dict[str, Any])
        return opened
