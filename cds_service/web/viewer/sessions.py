"""Sealed cookies for launches and sessions, which scripts and other sites cannot read."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from hashlib import sha256

import msgspec
from flask import Response, g, request

from cds_service.security.cookies import SealedCookie
from cds_service.security.smart import PendingLaunch, Session

_LAUNCH, _SESSION = "cds_launch_", "cds_session_"
# Between launch and callback the user may have to sign in.
LAUNCH_SECONDS = 600
_MOST_SECONDS = 3_600
# RFC 6265, 6.1: browsers accept cookies of 4096 bytes, including name and attributes. A token may be longer.
_PIECE, _MOST_PIECES = 3_600, 4


class Sessions:
    """Writes and reads the cookies; the service itself stores no EHR token.

    Args:
        key: the secret of the setting `session_key`.
        prefix: path under which browsers reach the service, without a trailing slash.
        secure: send the cookies over https only; always, except for a sandbox on plain http.
        now: seconds since 1970.
    """

    def __init__(self, key: str, prefix: str, *, secure: bool, now: Callable[[], float]) -> None:
        self._launches = SealedCookie(key, "launch")
        self._sessions = SealedCookie(key, "session")
        self._prefix = prefix
        self._secure = secure
        self._now = now

    def remember(self, response: Response, pending: PendingLaunch) -> None:
        """Stores a launch in the browser until its callback."""
        sealed = self._launches.seal(msgspec.to_builtins(pending), self._now())
        # The callback comes from the EHR's site, and the browser would not send a SameSite=Strict cookie with it.
        self._set(response, _launch(pending.state), sealed, LAUNCH_SECONDS, f"{self._prefix}/smart", "Lax")

    def recall(self, state: str) -> PendingLaunch | None:
        """The launch of this browser that a callback belongs to; None without one."""
        sealed = request.cookies.get(_launch(state))
        opened = self._launches.open(sealed, self._now(), LAUNCH_SECONDS) if sealed else None
        pending = msgspec.convert(opened, PendingLaunch) if opened is not None else None
        return pending if pending is not None and pending.state == state else None

    def drop(self, response: Response, state: str) -> None:
        """Deletes the cookie of a launch."""
        self._set(response, _launch(state), "", 0, f"{self._prefix}/smart", "Lax")

    def keep(self, response: Response, session: Session) -> bool:
        """Stores a session until its token expires; False if the token is too long for a cookie."""
        sealed = self._sessions.seal(msgspec.to_builtins(session), self._now())
        pieces = [sealed[at : at + _PIECE] for at in range(0, len(sealed), _PIECE)]
        if len(pieces) > _MOST_PIECES:
            return False
        seconds = max(0, session.expires - int(self._now()))
        self._write(response, [*pieces, *[""] * (_MOST_PIECES - len(pieces))], seconds)
        return True

    def forget(self, response: Response) -> None:
        """Signs the browser out."""
        self._write(response, [""] * _MOST_PIECES, 0)

    def current(self) -> Session | None:
        """The session of the current request; None without one, or if it has expired."""
        if "session" not in g:
            g.session = self._read()
        found: Session | None = g.session
        return found

    def _read(self) -> Session | None:
        sealed = "".join(request.cookies.get(f"{_SESSION}{n}", "") for n in range(_MOST_PIECES))
        opened = self._sessions.open(sealed, self._now(), _MOST_SECONDS) if sealed else None
        session = msgspec.convert(opened, Session) if opened is not None else None
        return session if session is not None and session.expires > self._now() else None

    def _write(self, response: Response, pieces: Iterable[str], seconds: int) -> None:
        for n, piece in enumerate(pieces):
            self._set(response, f"{_SESSION}{n}", piece, seconds if piece else 0, f"{self._prefix}/app", "Strict")

    def _set(self, response: Response, name: str, value: str, seconds: int, path: str, same_site: str) -> None:
        response.set_cookie(
            name, value, max_age=seconds, path=path, secure=self._secure, httponly=True, samesite=same_site
        )


def _launch(state: str) -> str:
    """The cookie name of a launch; one per launch, so that launches in two tabs do not collide."""
    return _LAUNCH + sha256(state.encode()).hexdigest()[:16]
