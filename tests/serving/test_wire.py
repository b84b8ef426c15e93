"""Hand-written protocol buffers compared with protobuf's classes."""

from __future__ import annotations

from pathlib import Path

import pytest
from exported_models import ROWS, array_version
from google.protobuf.wrappers_pb2 import (  # type: ignore[import-untyped]
    DoubleValue,
    FloatValue,
    Int64Value,
    StringValue,
)
from tensorflow.core.protobuf import meta_graph_pb2

from alad_tf.errors import AladError
from alad_tf.serving import c_api


@pytest.mark.parametrize("number", [0, 1, 127, 128, 300, 2**31, 2**63 - 1])
def test_whole_numbers(number: int) -> None:
    assert Int64Value.FromString(c_api.field(1, number)).value == number
    assert dict(c_api.fields(c_api.field(1, number))) == {1: number}


@pytest.mark.parametrize("text", ["", "x", "größe", "long " * 100])
def test_text(text: str) -> None:
    assert StringValue.FromString(c_api.field(1, text)).value == text
    assert c_api.field(1, text) == c_api.field(1, text.encode())
    assert list(c_api.fields(c_api.field(17, text))) == [(17, text.encode())]


def test_fixed_widths_are_bytes() -> None:
    assert list(c_api.fields(FloatValue(value=1.5).SerializeToString())) == [(1, b"\x00\x00\xc0\x3f")]
    assert len(dict(c_api.fields(DoubleValue(value=1.5).SerializeToString()))[1]) == 8  # type: ignore[arg-type]


def test_entries_of_a_map() -> None:
    graph = meta_graph_pb2.MetaGraphDef()
    graph.signature_def["one"].method_name = "m"
    graph.signature_def["two"].inputs["a b"].name = "op:1"
    found = c_api.entries(graph.SerializeToString(), 5)
    assert found == {name: message.SerializeToString() for name, message in graph.signature_def.items()}
    assert c_api.entries(found["two"], 1) == {"a b": c_api.field(1, "op:1")}
    assert c_api.entries(found["one"], 1) == {}


@pytest.mark.parametrize("message", [b"\x0a\x05abc", b"\x80", b"\x0b", b"\x09\x00", b"\x0a\xff"])
def test_what_is_no_message(message: bytes) -> None:
    with pytest.raises(ValueError, match="Expected a protocol-buffer message"):
        list(c_api.fields(message))


def test_modules_of_the_current_folder_are_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ctypes", "numpy", "pickle", "random", "alad_tf"):
        (tmp_path / f"{name}.py").write_text("open('executed', 'w')")
    monkeypatch.chdir(tmp_path)
    (answer,) = c_api.answers(array_version(), [("serving_default", {"x": ROWS[:2]})])
    assert answer["is_valid"].tolist() == [True, True] and not (tmp_path / "executed").exists()


@pytest.mark.parametrize("said", ["", "hello"])
def test_answers_that_are_none(said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program as the interpreter, or a module that prints."""
    monkeypatch.setattr(c_api, "CHILD", f"print({said!r}, end='')")
    with pytest.raises(AladError, match=r"^Expected answers of the C\+\+ loader. Received: \w+Error: .*\.$"):
        c_api.answers(array_version(), [])
