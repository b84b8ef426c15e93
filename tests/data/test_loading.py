"""The data sets: splits, encoding, cache, downloads and what is said when a file is missing or damaged."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import io
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import CHECKOUT
from tolerances import bound

from alad_tf import paths
from alad_tf.data import base, loading, raw_files
from alad_tf.data.arrhythmia import ARRHYTHMIA_CHANNELS
from alad_tf.data.kdd99 import KDD99_COLUMNS
from alad_tf.errors import DataError, SettingsError

REAL = paths.data_folders()[0]
KDD99 = "kddcup.data_10_percent.gz"
MAT = "arrhythmia.mat"
UCI = "arrhythmia.data"
ROUNDED = bound(6, 1.0)  # (x - low) / (high - low) of float32


def needs(*names: str) -> Any:
    missing = [name for name in names if not (REAL / name).is_file()]
    return pytest.mark.skipif(bool(missing), reason=f"{', '.join(missing)} not in {REAL}")


def copy(name: str, folder: Path) -> Path:
    """The real file in a folder of the test's own: the real data directory is never written."""
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
    """An empty data directory, writable again at the end whatever the test did to it."""
    made = tmp_path / "data"
    made.mkdir()
    yield made
    made.chmod(0o755)


class Tiny:
    """A made raw file in the place of Arrhythmia's two, with as many rows; counts how often it is parsed."""

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
    """Answer each URL with its page, other URLs with an error; returns what is asked for, with the timeouts."""
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


# KDD99 ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def kdd99_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    own = tmp_path_factory.mktemp("kdd99")
    copy(KDD99, own)
    yield own
    shutil.rmtree(own)  # 216 MB of cache


@pytest.fixture(scope="module")
def kdd99(kdd99_folder: Path) -> base.Split:
    return loading.load("kdd99", data_dir=kdd99_folder)


@pytest.fixture(scope="module")
def kdd99_lines() -> list[str]:
    return gzip.decompress((REAL / KDD99).read_bytes()).decode().splitlines()


def encode_by_hand(line: str) -> np.ndarray:
    """[121] from a line of the file, by way of the columns' names."""
    cells = dict(zip(KDD99_COLUMNS, line.split(",")))
    return np.array(
        [
            float(cells[name.split("=")[0]] == name.split("=")[1]) if "=" in name else float(cells[name])
            for name in loading.feature_names("kdd99")
        ],
        np.float32,
    )


@needs(KDD99)
def test_kdd99_counts(kdd99: base.Split) -> None:
    assert kdd99.x_train.shape == (198_361, 121)
    assert kdd99.x_test.shape == (247_011, 121)
    assert kdd99.x_valid is None
    assert kdd99.y_test.shape == (247_011,)
    assert kdd99.y_test.sum() == 48_629
    assert kdd99.y_test.mean() == pytest.approx(0.1969, abs=5e-5)
    assert set(np.unique(kdd99.y_test)) == {0, 1}
    assert (kdd99.x_train.dtype, kdd99.x_test.dtype, kdd99.y_test.dtype) == (np.float32, np.float32, np.uint8)
    assert kdd99.x_train.flags.c_contiguous and kdd99.x_test.flags.c_contiguous


@needs(KDD99)
def test_kdd99_rows_are_those_of_the_released_rule(kdd99: base.Split, kdd99_lines: list[str]) -> None:
    attack = np.array([not line.endswith(",normal.") for line in kdd99_lines])
    drawn = np.random.RandomState(42).choice(494_021, size=247_010, replace=False)
    left = np.setdiff1d(np.arange(494_021), drawn)
    drawn_attacks = drawn[attack[drawn]]
    assert np.array_equal(kdd99.y_test, ~attack[left])
    for rows, x in ((drawn_attacks, kdd99.x_train), (left, kdd99.x_test)):
        assert len(rows) == len(x)
        some = np.random.default_rng(0).choice(len(rows), 300, replace=False)
        assert np.array_equal(x[some], np.stack([encode_by_hand(kdd99_lines[row]) for row in rows[some]]))


