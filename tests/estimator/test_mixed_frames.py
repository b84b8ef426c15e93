"""Frames with mixed columns: `ALAD.fit` is `alad fit`, and a loaded model takes the frame that it was trained on."""

from __future__ import annotations

import pickle
import warnings
from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
from command import run
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from alad_tf.columns.encoder import Encoder, TrainingCells
from alad_tf.errors import DataError, SettingsError
from alad_tf.estimator import plots
from alad_tf.estimator.alad import ALAD
from alad_tf.io import model_folder
from alad_tf.tabular.model import Model

pytestmark = pytest.mark.minutes(1)


def rows(count: int, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    size = random.normal(0.0, 1.0, count)
    return pd.DataFrame(
        {
            "size": size,
            "weight": 2 * size + 1,
            "color": pd.Categorical(random.choice(["red", "blue"], count)),
            "when": pd.date_range("2020-01-01", periods=count, freq="7h"),
            "ok": random.choice([True, False], count),
        }
    )


@cache
def fitted() -> ALAD:
    """A fitted model; tests must not change it."""
    return ALAD(epochs=1, random_state=3, verbose=0, jit=False).fit(rows(120), validation=0.1)


def test_the_same_as_the_command(tmp_path: Path) -> None:
    """Bit for bit: scores, threshold, p-values."""
    rows(120).to_parquet(tmp_path / "train.parquet")
    arguments = ["--model", tmp_path / "model", "--epochs", 1, "--seed", 3]
    assert run("fit", tmp_path / "train.parquet", *arguments) == 0
    loaded, new = ALAD.load(tmp_path / "model"), rows(30, seed=1)
    np.testing.assert_array_equal(loaded.anomaly_score(new), fitted().anomaly_score(new))
    np.testing.assert_array_equal(loaded.p_value(new), fitted().p_value(new))
    assert loaded.threshold_ == fitted().threshold_
    np.testing.assert_array_equal(loaded.predict(new), fitted().predict(new))
    shuffled = new[["ok", "weight", "color", "when", "size"]].assign(more=1)
    np.testing.assert_array_equal(loaded.anomaly_score(shuffled), fitted().anomaly_score(new))


def test_a_model_of_the_command_is_fitted_again_with_its_preparation(tmp_path: Path) -> None:
    """Scaling and impute are parameters of the loaded model; encoded features are scaled once."""
    frame = rows(60).drop(columns="when")
    frame.loc[3, "size"] = np.nan
    frame.to_parquet(tmp_path / "train.parquet")
    arguments = ["--model", tmp_path / "model", "--scaling", "minmax", "--impute", "--epochs", 1, "--seed", 3]
    assert run("fit", tmp_path / "train.parquet", *arguments, "--validation", 0) == 0
    loaded = ALAD.load(tmp_path / "model")
    assert (loaded.scaling, loaded.impute) == ("minmax", True)
    assert (loaded.scale_ == 1.0).all() and (loaded.center_ == 0.0).all()
    again = clone(loaded).fit(pd.read_parquet(tmp_path / "train.parquet"))
    np.testing.assert_array_equal(again.anomaly_score(frame), loaded.anomaly_score(frame))


def test_folder_of_a_mixed_frame(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """`alad score` and `alad inspect` accept a model saved from Python."""
    new = rows(30, seed=1)
    fitted().save(tmp_path / "model")
    new.to_parquet(tmp_path / "new.parquet")
    assert run("inspect", tmp_path / "model") == 0
    assert "4: size, weight, when.weekday, when.hour" in capfd.readouterr().out
    arguments = ["--model", tmp_path / "model", "--output", tmp_path / "scored.parquet"]
    assert run("score", tmp_path / "new.parquet", *arguments) == 0
    scored = pd.read_parquet(tmp_path / "scored.parquet")["score"]
    np.testing.assert_array_equal(scored, fitted().anomaly_score(new))
    again, _ = Model.load(tmp_path / "model").scored(new)
    np.testing.assert_array_equal(again["score"], scored)
    pd.testing.assert_frame_equal(ALAD.load(tmp_path / "model").explain(new), fitted().explain(new), check_exact=True)


def test_folders_without_rarities_explain_as_before(tmp_path: Path) -> None:
    """The contribution of a category was its surprise over the usual one."""
    new = rows(30, seed=1)
    fitted().save(tmp_path / "model")
    documents, arrays = model_folder.read(tmp_path / "model")
    rarity = arrays["usual"].pop("rarity")
    assert rarity.shape == (2,) and np.all(rarity > 0.0)
    model_folder.write(tmp_path / "model", documents, arrays)
    earlier = ALAD.load(tmp_path / "model")
    expected, now = (model.explain(new, top=6).set_index(["row", "feature"]) for model in (earlier, fitted()))
    known = earlier.usual_.categories
    assert known is not None and np.all(known.rarity == 0.0)
    same = expected["contribution"] == now["contribution"].reindex(expected.index)
    assert same.drop(["color", "ok"], level="feature").all() and not same.all()
    arrays["usual"]["rarity"] = -rarity
    model_folder.write(tmp_path / "model", documents, arrays)
    with pytest.raises(DataError, match="a rarity that is negative"):
        ALAD.load(tmp_path / "model")


def test_scores_are_float32_and_finite_with_unseen_categories(monkeypatch: pytest.MonkeyPatch) -> None:
    """As documented and as in exports; a sum beyond float32 is clipped."""
    new = rows(4, seed=1).astype({"color": object})
    seen, largest = fitted().anomaly_score(new), fitted().training_scores_[-1]
    new["color"] = ["purple", *new["color"][1:]]
    unseen = fitted().anomaly_score(new)
    assert unseen.dtype == seen.dtype == np.float32
    assert unseen[0] >= largest
    np.testing.assert_array_equal(unseen[1:], seen[1:])
    monkeypatch.setattr(fitted(), "training_scores_", np.array([0.0, 3e38], np.float32))
    monkeypatch.setattr(fitted(), "_scored", lambda x: np.full(len(x), 3e38, np.float32))
    assert fitted().anomaly_score(new)[0] == np.finfo(np.float32).max


def test_save_overwrites_only_when_it_is_told_to(tmp_path: Path) -> None:
    fitted().save(tmp_path / "model")
    with pytest.raises(SettingsError, match="a model. Pass overwrite=True"):
        fitted().save(tmp_path / "model")
    fitted().save(tmp_path / "model", overwrite=True)


def test_new_rows_and_copies() -> None:
    new = rows(30, seed=1)
    expected = fitted().anomaly_score(new)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted())).anomaly_score(new), expected)
    assert clone(fitted()).encoder_ is None
    bad = new.copy()
    bad.loc[4, "size"] = np.nan
    scores, valid = fitted().score_rows(bad)
    assert np.flatnonzero(~valid).tolist() == [4]
    np.testing.assert_array_equal(scores[valid], expected[valid])
    with pytest.raises(DataError, match="finite numbers to score. Received: infinity in row 0 .*, column 'size'"):
        fitted().anomaly_score(new.assign(size=1e300))
    with pytest.raises(DataError, match="columns color"):
        fitted().anomaly_score(new.drop(columns="color"))


