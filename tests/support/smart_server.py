"""An EHR that launches apps: SMART configuration, authorization, tokens, and a FHIR server that asks for them.

It serves https on loopback under its own authority and checks what a real one checks: client, redirect address, PKCE,
each code once. What a test changes in `configuration` and `token` is what it answers. The records are those of an app
that stands behind it (the embedded sandbox), or of a server elsewhere (HAPI).
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlencode

import requests
from flask import Flask, Response, jsonify, redirect, request
from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler, make_server

from tests.support.certificates import Authority

Json = dict[str, Any]


@dataclass
class Ehr:
    """The EHR while it runs.

    Attributes:
        base: its FHIR base URL, the `iss` of a launch.
        ca_file: the authority that vouches for it.
        records: an app with `/sandbox/fhir`, or the base URL of a FHIR server.
        secret: of the app's registration; None: a public client.
        redirect_uri: the only address that users are sent back to.
        refuses: an OAuth error that the user's answer is, instead of a code.
        configuration, token: members that are otherwise than usual; None takes one out.
        token_status: what the token endpoint answers.
        seen: requests to the FHIR server as (path, Authorization header).
        asked: the parameters of every authorization request; `exchanged`: the forms of the token requests.
    """

    base: str
    ca_file: Path
    records: Flask | str
    client_id: str = "cds-page"
    secret: str | None = None
    redirect_uri: str = "https://cds.example/smart/callback"
    refuses: str | None = None
    configuration: Json = field(default_factory=dict)
    token: Json = field(default_factory=dict)
    token_status: int = 200
    seen: list[tuple[str, str | None]] = field(default_factory=list)
    asked: list[Json] = field(default_factory=list)
    exchanged: list[Json] = field(default_factory=list)
    launches: dict[str, str] = field(default_factory=dict)
    codes: dict[str, Json] = field(default_factory=dict)
    tokens: set[str] = field(default_factory=set)

    @property
    def host(self) -> str:
        return self.base.removesuffix("/fhir")

    def launch(self, patient: str) -> str:
        """What the EHR passes on as `launch` when its user opens the app from a patient's record."""
        launch = secrets.token_urlsafe(8)
        self.launches[launch] = patient
        return launch

    def authorize(self, address: str) -> requests.Response:
        """What the user's browser gets at the address that the app sent it to."""
        return requests.get(address, verify=str(self.ca_file), allow_redirects=False, timeout=10)


@contextmanager
def smart_server(folder: Path, records: Flask | str, **more: Any) -> Iterator[Ehr]:
    """Starts an EHR on a free loopback port and ends it."""
    authority = Authority(folder, "EHR CA")
    pair = authority.vouch("localhost")
    app = Flask("ehr")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.cert, pair.key)
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    # Hands are shaken in the threads of the callers, or they would wait for each other.
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.ssl_context = context
    ehr = Ehr(f"https://localhost:{server.port}/fhir", authority.ca_file, records, **more)
    _add_routes(app, ehr)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    assert isinstance(server, ThreadedWSGIServer)
    server.daemon_threads, server.block_on_close = True, False
    thread.start()
    try:
        yield ehr
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"  # connections are kept for the next request
    disable_nagle_algorithm = True

    def log(self, *_: object) -> None:
        """Keep the tests quiet."""


def _add_routes(app: Flask, ehr: Ehr) -> None:
    @app.get("/fhir/.well-known/smart-configuration")
    def configuration() -> Response:
        usual = {
            "issuer": ehr.base,
            "authorization_endpoint": f"{ehr.host}/oauth/authorize",
            "token_endpoint": f"{ehr.host}/oauth/token",
            "code_challenge_methods_supported": ["S256"],
            "capabilities": ["launch-ehr", "permission-v2"],
        }
        return jsonify(_changed(usual, ehr.configuration))

    @app.get("/oauth/authorize")
    def authorize() -> Any:
        given = request.args.to_dict()
        ehr.asked.append(given)
        if given["redirect_uri"] != ehr.redirect_uri or given["client_id"] != ehr.client_id:
            return "unknown app", 400
        answer = {"state": given["state"]}
        if ehr.refuses is not None:
            return redirect(f"{ehr.redirect_uri}?{urlencode({**answer, 'error': ehr.refuses})}")
        assert given["aud"] == ehr.base
        assert given["response_type"] == "code"
        assert given["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(8)
        ehr.codes[code] = given
        return redirect(f"{ehr.redirect_uri}?{urlencode({**answer, 'code': code})}")

    @app.post("/oauth/token")
    def token() -> Any:
        form = request.form.to_dict()
        ehr.exchanged.append(form)
        if ehr.token_status != 200:
            return jsonify({"error": "temporarily_unavailable"}), ehr.token_status
        asked = ehr.codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        proven = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if not _is_client(ehr, form):
            return jsonify({"error": "invalid_client"}), 401
        if asked is None or form["redirect_uri"] != asked["redirect_uri"] or proven != asked["code_challenge"]:
            return jsonify({"error": "invalid_grant"}), 400
        made = secrets.token_urlsafe(16)
        ehr.tokens.add(made)
        usual = {
            "access_token": made,
            "token_type": "Bearer",
            "expires_in": 600,
            "scope": asked["scope"],
            "patient": ehr.launches[asked["launch"]],
        }
        return jsonify(_changed(usual, ehr.token))

    @app.get("/fhir/<path:rest>")
    def fhir(rest: str) -> Response:
        path = f"{rest}?{request.query_string.decode()}" if request.query_string else rest
        bearer = request.headers.get("Authorization")
        ehr.seen.append((path, bearer))
        if bearer is None or bearer.removeprefix("Bearer ") not in ehr.tokens:
            return Response(status=401)
        if isinstance(ehr.records, str):
            found = requests.get(f"{ehr.records}/{path}", timeout=20)
            body = found.content.replace(ehr.records.encode(), ehr.base.encode())
            return Response(body, found.status_code, content_type="application/fhir+json")
        inner = ehr.records.test_client().get(f"/sandbox/fhir/{path}")
        return Response(inner.data, inner.status_code, content_type="application/fhir+json")


def _is_client(ehr: Ehr, form: Json) -> bool:
    sent = request.authorization
    if ehr.secret is None:
        return sent is None and form.get("client_id") == ehr.client_id
    names = sent is not None and sent.type == "basic" and (sent.username, sent.password)
    return names == (ehr.client_id, ehr.secret) or (
        bool(names) and (unquote(names[0] or ""), unquote(names[1] or "")) == (ehr.client_id, ehr.secret)
    )


def _changed(usual: Json, changes: Json) -> Json:
    return {name: value for name, value in (usual | changes).items() if value is not None}
