"""Text in CSV files that a spreadsheet program would run."""

from __future__ import annotations

import pyarrow as pa
import pytest

from alad_tf.tabular import spreadsheets

FORMULAS = [
    "=cmd|'/c calc'!A1",
    "+1+1",
    "-1+1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "＝1",
    "＠a",
    "=",
    "+nan",
    "-x",
    "-1\n",
    "-\u0661",
]
HARMLESS = ["", "a", "1=1", "-1", "+1", "-1.5e-3", "-1,5", "-.5", "-", "+", "--", "'=1", " =1", "0"]


def escaped(text: str) -> str:
    """One cell, beside a formula."""
    first, second = spreadsheets.neutral_column(pa.chunked_array([[text, "=1"]])).to_pylist()
    assert second == "'=1"
    return first


@pytest.mark.parametrize("text", FORMULAS)
def test_formulas_get_an_apostrophe(text: str) -> None:
    assert escaped(text) == f"'{text}"


@pytest.mark.parametrize("text", HARMLESS)
def test_numbers_and_other_text_stay(text: str) -> None:
    assert escaped(text) == text


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_cells_of_a_column(kind: pa.DataType) -> None:
    column = pa.chunked_array([["=1", "-2"], [None, "", "a"]], kind)
    made = spreadsheets.neutral_column(column)
    assert made.to_pylist() == ["'=1", "-2", None, "", "a"] and made.type == kind
