"""Text in CSV files that a spreadsheet program would run."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from alad_tf.tabular import spreadsheets

FORMULAS = ["=cmd|'/c calc'!A1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "=", "-", "+nan", "-x"]
HARMLESS = ["", "a", "1=1", "-1", "+1", "-1.5e-3", "-.5", "'=1", " =1", "0"]


@pytest.mark.parametrize("text", FORMULAS)
def test_formulas_get_an_apostrophe(text: str) -> None:
    assert spreadsheets.neutral(text) == f"'{text}"


@pytest.mark.parametrize("text", HARMLESS)
def test_numbers_and_other_text_stay(text: str) -> None:
    assert spreadsheets.neutral(text) == text


def test_cells_of_a_frame() -> None:
    frame = pd.DataFrame({"id": ["=1", "-2", np.nan, None], "score": [-1.0, np.nan, 2.0, 3.0], "ok": [True] * 4})
    made = spreadsheets.neutral_cells(frame)
    assert made["id"].tolist()[:2] == ["'=1", "-2"] and made["id"][2:].isna().all()
    pd.testing.assert_frame_equal(made.drop(columns="id"), frame.drop(columns="id"))
