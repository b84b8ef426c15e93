"""Packed files are refused before they exceed their memory limit."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from alad_tf.errors import DataError
from alad_tf.io import archives


def in_numpys_format(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def test_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "FREE_BYTES", 5000)
    (tmp_path / "file").write_bytes(b"x" * 10)
    archives.require_bounded(tmp_path / "file", 5000)
    with pytest.raises(DataError, match="at most 200 times its size. Received: .*file, which unpacks to more"):
        archives.require_bounded(tmp_path / "file", 5001)
    (tmp_path / "file").write_bytes(b"x" * 30)
    archives.require_bounded(tmp_path / "file", 6000)


@pytest.mark.parametrize("array", [np.arange(6.0).reshape(2, 3), np.asfortranarray(np.eye(3)), np.zeros((0, 4), bool)])
def test_header(array: np.ndarray) -> None:
    content = in_numpys_format(array)
    stream = io.BytesIO(content)
    shape, by_columns, dtype = archives.header(stream, len(content))
    assert (shape, by_columns, dtype) == (array.shape, not array.flags.c_contiguous, array.dtype)
    assert stream.read() == array.tobytes("A")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (in_numpys_format(np.array([object], object)), "pickled objects"),
        (in_numpys_format(np.eye(3))[:-1], "in 199 bytes"),
        (in_numpys_format(np.eye(3)).replace(b"(3, 3)", b"(3, 9)"), r"said to be \[3, 9\] of float64"),
        (in_numpys_format(np.eye(3)).replace(b"\x93NUMPY\x01", b"\x93NUMPY\x09"), "version"),
        (in_numpys_format(np.eye(3)).replace(b"'descr'", b"'descr("), "no description of an array|Cannot parse"),
        (b"", "EOF"),
    ],
)
def test_header_that_is_not_sound(content: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        archives.header(io.BytesIO(content), len(content))


def test_arrays(tmp_path: Path) -> None:
    everything: dict[str, Any] = {"a": np.arange(3), "b/0": np.array(["x"]), "c": np.array(2.0)}
    np.savez_compressed(tmp_path / "arrays.npz", **everything)
    assert {name: array.tolist() for name, array in archives.arrays(tmp_path / "arrays.npz").items()} == {
        name: array.tolist() for name, array in everything.items()
    }


def test_arrays_of_a_bomb_are_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez_compressed(tmp_path / "bomb.npz", x=np.zeros(1 << 24))
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda *_: pytest.fail("it was opened"))
    with pytest.raises(DataError, match="bomb.npz, which unpacks to more"):
        archives.arrays(tmp_path / "bomb.npz")


@pytest.mark.parametrize("claimed", [0, 151, 153, 2**31, 2**60])
def test_sizes_that_lie(tmp_path: Path, claimed: int) -> None:
    """Of 152 bytes, in a central directory of a plain or, from 2^32, a Zip64 archive."""
    content = in_numpys_format(np.arange(3.0))
    assert len(content) == 152
    with zipfile.ZipFile(tmp_path / "arrays.npz", "w") as archive:
        archive.writestr("a.npy", content)
        archive.filelist[0].file_size = claimed
    with pytest.raises((DataError, *archives.DAMAGE)):
        archives.arrays(tmp_path / "arrays.npz")


def test_two_arrays_of_one_name(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "arrays.npz", "w") as archive, pytest.warns(UserWarning, match="Duplicate"):
        for array in (np.eye(3), np.zeros(3)):
            archive.writestr("a.npy", in_numpys_format(array))
    with pytest.raises(ValueError, match="two arrays of one name"):
        archives.arrays(tmp_path / "arrays.npz")
