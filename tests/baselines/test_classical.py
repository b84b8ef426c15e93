"""OC-SVM, Isolation Forest and the two trivial methods have the paper's settings and score by their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from reference import draw
from sklearn.ensemble import IsolationForest
from sklearn.svm import OneClassSVM
from tolerances import assert_close

from alad_tf.baselines import DSEBM, classical
from alad_tf.experiments import models
from alad_tf.experiments.baseline_settings import of_method
from alad_tf.experiments.protocol import PROTOCOLS
from alad_tf.options import CLASSICAL


def test_ocsvm_is_that_of_the_paper() -> None:
    made = classical.build("OC-SVM", n_features=121, expected_anomalies=0.2, seed=0)
    assert made.get_params() == OneClassSVM(kernel="rbf", nu=0.2, gamma=1 / 121).get_params()


def test_ocsvm_of_wide_rows_is_the_same_by_products(monkeypatch: pytest.MonkeyPatch) -> None:
    x = draw(1, 60, 5)
    narrow = classical.build("OC-SVM", n_features=5, expected_anomalies=0.2, seed=0).fit(x)
    monkeypatch.setattr(classical, "WIDE", 5)
    wide = classical.build("OC-SVM", n_features=5, expected_anomalies=0.2, seed=0).fit(x)
    assert callable(wide.kernel)
    assert_close(wide.score_samples(draw(2, 20, 5)), narrow.score_samples(draw(2, 20, 5)), 60 + 5, 60.0)


def test_isolation_forest_has_the_defaults() -> None:
    made = classical.build("IF", n_features=121, expected_anomalies=0.2, seed=7)
    assert made.get_params() == IsolationForest(random_state=7).get_params()


def test_sgd_ocsvm_is_the_same_on_an_approximate_kernel() -> None:
    made = classical.build("SGD-OC-SVM", n_features=10, expected_anomalies=0.2, seed=7)
    nystroem, svm = (step for _, step in made.steps)
    assert (nystroem.kernel, nystroem.gamma, nystroem.n_components, nystroem.random_state) == ("rbf", 0.1, 300, 7)
    assert (svm.nu, svm.random_state) == (0.2, 7)


def test_mean_distance_by_hand() -> None:
    fitted = classical.MeanDistance().fit([[0.0, 0.0], [2.0, 4.0]])
    np.testing.assert_allclose(fitted.score_samples([[1.0, 2.0], [0.0, 0.0], [4.0, 0.0]]), [0.0, -3.0, -5.0])


def test_neighbour_distance_by_hand() -> None:
    fitted = classical.NeighbourDistance(n_neighbors=2).fit([[0.0], [1.0], [5.0], [9.0]])
    np.testing.assert_allclose(fitted.score_samples([[0.0], [7.0], [3.0]]), [-0.5, -2.0, -2.0])
    assert classical.NeighbourDistance().n_neighbors == 5


@pytest.mark.parametrize("method", CLASSICAL)
def test_runs_score_with_the_share_of_the_protocol(method: str) -> None:
    """Larger = more anomalous; images are rows of their pixels in [-1, 1]."""
    settings = of_method("svhn", method)
    images = np.random.default_rng(0).integers(0, 256, (320, 2, 2, 3)).astype(np.uint8)
    model = models.build(settings, 3, images)
    pixels = (images.reshape(320, 12) / 127.5 - 1.0).astype(np.float32)
    share = PROTOCOLS["svhn"].top_fraction
    own = classical.build(method, n_features=12, expected_anomalies=share, seed=3).fit(pixels)
    told: list[tuple[int, int]] = []
    scores = model.scores(images, lambda *progress: told.append(progress))
    expected = own.score_samples(pixels)  # distances by products in float32: of 12 pixels, then of 320 rows
    assert_close(scores["score"], -expected, 320 + 12, 12.0 + np.abs(expected).max())
    assert told == [(256, 320), (320, 320)]
    assert (model.trainer, model.arrays(), model.validation, model.networks) == (None, {}, None, None)


def test_seed_of_the_forest() -> None:
    x = draw(0, 100, 3)
    settings = of_method("kdd99", "IF")
    one, two, other = (models.build(settings, seed, x).scores(x, lambda *_: None)["score"] for seed in (1, 1, 2))
    assert np.array_equal(one, two) and not np.array_equal(one, other)


def test_a_refused_fit_changes_nothing() -> None:
    x = draw(1, 60, 3)
    for model, changed, rows in (
        (classical.MeanDistance().fit(x), {"contamination": 0.9}, x + 100),
        (classical.NeighbourDistance().fit(x), {}, x[:3]),
    ):
        before = model.predict(x)
        with pytest.raises(ValueError, match="Expected"):
            model.set_params(**changed).fit(rows)
        np.testing.assert_array_equal(model.predict(x), before)


def test_masked_cells_are_missing() -> None:
    """NumPy would drop the mask and give the hidden values."""
    x = np.ma.array(draw(1, 60, 3), mask=np.zeros((60, 3), bool))
    x.mask[7, 1] = True
    for model in (classical.MeanDistance(), classical.NeighbourDistance(), DSEBM(epochs=1)):
        with pytest.raises(ValueError, match="NaN"):
            model.fit(x)
    with pytest.raises(ValueError, match="NaN"):
        classical.MeanDistance().fit(x[20:]).predict(x)
