"""Arrhythmia: counts, rows and names of both of its files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import raw_data
from raw_data import (
    MAT,
    REAL,
    UCI,
    copy,
    needs,
)

from alad_tf.data import loading
from alad_tf.data.arrhythmia import ARRHYTHMIA_CHANNELS

user_cache, folder = raw_data.user_cache, raw_data.folder  # fixtures


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
    """Flags are 0 or 1, ages are plausible, and QRSTA - QRSA (the T wave's area) correlates with its amplitude."""
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
