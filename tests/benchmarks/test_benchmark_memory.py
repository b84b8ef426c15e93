"""Rows are scored in bounded memory, as the benchmark of 10 million rows measures it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest
import score_memory
from tolerances import assert_close

ROWS = 1_500_000  # at once they would take 0.5 GB before, and as much again after they are encoded


@pytest.mark.slow
def test_rows_of_parquet_are_scored_with_less_than_a_gigabyte(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(score_memory, "FITTED_ROWS", 2000)
    rows = score_memory.kdd99_rows()[0][:10_000]
    with score_memory.scored(rows, ROWS, 200_000, []) as (output, seconds, peak):
        assert pyarrow.parquet.ParquetFile(output).metadata.num_rows == ROWS
        first = pd.read_parquet(output, columns=["row", "score"])
        folder = output.parent
    assert seconds > 0 and 100 < peak < 1000
    assert first["row"].is_monotonic_increasing and np.isfinite(first["score"]).all()
    scores = first["score"].to_numpy()  # sums of 64 differences of features, which no score is a tenth of
    assert_close(scores[:10_000], scores[200_000:210_000], 1000, 10 * scores.max())
    assert not folder.exists()


def test_rows_are_repeated_in_order(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    score_memory.write(path, pd.DataFrame({"a": [1, 2, 3]}), 8, row_group=5)
    assert pd.read_parquet(path)["a"].tolist() == [1, 2, 3, 1, 2, 1, 2, 3]
    assert pyarrow.parquet.ParquetFile(path).metadata.num_row_groups == 2
