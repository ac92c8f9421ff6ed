"""A patient or user id to a keyed hash (HMAC-SHA-256): records of one person can be counted without naming them."""

from __future__ import annotations

import hmac
from typing import Literal


class Pseudonyms:
    """Hashes under one key. The key makes hashes traceable to ids, so keep it apart from the database.

    Args:
        key: a secret of at least 32 characters; None: no hashes are made, and nothing about persons is stored.
    """

    def __init__(self, key: str | None) -> None:
        self._key = None if key is None else key.encode()

    def of(self, kind: Literal["patient", "user"], client: str, identity: str) -> str | None:
        """The hash of one person's id; None without a key.

        Args:
            client: the sender of the id; an equal id of another client is another person.
        """
        if self._key is None:
            return None
        # The length separates pairs whose concatenations are equal.
        text = f"{kind}\n{len(client)}:{client}{identity}"
        return hmac.digest(self._key, text.encode("utf-8", "surrogatepass"), "sha256").hex()
