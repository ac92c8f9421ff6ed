"""The log: one JSON line per event, only what is on the list, nothing urgent left waiting."""

from __future__ import annotations

import io

import msgspec
import pytest

from cds_service.logs import ALLOWED, _LineWriter, configure, get_log


class _Pipe(io.BytesIO):
    """Counts how often lines were passed on."""

    flushed = 0

    def flush(self) -> None:
        self.flushed += 1


def test_fields_that_are_not_on_the_list_are_dropped() -> None:
    stream = io.BytesIO()
    configure("info", stream)
    get_log().info("call", service="a", patient="Canary", value=3.4, token="Canary", cards=["b12-low"])
    line = msgspec.json.decode(stream.getvalue())
    assert set(line) == {"event", "level", "at", "service", "cards"}
    assert set(line) <= ALLOWED


@pytest.mark.parametrize("name", ["patient", "patient_id", "user", "token", "value", "comment", "text", "body", "url"])
def test_no_field_for_a_person_or_a_value_is_on_the_list(name: str) -> None:
    assert name not in ALLOWED


def test_what_is_below_the_level_is_not_written() -> None:
    stream = io.BytesIO()
    configure("warning", stream)
    get_log().info("call")
    assert stream.getvalue() == b""
    get_log().warning("closed")
    assert stream.getvalue().count(b"\n") == 1


def test_lines_of_calls_wait_for_the_next_round_and_warnings_do_not() -> None:
    pipe = _Pipe()
    writer = _LineWriter(pipe)
    writer.info(b"1")
    writer.info(b"2")
    assert pipe.flushed == 0
    writer.pass_on()
    writer.pass_on()
    assert pipe.flushed == 1
    writer.info(b"3")
    writer.error(b"4")
    assert pipe.flushed == 2
    assert pipe.getvalue() == b"1\n2\n3\n4\n"
