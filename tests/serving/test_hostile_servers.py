"""Whatever a server answers, a client ends in time, with the outputs of the model or one clear error."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import pytest

from alad_tf.errors import AladError, DataError, SettingsError
from alad_tf.serving import client
from alad_tf.serving.client import RestClient

ROWS = [[0.0] * 5] * 2
OUTPUTS = {"score": "float32", "is_anomaly": "bool", "is_valid": "bool", "unseen": "int32", "latent": "float32"}
DESCRIPTION = {
    "name": "array",
    "signatures": {
        "serving_default": {
            "inputs": {"x": {"type": "float32", "shape": [None, 5]}},
            "outputs": {
                name: {"type": kind, "shape": [None, 3] if name == "latent" else [None]}
                for name, kind in OUTPUTS.items()
            },
        }
    },
}
SCORES: dict[str, Any] = {
    "score": [1.5, 2],
    "is_anomaly": [True, False],
    "is_valid": [True, True],
    "unseen": [0, 3],
    "latent": [[1.5, 2.5, -0.25], [0, 0, 0]],
}
HOSTILE = {  # what a server sends after the request -> what the client says
    "no HTTP": (b"hello\r\n\r\n", "BadStatusLine"),
    "nothing": (b"", "RemoteDisconnected"),
    "a redirect": (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n", "302, Found"),
    "an error without words": (b"HTTP/1.1 500 \r\n\r\n", "500, no reason"),
    "an error in many lines": (b'HTTP/1.1 400 Bad\r\n\r\n{"error": "one\\ntwo"}', "400, one two"),
    "an answer cut short": (b'HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{"outputs"', "truncated response"),
    "a bad chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "IncompleteRead|invalid literal"),
    "a negative length": (b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n[]", "TypeError"),
    "endless headers": (b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200 + b"\r\n", "got more than 100 headers"),
    "no JSON": (b"HTTP/1.1 200 OK\r\n\r\n<html>", "JSONDecodeError"),
    "not UTF-8": (b'HTTP/1.1 200 OK\r\n\r\n"\xff"', "UnicodeDecodeError"),
    "deep JSON": (b"HTTP/1.1 200 OK\r\n\r\n" + b"[" * 100_000, "RecursionError"),
    "control signs": (b"HTTP/1.1 500 \x1b[31m\xff\r\n\r\n", r"500, \\x1b\[31m"),
    "control signs in an error": (b'HTTP/1.1 500 X\r\n\r\n{"error": "\\u001b\\u202e"}', r"500, \\x1b\\u202e"),
    "control signs for HTTP": (b"\x1b[31m\r\n\r\n", "BadStatusLine"),
    "compressed": (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b\x08", "UnicodeDecodeError"),
}
SHAPELESS: dict[str, Any] = {
    "a list": [],
    "null": None,
    "no outputs": {"predictions": []},
    "too few outputs": {"outputs": {"score": [1.5, 2.0]}},
    "too few rows": {"outputs": {**SCORES, "score": [1.5]}},
    "too many rows": {"outputs": {**SCORES, "is_valid": [True] * 3}},
    "text as truth": {"outputs": {**SCORES, "is_anomaly": ["false", "true"]}},
    "numbers as truth": {"outputs": {**SCORES, "is_anomaly": [0, 1]}},
    "truth as numbers": {"outputs": {**SCORES, "score": [True, False]}},
    "NaN": {"outputs": {**SCORES, "score": [1.5, float("nan")]}},
    "infinity": {"outputs": {**SCORES, "score": [1.5, float("inf")]}},
    "ragged rows": {"outputs": {**SCORES, "score": [[1.5], 2.0]}},
    "rows of rows": {"outputs": {**SCORES, "score": [[1.5], [2.0]]}},
    "null in a row": {"outputs": {**SCORES, "score": [1.5, None]}},
    "beyond float32": {"outputs": {**SCORES, "score": [1.5, 1e39]}},
    "beyond float64": {"outputs": {**SCORES, "score": [1.5, 10**400]}},
    "beyond int32": {"outputs": {**SCORES, "unseen": [0, 2**32]}},
    "a fraction as a count": {"outputs": {**SCORES, "unseen": [0, 1.5]}},
    "truth as a count": {"outputs": {**SCORES, "unseen": [0, True]}},
    "truth among numbers": {"outputs": {**SCORES, "score": [1.5, True]}},
    "a number among truth": {"outputs": {**SCORES, "is_valid": [True, 1]}},
    "text among numbers": {"outputs": {**SCORES, "score": ["x" * 500_000, ""]}},
    "narrow rows": {"outputs": {**SCORES, "latent": [[1.5, 2.5, 3.5], [1.5, 2.5]]}},
    "a control sequence": {"outputs": {**SCORES, "score": "\x1b[31m"}},
}


@contextmanager
def answering(*parts: bytes, pause: float = 0.0) -> Iterator[str]:
    """URL of a server that answers any request of its one client with the parts, with a pause after each."""

    def serve() -> None:
        connection, _ = listener.accept()
        accepted.append(connection)
        with connection, suppress(OSError), connection.makefile("rb") as request:
            length = 0
            for line in iter(request.readline, b"\r\n"):
                name, _, value = line.partition(b":")
                length = int(value) if name.lower() == b"content-length" else length
            request.read(length)  # a connection that is closed with bytes unread is reset
            for part in parts:
                connection.sendall(part)
                ended.wait(pause)

    accepted: list[socket.socket] = []
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        ended.set()
        for connection in accepted:
            with suppress(OSError):  # closed already
                connection.shutdown(socket.SHUT_RDWR)
    thread.join(10.0)


@pytest.mark.parametrize("kind", [*HOSTILE, *SHAPELESS])
def test_hostile_answers_are_one_error(kind: str) -> None:
    content, message = HOSTILE.get(kind) or (b"HTTP/1.1 200 OK\r\n\r\n" + json.dumps(SHAPELESS[kind]).encode(), ".")
    with answering(content) as url, pytest.raises(AladError, match=rf"^Expected .* Received: .*{message}") as raised:
        RestClient(url, DESCRIPTION, seconds=5.0)({"x": ROWS})
    assert str(raised.value).isprintable()


def test_a_sound_answer_passes_the_same_checks() -> None:
    with answering(b"HTTP/1.1 200 OK\r\n\r\n" + json.dumps({"outputs": SCORES}).encode()) as url:
        answer = RestClient(url, DESCRIPTION, seconds=5.0)({"x": ROWS})
    assert {name: values.tolist() for name, values in answer.items()} == SCORES


@pytest.mark.parametrize("slow", ["headers", "body"])
def test_answers_that_drip_end_in_time(slow: str) -> None:
    """Every byte arrives within the socket's timeout; the whole response does not."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n"
    parts = [head, *[b"a: b\r\n"] * 99] if slow == "headers" else [head + b"\r\n", *[b" "] * 99]
    with answering(*parts, pause=0.1) as url, pytest.raises(AladError, match="within 0.5 seconds. Received: none"):
        start = time.monotonic()
        try:
            RestClient(url, DESCRIPTION, seconds=0.5)({"x": ROWS})
        finally:
            took = time.monotonic() - start
    assert took < 9.0  # all of the parts take 10 seconds


