"""Frames with odd columns and cells, for `fuzz_readers.py`: their schema, features, and a model's copy of both."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Callable

import numpy as np
import pandas as pd
import pyarrow as pa
from fuzz_files import Chance

from alad_tf.columns.encoder import Encoder, TrainingCells
from alad_tf.tabular import profiles

TEXT = ["", "NA", "inf", "1e999", "1e30", "1e-320", "x" * 300, "a", "1,2", "0x10", "-", "\0", "\ud800", "9" * 400]
TEXT += ["2024-02-30", "2024-1-1", "24:00", "9999-12-31", "0000-00-00", "0001-01-01", "31.12.2024", "13/13/2024"]
TEXT += ["02/03/2024", "2024-01-01T00:00:00Z", "2024-01-01T00:00:00+25:00", "23:59:59.9999999999", "True", "\u0661"]
OBJECTS: list[Any] = [None, math.nan, pd.NaT, pd.NA, True, -1, 2**63, 10**400, -(10**400), 0.5, 1e308, 5e-324, math.inf]
OBJECTS += [b"x", (1,), [1], {}, {"a": [1]}, set(), 1j, Decimal("1.5"), Decimal("NaN"), ..., float]
OBJECTS += [date(2024, 1, 1), datetime(9999, 12, 31), time(3), timedelta(1), pd.Timestamp("2024-01-01", tz="UTC")]
OBJECTS += [pd.Interval(0, 1), pd.Period("2024-01"), np.datetime64("2024-01-01"), np.timedelta64(1, "s"), np.str_("x")]
OBJECTS += [np.float32(1), np.int8(1), np.longdouble(1), np.array(1.5), np.array([1, 2]), pd.Series([1]), *TEXT]
ARROW: list[tuple[pa.DataType, Any]] = [
    (pa.int64(), 1),
    (pa.float32(), 1.5),
    (pa.string(), "x"),
    (pa.bool_(), True),
    (pa.decimal128(10, 2), Decimal("1.5")),
    (pa.date32(), date(2024, 1, 1)),
    (pa.timestamp("ns", "UTC"), datetime(2024, 1, 1)),
    (pa.time64("us"), time(3)),
    (pa.duration("s"), timedelta(1)),
    (pa.list_(pa.int8()), [1]),
    (pa.struct([("a", pa.int8())]), {"a": 1}),
    (pa.binary(), b"x"),
    (pa.dictionary(pa.int8(), pa.string()), "x"),
    (pa.null(), None),
]
NAMES = ["a", "b", "c", "a.month", "", "\u00fc", "x\n", "x" * 5000]
DATES = ["%Y-%m-%d", "%Y-%m-%d %H:%M", "%d.%m.%Y", "%m/%d/%Y", "%H:%M", "%Y/%m/%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S"]


def cells(folder: Path, chance: Chance) -> Callable[[], object]:
    """A frame to train on, and the same frame with other cells to score."""
    frame = _frame(chance, chance.choice([1, 2, 5, 40]), chance.choice([1, 2, 4]))
    other = frame.copy()
    for place in range(frame.shape[1] if frame.columns.is_unique else 0):
        if chance.random() < 0.5:
            other[other.columns[place]] = _with_odd_cells(other.iloc[:, place], chance)
    names = list(frame.columns)
    numeric, categorical = ([name for name in names if chance.random() < share] for share in (0.1, 0.15))
    scaling, impute = chance.choice(["standard", "minmax", "none"]), chance.random() < 0.4

    def read() -> None:
        encoder, found = Encoder.fit(frame, numeric=numeric, categorical=categorical, scaling=scaling, impute=impute)
        x = TrainingCells(encoder, found).features()
        assert np.isfinite(x).all(), "features that are not finite"
        json.dumps(profiles.describe(found, encoder.columns), allow_nan=False)
        copy = Encoder.from_documents(json.loads(json.dumps(encoder.to_documents(), allow_nan=False)))
        for rows in (frame, other):
            (features, valid), (again, also_valid) = encoder.features(rows), copy.features(rows)
            assert features.tobytes() == again.tobytes() and (valid == also_valid).all(), "a copy that differs"
            assert len(features) == valid.sum() and all(map(bool, np.array(encoder.columns.reasons(rows))[~valid]))
        encoder.cells(x)

    return read


def _frame(chance: Chance, rows: int, columns: int) -> pd.DataFrame:
    """A frame of columns of all kinds, some with odd cells, names or index."""
    made = [chance.choice(KINDS)(chance, rows) for _ in range(columns)]
    made = [_with_odd_cells(column, chance) if chance.random() < 0.3 else column for column in made]
    frame = pd.concat(made, axis=1)
    frame.columns = pd.Index([chance.choice(NAMES) if chance.random() < 0.5 else f"k{k}" for k in range(columns)])
    return frame.set_axis([f"r{k}" for k in range(rows)]) if chance.random() < 0.1 else frame


def _with_odd_cells(column: pd.Series, chance: Chance) -> pd.Series:
    odd = column.astype(object).tolist()
    for _ in range(chance.choice([1, 1, 3])):
        odd[chance.randrange(len(odd))] = chance.choice(OBJECTS)
    return _objects(odd)


def _objects(values: Sequence[object]) -> pd.Series:
    column = pd.Series([None] * len(values), dtype=object)
    for place, value in enumerate(values):
        column.iat[place] = value  # an array or a list stays one cell
    return column


def _numbers(chance: Chance, rows: int) -> pd.Series:
    size = 10.0 ** chance.choice([-300, -30, 0, 5, 38, 300])
    return pd.Series([chance.uniform(-1, 1) * size for _ in range(rows)])


def _whole(chance: Chance, rows: int) -> pd.Series:
    size = chance.choice([1, 1 << 20, 1 << 60])
    return pd.Series([chance.randrange(-5, 6) * size for _ in range(rows)])


def _constant(chance: Chance, rows: int) -> pd.Series:
    return pd.Series([chance.choice([0.0, -0.0, math.nan, 1e9, 2.0**60])] * rows)


def _booleans(chance: Chance, rows: int) -> pd.Series:
    return pd.Series([chance.random() < 0.5 for _ in range(rows)])


def _words(chance: Chance, rows: int) -> pd.Series:
    kind = chance.choice([object, "string", "string[pyarrow]", "category"])
    return pd.Series([chance.choice("xyz") for _ in range(rows)], dtype=kind)


def _texts(chance: Chance, rows: int) -> pd.Series:
    return pd.Series([chance.choice(TEXT) for _ in range(rows)], dtype=object)


def _dates(chance: Chance, rows: int) -> pd.Series:
    when, form = datetime(chance.choice([1, 1600, 1970, 2024, 9990]), 1, 1), chance.choice(DATES)
    step = timedelta(hours=chance.choice([1, 24, 720]))
    return pd.Series([(when + k * step).strftime(form) for k in range(rows)], dtype=object)


def _times(chance: Chance, rows: int) -> pd.Series:
    zone, step = chance.choice([None, "UTC", "Europe/Berlin"]), chance.choice(["s", "h", "D"])
    kinds: list[Callable[[], pd.Index]] = [
        lambda: pd.date_range("2024-01-01", periods=rows, freq=step, tz=zone),
        lambda: pd.timedelta_range(0, periods=rows, freq=step),
        lambda: pd.period_range("2024-01-01", periods=rows, freq=step),
    ]
    return pd.Series(chance.choice(kinds)())


def _with_missing(chance: Chance, rows: int) -> pd.Series:
    kind = chance.choice(["Int64", "Float64", "Int8", "Sparse[float]"])
    return pd.Series([chance.choice([1, 2, None]) for _ in range(rows)]).astype(kind)


def _arrow(chance: Chance, rows: int) -> pd.Series:
    kind, value = chance.choice(ARROW)
    values = pa.array([chance.choice([value, None]) for _ in range(rows)], kind)
    return pd.Series(pd.array(values, dtype=pd.ArrowDtype(kind)))


def _anything(chance: Chance, rows: int) -> pd.Series:
    return _objects([chance.choice(OBJECTS) for _ in range(rows)])


KINDS = [_numbers, _whole, _constant, _booleans, _words, _texts, _dates, _times, _with_missing, _arrow, _anything]
