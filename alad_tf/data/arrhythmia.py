"""Arrhythmia (Table I): columns of the UCI file, and parsers of its two published forms."""

from __future__ import annotations

import io

import numpy as np

from alad_tf.data.base import Halves

ARRHYTHMIA_OUTLIERS = (3, 4, 5, 7, 8, 9, 14, 15)  # the smallest of the UCI file's classes
ARRHYTHMIA_PATIENT = (  # without the five columns that have missing cells: T, P, QRST and J angle, heart rate
    "age sex height weight qrs_duration pr_interval qt_interval t_interval p_interval qrs_angle"
).split()
ARRHYTHMIA_CHANNELS = "DI DII DIII AVR AVL AVF V1 V2 V3 V4 V5 V6".split()
ARRHYTHMIA_WIDTHS = (
    "q_width r_width s_width r2_width s2_width deflections ragged_r diphasic_r ragged_p diphasic_p ragged_t diphasic_t"
).split()
ARRHYTHMIA_AMPLITUDES = (
    "jj_amplitude q_amplitude r_amplitude s_amplitude r2_amplitude s2_amplitude p_amplitude t_amplitude qrsa qrsta"
).split()
ARRHYTHMIA_FEATURES = ARRHYTHMIA_PATIENT + [
    f"{channel}_{feature}"
    for block in (ARRHYTHMIA_WIDTHS, ARRHYTHMIA_AMPLITUDES)
    for channel in ARRHYTHMIA_CHANNELS
    for feature in block
]


def parse_arrhythmia_mat(content: bytes) -> Halves:
    """Parse the MATLAB file published by ODDS."""
    from scipy.io import loadmat

    arrays = loadmat(io.BytesIO(content))
    return _arrhythmia_halves(arrays["X"].astype(np.float32), arrays["y"].ravel().astype(np.uint8))


def parse_arrhythmia_data(content: bytes) -> Halves:
    """Parse the CSV file published by UCI, without the five columns that have missing cells."""
    import pandas as pd

    frame = pd.read_csv(io.BytesIO(content), header=None, na_values="?").dropna(axis="columns")
    outlier = frame.iloc[:, -1].isin(ARRHYTHMIA_OUTLIERS)
    return _arrhythmia_halves(frame.iloc[:, :-1].to_numpy(np.float32), outlier.to_numpy(np.uint8))


def _arrhythmia_halves(x: np.ndarray, y: np.ndarray) -> Halves:
    from sklearn.model_selection import train_test_split

    x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.5, random_state=42)
    return Halves(x_train, y_train, x_test, y_test)