def test_answers_without_end_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their limit follows from the rows: 7 numbers in each of two."""
    monkeypatch.setattr(client, "MOST_BYTES", 1 << 16)
    most = (1 << 16) + 2 * 7 * 128
    parts = [b"HTTP/1.1 200 OK\r\n\r\n", *[b" " * (1 << 16)] * 200]
    with answering(*parts) as url, pytest.raises(AladError, match=f"a response of more than {most} bytes"):
        RestClient(url, DESCRIPTION, seconds=5.0)({"x": ROWS})


@pytest.mark.parametrize("endless", ["headers", "trailers"])
def test_the_thread_of_an_answer_without_end_ends(endless: str) -> None:
    """It read on after the time limit, as fast as the server sent."""
    chunk = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n \r\n0\r\n"
    first, block = (b"", b"HTTP/1.1 100 C\r\n\r\n") if endless == "headers" else (chunk, b"a: b\r\n")
    before = set(threading.enumerate())
    with answering(first, *[block * 1000] * 100_000) as url:
        (server,) = set(threading.enumerate()) - before
        with pytest.raises(AladError, match="within 0.5 seconds. Received: none"):
            RestClient(url, DESCRIPTION, seconds=0.5)({"x": ROWS})
        for thread in set(threading.enumerate()) - before - {server}:
            thread.join(5.0)
            assert not thread.is_alive()


def test_no_rows_are_not_sent() -> None:
    """A server cannot tell the shape of rows that are not there."""
    answer = RestClient("http://localhost:1", DESCRIPTION, seconds=5.0)({"x": np.zeros((0, 5))})
    assert {name: values.shape for name, values in answer.items()} == {**dict.fromkeys(OUTPUTS, (0,)), "latent": (0, 3)}


@pytest.mark.parametrize(
    "url",
    [
        *("", "localhost:8501", "file:///etc/passwd", "http://", "http://a:b", "http://a b/", "http://a\n/"),
        *("http://a/?query", "http://a/#fragment", 5),
    ],
)
def test_urls_that_name_no_server(url: Any) -> None:
    with pytest.raises(SettingsError, match="^Expected the URL of a server.* Received: .*without user") as raised:
        RestClient(url, DESCRIPTION)
    assert str(raised.value).isprintable()


@pytest.mark.parametrize("url", ["http://user:secret@host", "htp://user:secret@host", "http://user:secret@host?a"])
def test_passwords_are_not_repeated(url: str) -> None:
    with pytest.raises(SettingsError, match="Received: one with a user name") as raised:
        RestClient(url, DESCRIPTION)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), 1e10, "3", None, True])
def test_time_limits_that_are_none(seconds: Any) -> None:
    with pytest.raises(SettingsError, match=r"^Expected a time limit in seconds. Received: .* at most 86400\.$"):
        RestClient("http://host", DESCRIPTION, seconds=seconds)


@pytest.mark.parametrize("version", ["1/../..", -1, 1.5, True, 2**63])
def test_versions_that_are_none(version: Any) -> None:
    with pytest.raises(SettingsError, match="^Expected a version of the model, a whole number. Received: "):
        RestClient("http://host", DESCRIPTION, version)


@pytest.mark.parametrize(
    "changes",
    [
        {"name": None},
        {"signatures": None},
        {"signatures": {"a": None}},
        {"signatures": {"a": {"inputs": {}, "outputs": {}}}},
        {"signatures": {"a": {"inputs": {"x": {"type": "float32", "shape": [None]}}}}},
        *(
            {"signatures": {"a": {side: {"x": tensor} for side in ("inputs", "outputs")}}}
            for tensor in (None, {"type": "complex64", "shape": [None]}, {"type": "bool", "shape": [None, -1]}, {})
        ),
    ],
)
def test_descriptions_of_something_else(changes: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="^Expected the description of an export, alad.json. Received: a mapping,"):
        RestClient("http://host", {**DESCRIPTION, **changes})


def test_long_messages_of_a_server_are_cut() -> None:
    said = json.dumps({"error": "too many rows: " + "1 " * 100_000}).encode()
    with answering(b"HTTP/1.1 400 Bad Request\r\n\r\n" + said) as url, pytest.raises(AladError, match="too many rows"):
        RestClient(url, DESCRIPTION, seconds=5.0)({"x": ROWS})
