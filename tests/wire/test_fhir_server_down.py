"""A FHIR server that is down: the service says so in time, and does without it where it can."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from tests.support.real_inputs import SAMPLES, call, problem, rules, sample_request, shipped_service

LOW_B12 = next(sample for sample in SAMPLES if sample.id == "b12-low-metformin")


@pytest.mark.row("PRF-02", "PFD-11")
@pytest.mark.parametrize("listening", [False, True], ids=["a port nobody listens on", "a server that never answers"])
def test_a_fhir_server_that_is_down_is_412_before_the_client_gives_up(tmp_path: Path, listening: bool) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        if listening:
            server.listen()
        base = f"http://127.0.0.1:{server.getsockname()[1]}/fhir"
        with shipped_service(tmp_path, fhir_allow=(base,), fhir_deadline=1.0) as client:
            began = time.monotonic()
            reply = call(client, "vitamin-b12-patient-view", sample_request(LOW_B12, fhir_server=base))
            took = time.monotonic() - began

    status, code, words = problem(reply)
    assert (status, code) == (412, "incomplete")
    assert "Patient" in words
    assert took < 2


@pytest.mark.row("TOY-20")
def test_a_fhir_server_that_is_down_costs_nothing_when_all_was_sent(tmp_path: Path) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        base = f"http://127.0.0.1:{server.getsockname()[1]}/fhir"
        with shipped_service(tmp_path, fhir_allow=(base,)) as client:
            request = sample_request(LOW_B12, prefetch=True, fhir_server=base)

            assert rules(call(client, "vitamin-b12-patient-view", request)) == ["b12-low"]
