"""Yardsticks of scoring: matrix products counted by hand, PyOD's networks, peak memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scoring
import yardstick
from reference import TINY, draw, randomise
from tolerances import assert_scores, of_scores

from alad_tf.experiments.settings import Settings
from alad_tf.model import scores
from architectures.rows import Dense, Joint

KDD99 = Settings.of_protocol("kdd99").table


def test_products_of_kdd99_counted_by_hand() -> None:
    expected = [
        (7, 121, 64), (7, 64, 32),  # E
        (7, 32, 64), (7, 64, 128), (7, 128, 121),  # G
        (7, 121, 128), (7, 121, 128), (7, 128, 1),  # Dxx: x, x - x', logits
    ]  # fmt: skip
    assert yardstick.products(KDD99, 7) == expected
    by_hand = 121 * 64 + 64 * 32 + 32 * 64 + 64 * 128 + 128 * 121 + 2 * 121 * 128 + 128
    assert yardstick.flop(expected) == 2 * 7 * by_hand


def test_further_layers_of_Dxx_see_both_pairs() -> None:
    table = replace(TINY, Dxx=Joint(joint=(Dense(10, "LReLU"), Dense(4, "LReLU"), Dense(1, "Sigmoid"))))
    assert yardstick.products(table, 3)[-5:] == [(3, 5, 10), (3, 10, 4), (3, 5, 10), (3, 10, 4), (3, 4, 1)]


@pytest.mark.parametrize(("rows", "chunks"), [(3, 0), (8, 2), (10, 2)])
def test_products_in_numpy_are_those_of_all_chunks(monkeypatch: pytest.MonkeyPatch, rows: int, chunks: int) -> None:
    monkeypatch.setattr(scores, "CHUNK_ROWS", 4)
    sizes: list[int] = []
    products = yardstick.products

    def recorded(table: object, size: int) -> list[yardstick.Product]:
        sizes.append(size)
        return products(TINY, size)

    monkeypatch.setattr(scoring, "products", recorded)
    scoring.products_in_numpy(TINY, rows)()
    assert sizes[0] * (rows // sizes[0]) + sizes[1] == rows and rows // sizes[0] == chunks


def test_isolation_forest_scores_the_rows() -> None:
    score = scoring.isolation_forest(draw(0, 300, 5), draw(1, 20, 5))()
    assert isinstance(score, np.ndarray) and score.shape == (20,)


def test_pyod_has_the_layers_of_the_table() -> None:
    pytest.importorskip("torch")
    pytest.importorskip("pyod")
    call = scoring.pyod_alad(TINY, draw(0, 300, 5), draw(1, 20, 5))
    assert call is not None
    score = call()
    assert isinstance(score, np.ndarray) and score.shape == (20,)


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux only")
def test_peak_counts_what_a_call_holds_and_forgets_earlier_peaks() -> None:
    scoring.peak_megabytes(lambda: np.ones(2**27, np.uint8))
    free = [np.ones(2**24, np.uint8) for _ in range(8)]  # below 32 MB freed memory can stay with the process
    after = np.ones(2**20, np.uint8)  # so that the memory before it cannot go back by itself
    del free
    found = [scoring.peak_megabytes(lambda: np.ones(2**26, np.uint8)) for _ in range(3)]
    assert 60 < max(found) < 80  # less where the system writes other pages of the process to disk meanwhile
    assert scoring.peak_megabytes(lambda: None) < 5
    del after


def test_engines_score_alike() -> None:
    for package in ("tf2onnx", "onnxruntime", "openvino"):
        pytest.importorskip(package, reason="needs the extra onnx and openvino")
    import engines

    found, x = engines.detector(TINY), draw(0, 40, 5)
    randomise(found.networks, seed=1)
    answers = {name: score(x) for name, score in engines.engines(found).items()}
    assert len(answers) == 4 and answers["alad_tf"].std() > 0.01
    for name, answer in answers.items():
        assert_scores({"features": answer}, {"features": answers["alad_tf"]}, of_scores(found.networks, x))
        assert len(answer) == 40, name
