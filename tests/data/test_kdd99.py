"""KDD99: counts, rows, encoding, and concurrent loading by two processes."""

from __future__ import annotations

import dataclasses
import gzip
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import raw_data
from raw_data import (
    KDD99,
    REAL,
    ROUNDED,
    copy,
    needs,
)

from alad_tf import paths
from alad_tf.data import base, loading, raw_files
from alad_tf.data.kdd99 import KDD99_COLUMNS

user_cache, folder = raw_data.user_cache, raw_data.folder  # fixtures


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
    """Encode a line of the file as [121] features by the names of the columns."""
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
    """The second row of the file is the first test row; its values are copied from the file by hand."""
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
def test_kdd99_second_load_parses_nothing_and_is_shared(
    kdd99: base.Split, kdd99_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def parse(content: bytes) -> base.Halves:
        raise AssertionError("parsed again")

    raw = dataclasses.replace(raw_files.RAW_FILES["kdd99"][0], parse=parse)
    monkeypatch.setitem(raw_files.RAW_FILES, "kdd99", (raw,))
    second = loading.load("kdd99", data_dir=kdd99_folder)
    assert isinstance(second.x_train, np.memmap) and isinstance(second.x_test, np.memmap)
    assert np.array_equal(kdd99.x_train, second.x_train) and np.array_equal(kdd99.y_test, second.y_test)


@needs(KDD99)
def test_minmax_on_kdd99(kdd99: base.Split, kdd99_folder: Path) -> None:
    scaled = loading.load("kdd99", data_dir=kdd99_folder, scaling="minmax")
    assert scaled.x_train.min() >= 0.0 and scaled.x_train.max() <= 1.0 + ROUNDED
    assert scaled.x_train.max(axis=0)[kdd99.x_train.max(axis=0) > kdd99.x_train.min(axis=0)] == pytest.approx(1.0)
