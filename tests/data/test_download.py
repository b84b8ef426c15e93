"""Raw files that are damaged or missing, and their downloads."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import io
import os
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import raw_data
from raw_data import (
    KDD99,
    MAT,
    Tiny,
    cache_names,
    copy,
    message,
    names_in,
    needs,
    serve,
)

from alad_tf.data import loading, raw_files
from alad_tf.errors import DataError

user_cache, folder, tiny = raw_data.user_cache, raw_data.folder, raw_data.tiny  # fixtures


def test_wrong_checksum_is_set_aside_and_the_next_call_downloads(
    tiny: Tiny, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "tiny.raw"
    path.write_bytes(b"something else")
    serve(monkeypatch, {"https://one.example/a": tiny.content})
    with pytest.raises(DataError) as caught:
        loading.load("arrhythmia", data_dir=folder)
    text = message(caught)
    assert str(path) in text and str(folder / "tiny.raw.bad") in text
    assert tiny.sha256 in text and hashlib.sha256(b"something else").hexdigest() in text
    assert names_in(folder) == {"tiny.raw.bad"}
    assert (folder / "tiny.raw.bad").read_bytes() == b"something else"
    assert tiny.is_in(loading.load("arrhythmia", data_dir=folder))
    assert path.read_bytes() == tiny.content


def test_truncated_gzip(folder: Path) -> None:
    (folder / KDD99).write_bytes(gzip.compress(b"0,tcp,http,SF,normal.\n" * 1000)[:-12])
    with pytest.raises(DataError) as caught:
        loading.load("kdd99", data_dir=folder)
    assert raw_files.RAW_FILES["kdd99"][0].sha256 in message(caught)
    assert names_in(folder) == {f"{KDD99}.bad"}


@needs(KDD99)
def test_half_of_the_real_file(folder: Path) -> None:
    path = copy(KDD99, folder)
    os.truncate(path, 1_000_000)
    with pytest.raises(DataError, match="1000000 bytes of 2144903"):
        loading.load("kdd99", data_dir=folder)
    assert names_in(folder) == {f"{KDD99}.bad"}


@pytest.mark.parametrize("page", [b"<!DOCTYPE html><p>Sign in", b"\n <html><p>404"])
def test_web_page_instead_of_data(folder: Path, page: bytes) -> None:
    (folder / MAT).write_bytes(page)
    with pytest.raises(DataError) as caught:
        loading.load("arrhythmia", data_dir=folder)
    assert "a web page" in message(caught)


def test_wrong_checksum_in_a_read_only_directory(tiny: Tiny, folder: Path) -> None:
    (folder / "tiny.raw").write_bytes(b"something else")
    folder.chmod(0o555)
    with pytest.raises(DataError) as caught:
        loading.load("arrhythmia", data_dir=folder)
    assert str(folder / "tiny.raw") in message(caught) and "could not be set aside" in message(caught)
    assert names_in(folder) == {"tiny.raw"}


def test_unreadable_file(tiny: Tiny, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read_bytes(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    path = tiny.put(folder)
    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    with pytest.raises(DataError) as caught:
        loading.load("arrhythmia", data_dir=folder)
    assert str(path) in message(caught) and "Permission denied" in message(caught)


@pytest.mark.parametrize("name", ["kdd99", "arrhythmia"])
def test_missing_file_and_no_network(name: str, folder: Path, user_cache: Path) -> None:
    with pytest.raises(DataError) as caught:
        loading.load(name, data_dir=folder)
    text = message(caught)
    for raw in raw_files.RAW_FILES[name]:
        assert all(part in text for part in (raw.name, raw.sha256, *raw.urls))
    assert str(folder) in text and str(user_cache) in text
    assert "no network in tests" in text
    assert "./reproduce.sh toy" in text and "ALAD_DATA_DIR" in text
    assert names_in(folder) == names_in(user_cache) == set()


def test_download(tiny: Tiny, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = serve(monkeypatch, dict.fromkeys(tiny.raw.urls, tiny.content))
    assert tiny.is_in(loading.load("arrhythmia", data_dir=folder / "new"))
    assert tiny.is_in(loading.load("arrhythmia", data_dir=folder / "new"))
    assert asked == [("https://one.example/a", 30.0)]
    assert (folder / "new" / "tiny.raw").read_bytes() == tiny.content
    assert names_in(folder / "new") == {"tiny.raw"} | cache_names(tiny)


def test_download_through_the_real_opener(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    tiny = Tiny()
    source = tiny.put(tmp_path / "server").as_uri()
    raw = dataclasses.replace(tiny.raw, urls=((tmp_path / "nothing").as_uri(), source))
    monkeypatch.setitem(raw_files.RAW_FILES, "arrhythmia", (raw,))
    assert tiny.is_in(loading.load("arrhythmia", data_dir=folder))
    assert (folder / "tiny.raw").read_bytes() == tiny.content


@pytest.mark.parametrize("answer", [b"wrong", b"", b"<html>moved"])
def test_wrong_answer_goes_on_to_the_next_mirror(
    tiny: Tiny, folder: Path, monkeypatch: pytest.MonkeyPatch, answer: bytes
) -> None:
    first, second = tiny.raw.urls
    asked = serve(monkeypatch, {first: answer, second: tiny.content})
    assert tiny.is_in(loading.load("arrhythmia", data_dir=folder))
    assert [url for url, _ in asked] == [first, second]


def test_wrong_answers_only(tiny: Tiny, folder: Path, user_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = tiny.raw.urls
    serve(monkeypatch, {first: b"<!doctype html>\nSign in"})
    with pytest.raises(DataError) as caught:
        loading.load("arrhythmia", data_dir=folder)
    text = message(caught)
    assert hashlib.sha256(b"<!doctype html>\nSign in").hexdigest() in text and "a web page" in text
    assert f"{second}: HTTPError: HTTP Error 404" in text
    assert names_in(folder) == names_in(user_cache) == set()


def test_endless_answer_is_cut_off(tiny: Tiny, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless(io.BytesIO):
        blocks = 0

        def read(self, size: int | None = -1) -> bytes:
            self.blocks += 1
            assert self.blocks < 10
            return b"x" * 1000

    monkeypatch.setattr(urllib.request, "urlopen", lambda url, timeout: Endless())
    with pytest.raises(DataError, match="no download succeeded"):
        loading.load("arrhythmia", data_dir=folder)


def test_connection_lost_on_the_way(tiny: Tiny, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Lost(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise TimeoutError("timed out")

    monkeypatch.setattr(urllib.request, "urlopen", lambda url, timeout: Lost())
    with pytest.raises(DataError, match="TimeoutError: timed out"):
        loading.load("arrhythmia", data_dir=folder)
    assert names_in(folder) == set()


def test_download_beside_a_read_only_data_directory(
    tiny: Tiny, folder: Path, user_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = serve(monkeypatch, {tiny.raw.urls[0]: tiny.content})
    folder.chmod(0o555)
    assert tiny.is_in(loading.load("arrhythmia", data_dir=folder))
    assert tiny.is_in(loading.load("arrhythmia", data_dir=folder / "below"))
    assert len(asked) == 1
    assert names_in(folder) == set()
    assert (user_cache / "tiny.raw").read_bytes() == tiny.content


def test_nowhere_to_download_to(tiny: Tiny, folder: Path, user_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(monkeypatch, {tiny.raw.urls[0]: tiny.content})
    folder.chmod(0o555)
    user_cache.parent.touch()  # a file where the cache folder should be
    with pytest.raises(DataError) as caught:
        loading.load("arrhythmia", data_dir=folder)
    text = message(caught)
    assert str(folder) in text and str(user_cache) in text and "Name a writable directory" in text
