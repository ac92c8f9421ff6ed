"""An id of a patient or a user to a keyed hash: the same person can be counted, but not named, without the key."""

from __future__ import annotations

import hmac
from typing import Literal


class Pseudonyms:
    """Hashes under one key. Whoever has it can find out who a hash stands for: keep it apart from the database.

    Args:
        key: a secret, too long to be tried; None: nobody is hashed, and nothing about persons is kept.
    """

    def __init__(self, key: str | None) -> None:
        self._key = None if key is None else key.encode()

    def of(self, kind: Literal["patient", "user"], client: str, identity: str) -> str | None:
        """The hash of one person's id; None without a key.

        Args:
            client: who sent the id; the same id of another client means another person.
        """
        if self._key is None:
            return None
        # The length keeps two pairs apart that read the same when written one after the other.
        text = f"{kind}\n{len(client)}:{client}{identity}"
        return hmac.digest(self._key, text.encode("utf-8", "surrogatepass"), "sha256").hex()
