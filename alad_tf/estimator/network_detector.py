"""Base class of detectors with networks: scaling of features, pickling."""

from __future__ import annotations

import functools
import warnings
from numbers import Integral, Real
from typing import Any, Callable, TypeVar, cast

import numpy as np
import tensorflow as tf
from sklearn.utils._param_validation import Interval, StrOptions

from alad_tf.errors import SettingsError
from alad_tf.estimator.base import OutlierDetector
from alad_tf.model.batching import Score
from alad_tf.model.scores import Scorer
from alad_tf.model.weights import get_arrays, set_arrays
from alad_tf.options import SCALINGS

CONSTRAINTS: dict[str, list[object]] = {  # of the parameters shared by all detectors with networks
    "epochs": [Interval(Integral, 1, None, closed="left"), None],
    "batch_size": [Interval(Integral, 1, None, closed="left"), None],
    "learning_rate": [Interval(Real, 0, None, closed="neither"), None],
    "contamination": [Interval(Real, 0, 0.5, closed="right")],
    "scaling": [StrOptions({kind for kind in SCALINGS if kind}), None],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
}


Init = TypeVar("Init", bound=Callable[..., None])


def old_name_of_score(init: Init) -> Init:
    """Let a constructor take `score_name` under its old name, `score`, which is not in its signature."""

    @functools.wraps(init)
    def renamed(detector: object, *args: object, **options: object) -> None:
        if {"score", "score_name"} <= options.keys():
            raise SettingsError("Expected score_name or score, its old name. Received: both.")
        if "score" in options:
            name = type(detector).__name__
            warnings.warn(f"{name}(score=...) is now {name}(score_name=...).", FutureWarning, stacklevel=2)
            options["score_name"] = options.pop("score")
        init(detector, *args, **options)

    return cast(Init, renamed)


class NetworkDetector(OutlierDetector):
    """Outlier detector whose networks have scaled features as input; pickles hold arrays instead of networks.

    Attributes:
        networks_: the networks used for scoring.
        center_, scale_: [d] each; the input of the networks is (x - center_) / scale_.
    """

    score_name: str | None
    networks_: tf.Module
    center_: np.ndarray
    scale_: np.ndarray
    _scorer: Score | Scorer

    def _build(self) -> tf.Module:
        """Build the networks with random initial weights."""
        raise NotImplementedError

    def _scorer_of(self, networks: tf.Module) -> Score | Scorer:
        """Return the function that scores with the networks."""
        raise NotImplementedError

    def _use(self, networks: tf.Module) -> None:
        self.networks_ = networks
        self._scorer = self._scorer_of(networks)

    def _scaled(self, X: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore"):
            return ((X - self.center_) / self.scale_).astype(np.float32)

    def __getstate__(self) -> dict[str, object]:
        """Return the state for pickling, with arrays instead of networks."""
        state = dict(super().__getstate__())
        if "networks_" in state:
            state.pop("_scorer")
            state["networks_"] = get_arrays(state["networks_"])
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the state, also of a release that named the option `score`, and build the networks from arrays."""
        if "score" in state:
            state = {**state, "score_name": state["score"]}
            del state["score"]
        super().__setstate__(state)
        if "training_scores_" in state:
            self.__dict__.setdefault("_fitted_score", self.score_name)
        if "networks_" in state:
            networks = self._build()
            set_arrays(networks, state["networks_"])
            self._use(networks)
