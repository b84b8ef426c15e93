"""Small models and their exports, made once per session: of an array, and of a file with mixed columns."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import conftest
import numpy as np
import pandas as pd
from reference import TINY, draw, eagerly

from alad_tf.estimator.alad import ALAD
from alad_tf.serving import sources
from alad_tf.serving.c_api import SavedModel
from alad_tf.serving.export import export
from alad_tf.tabular import fit
from alad_tf.tabular.model import Model

SPREAD = np.array([1.0, 10.0, 100.0, 0.1, 1.0])
X = draw(0, 60, 5).astype(np.float64) * SPREAD + 5.0
ROWS = (draw(1, 10_000, 5) * SPREAD + 5.0).astype(np.float32)
NAMES = ["mean radius", "größe", "a/b", "a-b", "color", "size"]  # not all can be names in a graph, two look the same

TABLES = {"imputed": (True, "standard"), "strict": (False, "minmax"), "unscaled": (True, "none")}  # impute, scaling


@cache
def array_model() -> ALAD:
    """The model of an array; tests must not change it."""
    with eagerly():
        return ALAD(TINY, score_name="features", jit=False, random_state=3, verbose=0).fit(X)


@cache
def folder() -> Path:
    return Path(mkdtemp(dir=conftest.SESSION))


@cache
def array_version() -> Path:
    return export(sources.of_estimator(array_model()), folder() / "array")


def table(rows: int, seed: int = 0) -> pd.DataFrame:
    """Mixed columns with missing cells. Training rows have no purple, and no missing cell in a-b and size."""
    random = np.random.default_rng(seed)
    numbers = random.normal(2.0, 3.0, (rows, 4))
    numbers[random.random(rows) < 0.2, 0] = np.nan
    texts = {
        name: random.choice(list(values), rows).astype(object) for name, values in (("color", "rgb"), ("size", "SML"))
    }
    texts["color"][random.random(rows) < 0.2] = None
    return pd.DataFrame({**dict(zip(NAMES, numbers.T)), **texts})[NAMES]


@cache
def table_folder(name: str) -> Path:
    """A model folder as `alad fit` writes it, of one of `TABLES`."""
    impute, scaling = TABLES[name]
    frame = table(120) if impute else table(240).dropna().reset_index(drop=True)
    frame.to_parquet(folder() / f"{name}.parquet")
    with eagerly():
        fit.fit_file(
            folder() / f"{name}.parquet",
            folder() / f"model-{name}",
            preparation=fit.Preparation(impute=impute, scaling=scaling),
            options={"epochs": 1, "batch_size": 40, "random_state": 0},
        )
    return folder() / f"model-{name}"


@cache
def table_model(name: str) -> Model:
    return Model.load(table_folder(name))


@cache
def table_version(name: str) -> Path:
    return export(sources.load(table_folder(name)), folder() / name)


@cache
def loaded(version: Path) -> SavedModel:
    """Load the export in this process, which also runs Python's TensorFlow."""
    return SavedModel(version)


def cells(frame: pd.DataFrame) -> dict[str, np.ndarray]:
    """Columns of a frame as inputs of the signature `raw`."""
    return {
        name: np.array(["" if pd.isna(cell) else cell for cell in column], object).astype("U").astype(object)
        if not pd.api.types.is_numeric_dtype(column)
        else column.to_numpy(np.float64)
        for name, column in frame.items()
    }