def test_arrays_are_rows_of_the_columns() -> None:
    """An array has no names: it is taken for the columns in their order if all of them are numbers."""
    frame = rows(60)[["size", "weight"]] * 100.0
    model = ALAD(epochs=1, random_state=3, verbose=0, jit=False).fit(TrainingCells(*Encoder.fit(frame)))
    expected = model.anomaly_score(frame)
    for array in (frame.to_numpy(), frame.to_numpy().tolist()):
        np.testing.assert_array_equal(model.anomaly_score(array), expected)
        np.testing.assert_array_equal(model.score_rows(array)[0], expected)
        np.testing.assert_array_equal(model.reconstruct(array), model.reconstruct(frame))
        pd.testing.assert_frame_equal(model.explain(array), model.explain(frame))
    held_out = clone(model).fit(TrainingCells(*Encoder.fit(frame)), validation=frame.to_numpy())
    np.testing.assert_array_equal(held_out.reference_scores_, np.sort(expected))
    with pytest.raises(DataError, match=r"frame with the columns size, weight. Received: an array of shape \[60, 1\]."):
        model.predict(frame.to_numpy()[:, :1])


@pytest.mark.parametrize("method", ["predict", "score_rows", "reconstruct", "explain", "plot_scores", "calibrate"])
def test_arrays_are_refused_where_columns_are_no_numbers(method: str) -> None:
    with pytest.raises(DataError, match="frame with the columns size, weight, color, ok, when. Received: an array"):
        getattr(fitted(), method)(np.zeros((3, fitted().n_features_in_)))


@pytest.mark.parametrize(
    ("column", "cell", "reason"),
    [("color", None, "missing: color"), ("weight", -np.inf, "infinite: weight"), ("size", np.nan, "missing: size")],
)
def test_cells_that_are_missing_or_infinite_are_named(column: str, cell: object, reason: str) -> None:
    """By the position of the row and the column of the frame, not by a feature."""
    bad = rows(30, seed=1).astype({"color": object}).set_index(np.arange(100, 130))
    bad.loc[[104, 110], column] = cell
    message = rf"Expected rows without .* to {{}}. Received: row 4 \(of 0 to 29\) with {reason}, and 1 more such rows\."
    for method, purpose in (("predict", "score"), ("reconstruct", "reconstruct"), ("explain", "explain")):
        with pytest.raises(DataError, match=message.format(purpose)):
            getattr(fitted(), method)(bad)
    with pytest.raises(DataError, match=message.format("validate on")):
        clone(fitted()).fit(rows(120), validation=bad)
    with pytest.raises(DataError, match=f"column '{column}', row 5"):
        clone(fitted()).fit(bad)