@needs(KDD99)
def test_kdd99_hand_checked_row(kdd99: base.Split) -> None:
    """The file's second row is the first that is not drawn for training; typed in from the file."""
    row = dict(zip(loading.feature_names("kdd99"), kdd99.x_test[0].tolist()))
    assert kdd99.y_test[0] == 1
    assert {name: value for name, value in row.items() if value} == {
        "src_bytes": 239.0,
        "dst_bytes": 486.0,
        "count": 8.0,
        "srv_count": 8.0,
        "same_srv_rate": 1.0,
        "dst_host_count": 19.0,
        "dst_host_srv_count": 19.0,
        "dst_host_same_srv_rate": 1.0,
        "dst_host_same_src_port_rate": pytest.approx(0.05),
        "protocol_type=tcp": 1.0,
        "service=http": 1.0,
        "flag=SF": 1.0,
        "land=0": 1.0,
        "logged_in=1": 1.0,
        "is_host_login=0": 1.0,
        "is_guest_login=0": 1.0,
    }


@needs(KDD99)
def test_kdd99_one_hot_blocks(kdd99: base.Split) -> None:
    columns = [name.split("=")[0] for name in loading.feature_names("kdd99")]
    widths = {
        "protocol_type": 3,
        "service": 66,
        "flag": 11,
        "land": 2,
        "logged_in": 2,
        "is_host_login": 1,
        "is_guest_login": 2,
    }
    assert {column: columns.count(column) for column in columns[34:]} == widths
    for x in (kdd99.x_train, kdd99.x_test):
        for column, width in widths.items():
            first = columns.index(column)
            block = x[:, first : first + width]
            assert ((block == 0.0) | (block == 1.0)).all()
            assert np.array_equal(block.sum(axis=1), np.ones(len(x)))


@needs(KDD99)
def test_kdd99_values_are_raw(kdd99: base.Split) -> None:
    largest = max(kdd99.x_train[:, 1].max(), kdd99.x_test[:, 1].max())
    assert loading.feature_names("kdd99")[1] == "src_bytes"
    assert largest == np.float32(693_375_640)


