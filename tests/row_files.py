"""Files of rows in every format, and messages about bad ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

import numpy as np
import pandas as pd
import pytest

from alad_tf.errors import AladError, DataError
from alad_tf.tabular import formats, readers

TABLE = pd.DataFrame({"a": [1.5, np.nan, 3.0, -4.25, 0.1], "b": [1, 2, 3, 4, 5], "c": ["u", "v", None, "w,x", 'y"z']})
NUMBERS = np.arange(10.0).reshape(5, 2) / 3
TABLES = [name for name in formats.FORMATS if name not in (".npy", ".npz")]


def write(path: Path, frame: pd.DataFrame = TABLE) -> Path:
    name = path.name.lower()
    if name.endswith(".jsonl.gz"):
        frame.to_json(path, orient="records", lines=True)
    elif name.endswith((".csv", ".tsv", ".gz")):
        frame.to_csv(path, index=False, sep="\t" if ".tsv" in name else ",")
    elif name.endswith(".jsonl"):
        frame.to_json(path, orient="records", lines=True)
    elif name.endswith(".xlsx"):
        frame.to_excel(path, index=False)
    elif name.endswith(".parquet"):
        frame.to_parquet(path, row_group_size=2)
    else:
        frame.to_feather(path, chunksize=2)
    return path


def write_array(path: Path, array: np.ndarray = NUMBERS) -> Path:
    if path.suffix == ".npy":
        np.save(path, array)
    else:
        np.savez_compressed(path, array)
    return path


def refusal(call: Callable[[], Any]) -> str:
    """The message of an error, which must be one line."""
    with pytest.raises(DataError) as error:
        call()
    assert isinstance(error.value, AladError) and "\n" not in str(error.value)
    assert "Expected" in str(error.value) and "Received" in str(error.value)
    return str(error.value)


def refusals(path: Path, **options: Any) -> list[str]:
    """Messages of reading the file whole and in chunks."""
    return [
        refusal(lambda: readers.read(path, **options)),
        refusal(lambda: list(readers.chunks(path, 2, **options))),
    ]


def short(value: object) -> str:
    """Beginning of a value, for the name of a test; long names would fill every report."""
    return str(value)[:60]