def test_explanations_name_columns_and_cells() -> None:
    new = rows(30, seed=1).set_index(np.arange(100, 130)).astype({"color": object})
    new.loc[104, "color"], new.loc[105, "weight"] = "purple", 1e4
    told = fitted().explain(new, top=6).set_index(["row", "feature"])
    assert {name for _, name in told.index} == {"size", "weight", "when.weekday", "when.hour", "color", "ok"}
    assert told.loc[(104, "color"), "value"] == "purple" and told.loc[(104, "color"), "expected"] in ("red", "blue")
    assert np.isnan(told.loc[(104, "color"), "difference"]) and told.loc[(105, "weight"), "value"] == 1e4
    assert told.loc[105].index[0] == "weight"
    np.testing.assert_allclose(told.groupby("row")["share"].sum(), 1.0, rtol=0.0, atol=1e-5)
    scored, _ = Model(fitted()).scored(new, top=6)
    assert scored["feature_1"].tolist() == [told.loc[row].index[0] for row in new.index]
    first = told.groupby("row").head(1)["contribution"].to_numpy().astype(np.float32)
    np.testing.assert_array_equal(scored["contribution_1"], first)
    assert scored.loc[105, "value_1"] == "10000" and scored.loc[104, "unseen"] == "color"


def test_frames_that_cannot_be_trained_on() -> None:
    with pytest.raises(DataError, match="names of columns that are text. Received: 0"):
        ALAD(verbose=0).fit(pd.DataFrame({0: ["a", "b"]}))
    frame = rows(20).astype({"color": object})
    frame.loc[2, "color"] = None
    with pytest.raises(DataError, match="column 'color', row 3"):
        ALAD(verbose=0).fit(frame)


def test_numbers_are_as_before() -> None:
    """Frames of numbers are not mixed frames, even with dtype object."""
    frame = rows(60)[["size", "weight"]]
    models = [ALAD(epochs=1, random_state=3, verbose=0, jit=False).fit(x) for x in (frame, frame.astype(object))]
    assert all(model.encoder_ is None and model.n_features_in_ == 2 for model in models)
    np.testing.assert_array_equal(models[0].anomaly_score(frame), models[1].anomaly_score(frame))


# What people expect of an estimator -------------------------------------------------------------------------------


def test_old_name_of_the_score() -> None:
    with pytest.warns(FutureWarning, match="score_name"):
        model = ALAD(score="l1")  # type: ignore[call-arg]
    assert model.score_name == "l1" and "score" not in model.get_params() and callable(model.score)
    with pytest.raises(SettingsError, match="Expected score_name or score, its old name. Received: both."):
        ALAD(score="l1", score_name="l2")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="unexpected keyword argument 'scor'"):
        ALAD(scor="l1")  # type: ignore[call-arg]


def test_grid_search() -> None:
    """AUROC is the default metric; fit does not see the labels."""
    frame, y = rows(60), np.where(np.arange(60) % 6 == 0, -1, 1)
    model = ALAD(epochs=1, random_state=0, verbose=0, jit=False)
    search = GridSearchCV(model, {"score_name": ["l1", "features"]}, cv=2, error_score="raise")
    assert 0.0 <= search.fit(frame, y).best_score_ <= 1.0


def test_repr_is_short() -> None:
    assert repr(ALAD(epochs=3, score_name="l1")) == "ALAD(epochs=3, score_name='l1')"
    assert repr(ALAD(fitted().table_)) == "ALAD(architecture='tabular')"


def test_samples() -> None:
    made = fitted().sample(5, random_state=0)
    assert made.shape == (5, fitted().n_features_in_) and np.isfinite(made).all() and np.ptp(made) > 0
    np.testing.assert_array_equal(made, fitted().sample(5, random_state=0))
    with pytest.raises(SettingsError, match="at least 1"):
        fitted().sample(0)


def test_plots() -> None:
    matplotlib.use("Agg")
    ax = fitted().plot_history()
    assert {line.get_label() for line in ax.lines} == {"loss_d", "loss_ge", "val_score"}
    assert fitted().plot_history(ax) is ax
    ax = fitted().plot_scores(rows(30, seed=1))
    assert {text.get_text() for text in ax.get_legend().get_texts()} == {"threshold", "validation rows", "X"}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bars = plots.draw_scores({"equal": np.zeros(9)}, 0.0).patches
    assert max(bar.get_height() for bar in bars) > 0.0
    matplotlib.pyplot.close("all")