FIRST_LOAD = """
import sys
from alad_tf.data import loading
split = loading.load("kdd99", data_dir=sys.argv[1])
print(len(split.x_train), len(split.x_test), float(split.x_test[:, :34].sum(dtype="float64")), end=" ")
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@needs(KDD99)
def test_kdd99_two_first_loads_at_once(folder: Path, kdd99: base.Split) -> None:
    copy(KDD99, folder)
    command = [sys.executable, "-W", "error", "-c", FIRST_LOAD, str(folder)]
    loads = [subprocess.Popen(command, cwd=paths.CHECKOUT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [load.communicate(timeout=300)[0].split() for load in loads]
    expected = [198_361, 247_011, kdd99.x_test[:, :34].sum(dtype=np.float64)]
    for load, output in zip(loads, outputs):
        assert load.returncode == 0
        assert list(map(float, output[:3])) == expected
        if sys.platform == "linux":
            assert int(output[3]) < 700 * 1024  # KiB
    shutil.rmtree(folder)  # 216 MB of cache
    folder.mkdir()


@needs(KDD99)
def test_kdd99_second_load_is_quick_and_shared(
    kdd99: base.Split, kdd99_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def parse(content: bytes) -> base.Halves:
        raise AssertionError("parsed again")

    raw = dataclasses.replace(raw_files.RAW_FILES["kdd99"][0], parse=parse)
    monkeypatch.setitem(raw_files.RAW_FILES, "kdd99", (raw,))
    start = time.perf_counter()
    second = loading.load("kdd99", data_dir=kdd99_folder)
    assert time.perf_counter() - start < 1.0
    assert isinstance(second.x_train, np.memmap) and isinstance(second.x_test, np.memmap)
    assert np.array_equal(kdd99.x_train, second.x_train) and np.array_equal(kdd99.y_test, second.y_test)


# Arrhythmia -------------------------------------------------------------------------------------------------------


@needs(MAT)
def test_arrhythmia_counts_and_halves(folder: Path) -> None:
    copy(MAT, folder)
    clean = loading.load("arrhythmia", data_dir=folder)
    released = loading.load("arrhythmia", data_dir=folder, training_half="released")
    assert clean.x_train.shape == (192, 274)
    assert released.x_train.shape == (226, 274)
    for split in (clean, released):
        assert split.x_valid is None
        assert split.x_test.shape == (226, 274)
        assert (split.y_test.shape, split.y_test.sum()) == ((226,), 32)
        assert (split.x_train.dtype, split.x_test.dtype, split.y_test.dtype) == (np.float32, np.float32, np.uint8)
        assert split.x_train.flags.c_contiguous and split.x_test.flags.c_contiguous
    assert np.array_equal(clean.x_test, released.x_test)


@needs(MAT)
def test_arrhythmia_rows_are_those_of_the_released_rule(folder: Path) -> None:
    from scipy.io import loadmat
    from sklearn.model_selection import train_test_split

    copy(MAT, folder)
    arrays = loadmat(REAL / MAT)
    x, y = arrays["X"].astype(np.float32), arrays["y"].ravel()
    train, test = train_test_split(np.arange(452), test_size=0.5, random_state=42)
    clean = loading.load("arrhythmia", data_dir=folder)
    released = loading.load("arrhythmia", data_dir=folder, training_half="released")
    assert y[train].sum() == 34
    assert np.array_equal(released.x_train, x[train])
    assert np.array_equal(clean.x_train, x[train][y[train] == 0])
    assert np.array_equal(clean.x_test, x[test])
    assert np.array_equal(clean.y_test, y[test])


@needs(MAT, UCI)
def test_both_arrhythmia_files_give_the_same(tmp_path: Path) -> None:
    copy(MAT, tmp_path / "odds")
    copy(UCI, tmp_path / "uci")
    for training_half in loading.TRAINING_HALVES:
        odds = loading.load("arrhythmia", data_dir=tmp_path / "odds", training_half=training_half)
        uci = loading.load("arrhythmia", data_dir=tmp_path / "uci", training_half=training_half)
        assert np.array_equal(odds.x_train, uci.x_train)
        assert np.array_equal(odds.x_test, uci.x_test)
        assert np.array_equal(odds.y_test, uci.y_test)


@needs(UCI)
def test_arrhythmia_names_fit_the_columns(folder: Path) -> None:
    """Flags are 0 or 1; ages look like ages; QRSTA - QRSA, the T wave's area, goes with the T wave's amplitude."""
    copy(UCI, folder)
    x = loading.load("arrhythmia", data_dir=folder, training_half="released").x_train
    column = dict(zip(loading.feature_names("arrhythmia"), x.T))
    flags = [name for name in column if "ragged" in name or "diphasic" in name or name == "sex"]
    assert len(flags) == 12 * 6 + 1
    assert all(set(np.unique(column[name])) <= {0.0, 1.0} for name in flags)
    assert column["age"].min() >= 0 and column["age"].max() < 100 < column["qt_interval"].min()
    for channel in ARRHYTHMIA_CHANNELS:
        area = column[f"{channel}_qrsta"] - column[f"{channel}_qrsa"]
        assert np.corrcoef(area, column[f"{channel}_t_amplitude"])[0, 1] > 0.9


# Toy --------------------------------------------------------------------------------------------------------------


def test_toy_is_four_gaussians_and_uniform_outliers() -> None:
    toy = loading.load("toy", data_dir="not/there")
    assert toy.x_train.shape == (2048, 2) and toy.x_test.shape == (2148, 2) and toy.x_valid is None
    assert (toy.x_train.dtype, toy.x_test.dtype, toy.y_test.dtype) == (np.float32, np.float32, np.uint8)
    assert toy.y_test.sum() == 100 and toy.y_test[-100:].all()
    for normal in (toy.x_train, toy.x_test[toy.y_test == 0]):
        centres = 2.0 * np.sign(normal)
        assert (normal - centres).var(axis=0) == pytest.approx([0.02, 0.02], rel=0.1)
        _, counts = np.unique(centres, axis=0, return_counts=True)
        assert len(counts) == 4 and counts.min() > 2048 / 4 - 80
    outliers = toy.x_test[toy.y_test == 1]
    assert np.abs(outliers).max() <= 4.0 < np.abs(outliers).max() + 0.3
    assert outliers.var(axis=0) == pytest.approx([16 / 3, 16 / 3], rel=0.3)
    assert not np.array_equal(toy.x_train, toy.x_test[:2048])


def test_toy_is_the_same_every_time() -> None:
    first, second = loading.load("toy"), loading.load("toy")
    for a, b in ((first.x_train, second.x_train), (first.x_test, second.x_test), (first.y_test, second.y_test)):
        assert a.tobytes() == b.tobytes()


# Options ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "features"), [("kdd99", 121), ("arrhythmia", 274), ("toy", 2)])
def test_feature_names(name: str, features: int) -> None:
    names = loading.feature_names(name)
    assert len(names) == len(set(names)) == features


def test_feature_names_in_the_order_of_the_columns() -> None:
    kdd99 = loading.feature_names("kdd99")
    assert kdd99[:3] == ["duration", "src_bytes", "dst_bytes"] and kdd99[33] == "dst_host_srv_rerror_rate"
    assert kdd99[34:38] == ["protocol_type=icmp", "protocol_type=tcp", "protocol_type=udp", "service=IRC"]
    assert kdd99[-2:] == ["is_guest_login=0", "is_guest_login=1"]
    arrhythmia = loading.feature_names("arrhythmia")
    assert arrhythmia[9:12] == ["qrs_angle", "DI_q_width", "DI_r_width"] and arrhythmia[-1] == "V6_qrsta"


def test_minmax_scales_by_the_training_half() -> None:
    raw, scaled = loading.load("toy"), loading.load("toy", scaling="minmax")
    low, high = raw.x_train.min(axis=0), raw.x_train.max(axis=0)
    assert scaled.x_train.min(axis=0) == pytest.approx([0.0, 0.0], abs=ROUNDED)
    assert scaled.x_train.max(axis=0) == pytest.approx([1.0, 1.0], abs=ROUNDED)
    assert np.allclose(scaled.x_test, (raw.x_test - low) / (high - low), rtol=0.0, atol=ROUNDED)
    assert scaled.x_test.max() > 1.1  # outliers lie outside
    assert scaled.x_train.dtype == scaled.x_test.dtype == np.float32


def test_minmax_is_fitted_on_the_half_that_is_used(folder: Path, tiny: Tiny) -> None:
    tiny.halves.x_train[0] = 50.0  # an anomaly
    tiny.put(folder)
    largest = {}
    for training_half in loading.TRAINING_HALVES:
        split = loading.load("arrhythmia", data_dir=folder, scaling="minmax", training_half=training_half)
        assert split.x_train.min() >= -ROUNDED and split.x_train.max() <= 1.0 + ROUNDED
        assert split.x_train.flags.c_contiguous and split.x_test.flags.c_contiguous
        largest[training_half] = split.x_test.max()
    assert largest["clean"] > 1.0 > largest["released"]


@needs(KDD99)
def test_minmax_on_kdd99(kdd99: base.Split, kdd99_folder: Path) -> None:
    scaled = loading.load("kdd99", data_dir=kdd99_folder, scaling="minmax")
    assert scaled.x_train.min() >= 0.0 and scaled.x_train.max() <= 1.0 + ROUNDED
    assert scaled.x_train.max(axis=0)[kdd99.x_train.max(axis=0) > kdd99.x_train.min(axis=0)] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("options", "allowed"),
    [
        ({"name": "mnist"}, "'kdd99', 'arrhythmia', 'svhn', 'cifar10', 'toy'"),
        ({"name": "toy", "scaling": "standard"}, "None, 'minmax'"),
        ({"name": "toy", "training_half": "all"}, "'clean', 'released'"),
    ],
)
def test_unknown_options(options: dict[str, Any], allowed: str) -> None:
    with pytest.raises(SettingsError) as caught:
        loading.load(**options)
    unknown = list(options.values())[-1]
    assert f"Received: {unknown!r}" in message(caught) and f"Allowed: {allowed}." in message(caught)


def test_unknown_name_has_no_features() -> None:
    with pytest.raises(SettingsError, match="Received: 'mnist'"):
        loading.feature_names("mnist")


@pytest.mark.parametrize("name", ["kdd99", "toy"])
def test_released_half_without_anomalies_is_refused(name: str) -> None:
    with pytest.raises(SettingsError) as caught:
        loading.load(name, training_half="released")
    assert "attacks only" in message(caught)


# The data directory -----------------------------------------------------------------------------------------------


def test_data_folders_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user_cache: Path) -> None:
    monkeypatch.undo()
    checkout, here = tmp_path / "checkout", Path.cwd()
    for name in ("HOME", "XDG_CACHE_HOME", "ALAD_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path) if name == "HOME" else "")
    cache = tmp_path / ".cache" / "alad_tf"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(paths, "CHECKOUT", None)
    assert paths.data_folders() == paths.download_folders() == [cache]
    monkeypatch.setattr(paths, "CHECKOUT", checkout)
    assert paths.data_folders() == [checkout / "data", cache]
    assert paths.download_folders() == [cache]
    shared = tmp_path / "shared" / "data"
    shared.mkdir(parents=True)
    assert paths.data_folders() == [checkout / "data", shared, cache]
    assert paths.download_folders() == [shared, cache]
    monkeypatch.setenv("ALAD_DATA_DIR", "~/named")
    assert paths.data_folders() == [tmp_path / "named", checkout / "data", shared, cache]
    for given in (tmp_path / "given", str(tmp_path / "given")):
        assert paths.data_folders(given) == [tmp_path / "given", checkout / "data", shared, cache]
        assert paths.download_folders(given) == [tmp_path / "given", shared, cache]
    assert paths.download_folders("checkout/data") == [shared, cache]
    monkeypatch.setattr(paths, "CHECKOUT", None)
    monkeypatch.delenv("ALAD_DATA_DIR")
    monkeypatch.chdir(here)  # a checkout
    assert paths.data_folders()[0] == here / "data"


def test_folders_beside_an_installed_package_are_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    (tmp_path / "data").mkdir()
    monkeypatch.setattr(paths, "CHECKOUT", None)
    monkeypatch.chdir(tmp_path)
    assert paths.checkout_data() == []


def test_each_file_is_searched_in_all_folders(tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkout, shared = tmp_path / "checkout" / "data", tmp_path / "shared"
    monkeypatch.setattr(paths, "checkout_data", lambda: [checkout, shared])
    checkout.mkdir(parents=True)
    tiny.put(shared)
    assert paths.find_data("tiny.raw") == shared / "tiny.raw" and paths.find_data("none") is None
    assert tiny.is_in(loading.load("arrhythmia"))
    assert tiny.is_in(loading.load("arrhythmia", data_dir=tmp_path / "empty"))
    assert names_in(shared) == {"tiny.raw"} | cache_names(tiny)


@pytest.mark.parametrize("named", [False, True])
def test_nothing_is_written_to_the_checkouts_data(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user_cache: Path, named: bool
) -> None:
    checkout = tmp_path / "checkout" / "data"
    monkeypatch.setattr(paths, "checkout_data", lambda: [checkout])
    path = tiny.put(checkout)
    data_dir = checkout if named else None
    assert tiny.is_in(loading.load("arrhythmia", data_dir=data_dir))
    assert names_in(checkout) == {"tiny.raw"} and names_in(user_cache) == cache_names(tiny)
    path.write_bytes(b"another")
    with pytest.raises(DataError, match=r"comes with the checkout: restore it with git checkout -- .*tiny\.raw\."):
        loading.load("arrhythmia", data_dir=data_dir)
    assert path.read_bytes() == b"another" and names_in(checkout) == {"tiny.raw"}
    path.unlink()
    serve(monkeypatch, {tiny.raw.urls[0]: tiny.content})
    assert tiny.is_in(loading.load("arrhythmia", data_dir=data_dir))
    assert names_in(checkout) == set() and (user_cache / "tiny.raw").read_bytes() == tiny.content


def test_raw_files_of_the_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are there, unchanged, documented, and git tracks these files only."""
    folder = CHECKOUT / "data"
    page = (folder / "README.md").read_text(encoding="utf-8")
    for name in (KDD99, UCI):
        (raw,) = (raw for raws in raw_files.RAW_FILES.values() for raw in raws if raw.name == name)
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == raw.sha256
        assert all(part in page for part in (name, raw.sha256, f"{raw.size:,}", "CC BY 4.0"))
    if (CHECKOUT / ".git").exists() and shutil.which("git"):
        for name, ignored in (
            (KDD99, 1),
            (UCI, 1),
            (MAT, 0),
            (f"{KDD99}.x.v1.x_test.npy", 0),
            ("tensorflow_datasets", 0),
        ):
            command = ["git", "check-ignore", "-q", "--no-index", f"data/{name}"]
            assert subprocess.run(command, cwd=CHECKOUT).returncode == ignored, name


