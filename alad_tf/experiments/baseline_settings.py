"""Settings of the baselines of Section V-B: the protocol's values for each data set and the options of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple, Union

import architectures
from alad_tf.errors import SettingsError
from alad_tf.experiments.protocol import METHODS, PROTOCOLS, of_images
from alad_tf.experiments.settings import RUN_FILES, RunSettings, Settings, SharedOptions, of_config, read_config
from alad_tf.options import NEIGHBOURS
from architectures import Table


class Baseline(NamedTuple):
    """The protocol's settings of one baseline."""

    scores: tuple[str, ...] = ("score",)  # names; the first is the method's own
    scaling: str | None = "minmax"  # of tabular data; D13
    jit: bool = False  # compile the training step with XLA, on tabular data
    patience: int | None = None  # on images: epochs without a better validation score before training stops
    train_rows: Mapping[str, int] = MappingProxyType({})  # data set -> training rows at most, drawn at random
    test_rows: Mapping[str, int] = MappingProxyType({})


BASELINES = {
    "OC-SVM": Baseline(train_rows={"kdd99": 10_000}),
    "SGD-OC-SVM": Baseline(),
    "IF": Baseline(scaling=None),
    "mean": Baseline(),
    "kNN": Baseline(train_rows={"kdd99": 20_000}),
    "DSEBM": Baseline(("energy", "reconstruction"), patience=25),
    "DAGMM": Baseline(("energy",), jit=True),
    "AnoGAN": Baseline(
        ("released", "schlegl"), scaling=None, jit=True, test_rows=dict.fromkeys(("svhn", "cifar10"), 256)
    ),
}


@dataclass(frozen=True)
class Method(RunSettings):
    """Name of the baseline. A class of its own, because fields without a default must come first."""

    baseline: str


@dataclass(frozen=True)
class BaselineSettings(SharedOptions, Method):
    """All settings of a run of a baseline, except its seed.

    Raises:
        SettingsError: a value outside its range, or an option that the method or the data set does not have.
    """

    train_rows: int | None = None  # number of training rows, drawn at random; None: all
    test_rows: int | None = None  # number of rows to score, drawn at random; None: all
    strategy: ClassVar[None] = None  # one device

    def __post_init__(self) -> None:
        self._require("dataset", PROTOCOLS)
        self._require("baseline", BASELINES)
        self._require_of_images()
        self._require_of_method()
        if self.test_rows is not None and self.test_rows < 2:
            raise SettingsError(f"Expected at least 2 test rows. Received: {self.test_rows}.")
        least, why = self._least_train_rows()
        if self.train_rows is not None and self.train_rows < least:
            raise SettingsError(f"Expected at least {least} train rows{why}. Received: {self.train_rows}.")

    def _require_of_method(self) -> None:
        """Reject options that would change nothing but the name of the folder."""
        name, validated = self.baseline, BASELINES[self.baseline].patience is not None
        if self.table is None and self.epochs != 1:
            raise SettingsError(f"Expected no epochs: {name} has none. Received: {self.epochs}.")
        if self.table is None and self.jit:
            raise SettingsError(f"Expected no XLA for {name}. Received: jit=True.")
        if self.patience is not None and not validated:
            raise SettingsError(f"Expected no patience for {name}. Received: {self.patience}.")
        if self.weights == "best" and not validated:
            raise SettingsError(f"Expected the last weights for {name}. Received: 'best'.")

    def _least_train_rows(self) -> tuple[int, str]:
        """The smallest number of training rows, and the reason for it."""
        if self.table is not None:
            return self.table.batch_size, f", a batch of {self.baseline}"
        return (NEIGHBOURS, ", the number of neighbours of kNN") if self.baseline == "kNN" else (2, "")

    @property
    def table(self) -> Table | None:
        """The architecture table of the data set; None for a method without networks."""
        return architectures.load(self.dataset, self.baseline) if self.baseline in architectures.METHODS else None

    @property
    def scores(self) -> tuple[str, ...]:
        """Names of the scores; the first is the method's own."""
        return BASELINES[self.baseline].scores

    @property
    def files(self) -> tuple[str, ...]:
        """Names of the files of a complete run; methods without networks write no weights."""
        return tuple(name for name in RUN_FILES if name != "weights.npz" or self.table is not None)

    @property
    def base(self) -> str:
        """Name of the baseline."""
        return self.baseline

    @property
    def usual(self) -> BaselineSettings:
        """The protocol's settings of the same baseline."""
        return _usual(self.dataset, self.baseline, self.normal_class)


AnySettings = Union[Settings, BaselineSettings]


def of_run(run_dir: Path) -> tuple[AnySettings, int]:
    """Read the settings and the seed of the run in a folder, for any method.

    Raises:
        DataError: its config.json is missing or damaged.
    """
    config = read_config(run_dir / "config.json")
    return of_config(BaselineSettings if "baseline" in config else Settings, config, run_dir)


def of_method(dataset: str, method: str, **options: Any) -> AnySettings:
    """The paper's settings for a data set and a method of `METHODS`, changed by the options.

    Raises:
        SettingsError: unknown data set or method, or a data set or option that the method does not have.
    """
    if method not in METHODS:
        raise SettingsError(f"Expected the name of a method. Received: {method!r}. Allowed: {', '.join(METHODS)}.")
    if method not in BASELINES or dataset not in PROTOCOLS:
        return Settings.of_protocol(dataset, method, **options)
    unknown = sorted(set(options) - {known.name for known in fields(BaselineSettings)})
    if unknown:
        raise SettingsError(f"Expected options of {method}. Received: {', '.join(unknown)}, which only ALAD has.")
    return replace(_usual(dataset, method, options.get("normal_class")), **options)


def _usual(dataset: str, method: str, normal_class: int | None) -> BaselineSettings:
    baseline, images = BASELINES[method], of_images(dataset)
    try:
        epochs = architectures.load(dataset, method).epochs if method in architectures.METHODS else 1
    except ValueError as error:
        raise SettingsError(f"{error}.") from error
    return BaselineSettings(
        dataset,
        epochs,
        method,
        scaling=None if images else baseline.scaling,
        jit=baseline.jit and not images,
        normal_class=(normal_class or 0) if images else None,
        patience=baseline.patience if images else None,
        weights=("best" if baseline.patience else "last") if images else None,
        train_rows=baseline.train_rows.get(dataset),
        test_rows=baseline.test_rows.get(dataset),
    )
