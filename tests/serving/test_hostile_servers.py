"""Whatever a server answers, a client ends in time, with the outputs of the model or one clear error."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from alad_tf.errors import AladError, SettingsError
from alad_tf.serving import client
from alad_tf.serving.client import RestClient

ROWS = [[0.0] * 5] * 2
OUTPUTS = {"score": "float32", "is_anomaly": "bool", "is_valid": "bool"}
DESCRIPTION = {
    "name": "array",
    "signatures": {
        "serving_default": {
            "inputs": {"x": {"type": "float32", "shape": [None, 5]}},
            "outputs": {name: {"type": kind, "shape": [None]} for name, kind in OUTPUTS.items()},
        }
    },
}
SCORES = {"score": [1.5, 2.0], "is_anomaly": [True, False], "is_valid": [True, True]}
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
}


@contextmanager
def answering(*parts: bytes, pause: float = 0.0) -> Iterator[str]:
    """URL of a server that answers any request of its one client with the parts, with a pause after each."""

    def serve() -> None:
        connection, _ = listener.accept()
        with connection, suppress(OSError), connection.makefile("rb") as request:
            length = 0
            for line in iter(request.readline, b"\r\n"):
                name, _, value = line.partition(b":")
                length = int(value) if name.lower() == b"content-length" else length
            request.read(length)  # a connection that is closed with bytes unread is reset
            for part in parts:
                connection.sendall(part)
                ended.wait(pause)

    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        ended.set()
    thread.join(10.0)


@pytest.mark.parametrize("kind", [*HOSTILE, *SHAPELESS])
def test_hostile_answers_are_one_error(kind: str) -> None:
    content, message = HOSTILE.get(kind) or (b"HTTP/1.1 200 OK\r\n\r\n" + json.dumps(SHAPELESS[kind]).encode(), ".")
    with answering(content) as url, pytest.raises(AladError, match=rf"^Expected .* Received: .*{message}") as raised:
        RestClient(url, DESCRIPTION, seconds=5.0)({"x": ROWS})
    assert "\n" not in str(raised.value)


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
    monkeypatch.setattr(client, "MOST_BYTES", 1 << 16)
    parts = [b"HTTP/1.1 200 OK\r\n\r\n", *[b" " * (1 << 16)] * 200]
    with answering(*parts) as url, pytest.raises(AladError, match="a response of more than 65536 bytes"):
        RestClient(url, DESCRIPTION, seconds=5.0)({"x": ROWS})


@pytest.mark.parametrize(
    "url", ["", "localhost:8501", "file:///etc/passwd", "http://", "http://a:b", "http://a b/", "http://a\n/"]
)
def test_urls_that_name_no_server(url: str) -> None:
    with pytest.raises(SettingsError, match="Expected the URL of a server"):
        RestClient(url, DESCRIPTION)