def test_data_directory_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError) as caught:
        loading.load("kdd99", data_dir=tmp_path / "file")
    assert str(tmp_path / "file") in message(caught)


def test_file_in_the_environment_variables_directory(tiny: Tiny, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny.put(folder)
    monkeypatch.setenv("ALAD_DATA_DIR", str(folder))
    assert tiny.is_in(loading.load("arrhythmia"))


def test_import_is_light() -> None:
    heavy = "{'tensorflow', 'pandas', 'sklearn', 'scipy'} & set(sys.modules)"
    code = f"import sys, alad_tf.data.loading; assert not {heavy}"
    subprocess.run([sys.executable, "-c", code], cwd=paths.CHECKOUT, check=True)


# Cache ------------------------------------------------------------------------------------------------------------


def cache_names(tiny: Tiny) -> set[str]:
    fields = ("x_train", "y_train", "x_test", "y_test")
    stem = f"tiny.raw.{tiny.sha256[:12]}.v1"
    return {f"{stem}.json", *(f"{stem}.{field}.npy" for field in fields)}


def test_cache_lies_beside_the_file_and_is_reused(tiny: Tiny, folder: Path, user_cache: Path) -> None:
    tiny.put(folder)
    splits = [loading.load("arrhythmia", data_dir=folder) for _ in range(3)]
    assert tiny.parsed == 1
    assert all(map(tiny.is_in, splits))
    assert names_in(folder) == {"tiny.raw"} | cache_names(tiny)
    assert not user_cache.exists()
    assert isinstance(splits[0].x_test, np.memmap) and not splits[0].x_test.flags.writeable


@pytest.mark.parametrize("field", base.Halves._fields)
@pytest.mark.parametrize("damage", ["truncated", "empty", "text", "removed"])
def test_damaged_cache_is_remade(tiny: Tiny, folder: Path, field: str, damage: str) -> None:
    tiny.put(folder)
    loading.load("arrhythmia", data_dir=folder)
    cached = folder / f"tiny.raw.{tiny.sha256[:12]}.v1.{field}.npy"
    content = cached.read_bytes()
    if damage == "removed":
        cached.unlink()
    else:
        cached.write_bytes({"truncated": content[:-10], "empty": b"", "text": b"not an array"}[damage])
    assert tiny.is_in(loading.load("arrhythmia", data_dir=folder))
    assert tiny.parsed == 2
    assert cached.read_bytes() == content
    loading.load("arrhythmia", data_dir=folder)
    assert tiny.parsed == 2


@pytest.mark.parametrize("field", base.Halves._fields)
def test_cache_with_rows_in_another_order_is_remade(tiny: Tiny, folder: Path, field: str) -> None:
    """Labels in reverse have the shape and the count of anomalies that are expected, and gave another F1."""
    tiny.put(folder)
    loading.load("arrhythmia", data_dir=folder)
    cached = folder / f"tiny.raw.{tiny.sha256[:12]}.v1.{field}.npy"
    before = cached.read_bytes()
    np.save(cached, np.load(cached)[::-1])
    assert cached.stat().st_size == len(before) and cached.read_bytes() != before
    assert tiny.is_in(loading.load("arrhythmia", data_dir=folder))
    assert tiny.parsed == 2 and cached.read_bytes() == before


@pytest.mark.parametrize("sums", ["", "[]", "{}", None])
def test_cache_without_its_sums_is_remade(tiny: Tiny, folder: Path, sums: str | None) -> None:
    tiny.put(folder)
    loading.load("arrhythmia", data_dir=folder)
    kept = folder / f"tiny.raw.{tiny.sha256[:12]}.v1.json"
    kept.unlink() if sums is None else kept.write_text(sums)
    assert tiny.is_in(loading.load("arrhythmia", data_dir=folder))
    assert tiny.parsed == 2 and names_in(folder) == {"tiny.raw"} | cache_names(tiny)


def test_cache_of_other_rows_is_remade(tiny: Tiny, folder: Path) -> None:
    tiny.put(folder)
    loading.load("arrhythmia", data_dir=folder)
    np.save(folder / f"tiny.raw.{tiny.sha256[:12]}.v1.x_train.npy", np.zeros((3, 274), np.float32))
    assert tiny.is_in(loading.load("arrhythmia", data_dir=folder))
    assert tiny.parsed == 2


def test_read_only_data_directory_is_left_alone(tiny: Tiny, folder: Path, user_cache: Path) -> None:
    tiny.put(folder)
    folder.chmod(0o555)
    assert tiny.is_in(loading.load("arrhythmia", data_dir=folder))
    assert tiny.is_in(loading.load("arrhythmia", data_dir=folder))
    assert tiny.parsed == 1
    assert names_in(folder) == {"tiny.raw"}
    assert names_in(user_cache) == cache_names(tiny)


def test_nowhere_to_cache(tiny: Tiny, folder: Path, user_cache: Path) -> None:
    tiny.put(folder)
    folder.chmod(0o555)
    user_cache.parent.touch()  # a file where the cache folder should be
    assert tiny.is_in(loading.load("arrhythmia", data_dir=folder))
    assert tiny.is_in(loading.load("arrhythmia", data_dir=folder))
    assert tiny.parsed == 2


def test_full_disk_while_caching(tiny: Tiny, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def save(*_: object) -> None:
        raise OSError(28, "No space left on device")

    tiny.put(folder)
    monkeypatch.setattr(np, "save", save)
    assert tiny.is_in(loading.load("arrhythmia", data_dir=folder))
    assert names_in(folder) == {"tiny.raw"}


def test_counts_of_table_1_are_checked(tiny: Tiny, folder: Path) -> None:
    tiny.put(folder)
    tiny.halves.y_train[0] = 0
    with pytest.raises(DataError) as caught:
        loading.load("arrhythmia", data_dir=folder)
    expected, received = message(caught).split("Received: ")
    assert "train_anomalies=34" in expected and "train_anomalies=33" in received
    assert names_in(folder) == {"tiny.raw"}


# Damaged and missing files ----------------------------------------------------------------------------------------


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


# Downloads --------------------------------------------------------------------------------------------------------


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
