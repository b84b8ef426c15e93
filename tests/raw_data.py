"""Raw data files for tests: real files if available, a synthetic one, and a web server.

A test module takes the fixtures by assignment, as in `folder = raw_data.folder`.
"""

from __future__ import annotations

import hashlib
import io
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tolerances import bound

from alad_tf import paths
from alad_tf.data import base, raw_files

REAL = paths.data_folders()[0]
KDD99 = "kddcup.data_10_percent.gz"
MAT = "arrhythmia.mat"
UCI = "arrhythmia.data"
ROUNDED = bound(6, 1.0)  # (x - low) / (high - low) of float32


def needs(*names: str) -> Any:
    missing = [name for name in names if not (REAL / name).is_file()]
    return pytest.mark.skipif(bool(missing), reason=f"{', '.join(missing)} not in {REAL}")


def copy(name: str, folder: Path) -> Path:
    """Copy the real file to a folder of the test; the real data directory is never written to."""
    folder.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copyfile(REAL / name, folder / name))


def no_network(*_: object, **__: object) -> None:
    raise urllib.error.URLError("no network in tests")


@pytest.fixture(autouse=True)
def user_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.delenv("ALAD_DATA_DIR", raising=False)
    monkeypatch.setattr(paths, "checkout_data", lambda: [])
    monkeypatch.setattr(urllib.request, "urlopen", no_network)
    return tmp_path / "xdg" / "alad_tf"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """An empty data directory; it is made writable again at the end."""
    made = tmp_path / "data"
    made.mkdir()
    yield made
    made.chmod(0o755)


class Tiny:
    """A synthetic raw file in place of Arrhythmia's two, with as many rows; counts how often it is parsed."""

    content = b"a few bytes"

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        y_train, y_test = np.zeros(226, np.uint8), np.zeros(226, np.uint8)
        y_train[:34], y_test[:32] = 1, 1
        x_train, x_test = rng.normal(size=(2, 226, 274)).astype(np.float32)
        self.halves = base.Halves(x_train, y_train, x_test, y_test)
        self.parsed = 0
        self.sha256 = hashlib.sha256(self.content).hexdigest()
        self.raw = base.RawFile(
            "tiny.raw", len(self.content), self.sha256, ("https://one.example/a", "https://two.example/b"), self.parse
        )

    def parse(self, content: bytes) -> base.Halves:
        assert content == self.content
        self.parsed += 1
        return self.halves

    def put(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / self.raw.name
        path.write_bytes(self.content)
        return path

    def is_in(self, split: base.Split) -> bool:
        normal = self.halves.y_train == 0
        return (
            np.array_equal(split.x_train, self.halves.x_train[normal])
            and np.array_equal(split.x_test, self.halves.x_test)
            and np.array_equal(split.y_test, self.halves.y_test)
        )


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> Tiny:
    made = Tiny()
    monkeypatch.setitem(raw_files.RAW_FILES, "arrhythmia", (made.raw,))
    return made


def serve(monkeypatch: pytest.MonkeyPatch, pages: dict[str, bytes]) -> list[tuple[str, float]]:
    """Serve a page for each URL and an error for others; return the requests with their timeouts."""
    asked: list[tuple[str, float]] = []

    def urlopen(url: str, timeout: float) -> io.BytesIO:
        asked.append((url, timeout))
        if url not in pages:
            raise urllib.error.HTTPError(url, 404, "Not\nFound", None, None)  # type: ignore[arg-type]
        return io.BytesIO(pages[url])

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    return asked


def message(caught: pytest.ExceptionInfo[Exception]) -> str:
    text = str(caught.value)
    assert "\n" not in text and "Received: " in text
    return text


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


def cache_names(tiny: Tiny) -> set[str]:
    fields = ("x_train", "y_train", "x_test", "y_test")
    stem = f"tiny.raw.{tiny.sha256[:12]}.v1"
    return {f"{stem}.json", *(f"{stem}.{field}.npy" for field in fields)}
