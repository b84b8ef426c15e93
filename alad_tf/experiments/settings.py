"""Settings of a run: the protocol's values (Section V-A), departures from them, and the resulting folder name."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Callable, TypeVar

from alad_tf.errors import DataError, SettingsError
from alad_tf.experiments.protocol import ABLATIONS, PROTOCOLS, alad_table, of_images
from alad_tf.io import atomic, manifest
from alad_tf.options import CLASSES, DYNAMICS, FIGURE_SUFFIXES, PRECISIONS, SCORES, SPECTRAL_NORMS, STRATEGIES, WEIGHTS
from alad_tf.typing import Document
from architectures import Alad, Table

RUN_FILES = ("config.json", "history.jsonl", "scores.npz", "weights.npz", "result.json")  # in the order of writing
WRITTEN = (*(f"reconstructions{suffix}" for suffix in FIGURE_SUFFIXES), *RUN_FILES)  # with the figure of some data

# Option -> part of the folder name if the value departs from the protocol, in the order of the parts.
DEPARTURES: dict[str, Callable[[Any], str]] = {
    "spectral_norm": "{}SN".format,
    "ema_decay": lambda decay: f"EMA{decay}" if decay else "noEMA",
    "scaling": lambda kind: kind or "raw",
    "training_half": "{}half".format,
    "patience": lambda epochs: f"patience{epochs}" if epochs else "noStopping",
    "weights": "{}Weights".format,
    "strategy": str,
    "precision": str,
    "dynamics": "{}Dynamics".format,
    "train_rows": lambda rows: f"train{rows or 'All'}",
    "test_rows": lambda rows: f"test{rows or 'All'}",
    "jit": lambda compiled: "XLA" if compiled else "noXLA",
    "epochs": "{}epochs".format,
}


# Of images, by training dynamics: when training stops, and which weights score the test images (D18, D19).
STOPPING = {None: {"patience": 10, "weights": "best"}, "released": {"patience": 11, "weights": "last"}}

AnyRun = TypeVar("AnyRun", bound="RunSettings")


@dataclass(frozen=True)
class RunSettings:
    """All settings of a run of any method, except its seed."""

    dataset: str
    epochs: int

    @property
    def base(self) -> str:
        """Name of the method without departures from the protocol: an ablation or a baseline."""
        raise NotImplementedError

    @property
    def usual(self) -> RunSettings:
        """The protocol's settings of the same method on the same data."""
        raise NotImplementedError

    @property
    def method(self) -> str:
        """Name of the results folder and of the row in tables: the method and each departure from the protocol."""
        usual = self.usual
        parts = [
            text(getattr(self, name))
            for name, text in DEPARTURES.items()
            if getattr(self, name, None) != getattr(usual, name, None)
        ]
        return "-".join([self.base, *parts])

    @property
    def table(self) -> Table | None:
        """The architecture table; None for methods without networks."""
        raise NotImplementedError

    @property
    def scores(self) -> tuple[str, ...]:
        """Names of the scores; the first is the method's own."""
        raise NotImplementedError

    @property
    def files(self) -> tuple[str, ...]:
        """Names of the files of a complete run."""
        return RUN_FILES

    def folder(self, out: Path, seed: int) -> Path:
        """Folder of the run with this seed."""
        label = getattr(self, "normal_class", None)
        task = "" if label is None else f"class{label}"
        return out / self.dataset / self.method / task / f"seed{seed}"

    def claim(self, run_dir: Path, seed: int) -> None:
        """Write config.json to the folder, or check that the existing one has the same settings.

        The name of the method is derived from the other entries and not compared: earlier versions had fewer parts.

        Raises:
            SettingsError: the folder belongs to a run with other settings; the message lists the differences.
        """
        path = run_dir / "config.json"
        table = {} if self.table is None else {"table": asdict(self.table)}
        config = json.loads(json.dumps({"method": self.method, "seed": seed, **asdict(self), **table}))
        if not path.exists():
            atomic.write_json(path, config)
            return
        differences = list(_differences({**read_config(path), "method": self.method}, config))
        if differences:
            raise SettingsError(
                f"Expected a folder of a run with the same settings. Received: {run_dir}, where "
                f"{'; '.join(differences)}. "
                "Choose another --out, or move that folder away."
            )

    def _require(self, name: str, allowed: Iterable[str | None]) -> None:
        value = getattr(self, name)
        if value not in allowed:
            names = ", ".join(map(str, allowed))
            raise SettingsError(f"Expected a known {name}. Received: {value!r}. Allowed: {names}.")


@dataclass(frozen=True)
class SharedOptions(RunSettings):
    """Options shared by ALAD and the baselines."""

    scaling: str | None = None
    training_half: str = "clean"
    jit: bool = False
    normal_class: int | None = None  # images: the normal class
    patience: int | None = None  # images: epochs without a smaller mean validation score before training stops
    weights: str | None = None  # images: "best" on the validation images, or "last"

    def _require_of_images(self) -> None:
        """Check the options that image data sets require and tabular ones do not have."""
        if self.epochs < 1:
            raise SettingsError(f"Expected at least 1 epoch. Received: {self.epochs}.")
        images = of_images(self.dataset)
        if images != (self.normal_class in range(CLASSES)):
            wanted = f"a normal class from 0 to {CLASSES - 1}" if images else "no normal class"
            raise SettingsError(f"Expected {wanted} for {self.dataset}. Received: {self.normal_class}.")
        if self.patience is not None and not (images and self.patience >= 1):
            wanted = "a patience of at least 1 epoch" if images else "no patience"
            raise SettingsError(f"Expected {wanted} for {self.dataset}. Received: {self.patience}.")
        self._require("weights", WEIGHTS if images else (None,))


@dataclass(frozen=True)
class Ablation(RunSettings):
    """Components of ALAD. A class of its own, because fields without a default must come first."""

    spectral_norm: str | None
    latent_discriminator: bool
    ema_decay: float | None


@dataclass(frozen=True)
class Settings(SharedOptions, Ablation):
    """All settings of a run of ALAD, except its seed.

    Raises:
        SettingsError: a value outside its range, or an option that the data set does not have.
    """

    jit: bool = True
    strategy: str | None = None  # distribution of each batch over several devices; None: one device
    precision: str | None = None  # of convolutions and matrix products; None: float32
    dynamics: str | None = None  # training dynamics: "released" (D17 to D21), or None for the paper's

    def __post_init__(self) -> None:
        self._require("dataset", PROTOCOLS)
        self._require("spectral_norm", SPECTRAL_NORMS)
        self._require("strategy", STRATEGIES)
        self._require("precision", PRECISIONS)
        self._require("dynamics", DYNAMICS)
        if type(self.latent_discriminator) is not bool:
            raise SettingsError(
                f"Expected latent_discriminator True or False. Received: {self.latent_discriminator!r}."
            )
        if self.dynamics and self.table.ge_steps > 1:
            raise SettingsError(
                "Expected one update of G and E in a step with released dynamics. Received: "
                f"{self.table.ge_steps} on {self.dataset}."
            )
        for name in ("strategy", "precision"):
            if getattr(self, name) is not None and self.jit:
                raise SettingsError(f"Expected no XLA with {name} {getattr(self, name)!r}. Received: jit=True.")
        self._require_of_images()
        if self.ema_decay is not None and not 0.0 < self.ema_decay < 1.0:
            raise SettingsError(f"Expected a decay of the average above 0 and below 1. Received: {self.ema_decay}.")

    @classmethod
    def of_protocol(cls, dataset: str, method: str = "ALAD", **options: Any) -> Settings:
        """The paper's settings for a data set and one of `ABLATIONS`, changed by the options.

        Raises:
            SettingsError: unknown data set, method or option.
        """
        unknown = sorted(set(options) - {field.name for field in fields(cls)})
        if unknown:
            raise SettingsError(
                f"Expected options of {method}. Received: {', '.join(unknown)}, which only baselines have."
            )
        if dataset not in PROTOCOLS:
            raise SettingsError(f"Expected a known dataset. Received: {dataset!r}. Allowed: {', '.join(PROTOCOLS)}.")
        if method not in ABLATIONS:
            raise SettingsError(
                f"Expected the name of a method. Received: {method!r}. Allowed: {', '.join(ABLATIONS)}."
            )
        protocol, (normalised, latent_discriminator) = PROTOCOLS[dataset], ABLATIONS[method]
        dynamics = options.get("dynamics", protocol.dynamics)
        of_task: Document = {"normal_class": 0, **STOPPING.get(dynamics, {})} if of_images(dataset) else {}
        settings = cls(
            dataset=dataset,
            epochs=alad_table(dataset).epochs,
            spectral_norm=protocol.spectral_norm if normalised else None,
            latent_discriminator=latent_discriminator,
            ema_decay=protocol.ema_decay,
            jit=protocol.jit and not (options.get("strategy") or options.get("precision")),
            dynamics=dynamics,
            **of_task,
        )
        return replace(settings, **options)

    @classmethod
    def of_run(cls, run_dir: Path) -> tuple[Settings, int]:
        """Read the settings and the seed of the run in a folder.

        Raises:
            DataError: its config.json is missing or damaged.
        """
        config = read_config(run_dir / "config.json")
        if "baseline" in config:
            raise DataError(f"Expected a run of ALAD in {run_dir}. Received: one of {config['baseline']}.")
        return of_config(cls, config, run_dir)

    @property
    def table(self) -> Alad:
        """The architecture table for the data set."""
        return alad_table(self.dataset)

    @property
    def base(self) -> str:
        """Name of the ablation."""
        normalised = self.spectral_norm is not None or PROTOCOLS[self.dataset].spectral_norm is None
        return {components: name for name, components in ABLATIONS.items()}[normalised, self.latent_discriminator]

    @property
    def usual(self) -> Settings:
        """The protocol's settings of the same ablation, without XLA for a strategy or a precision.

        Released dynamics have a part in every name, on images too, where they are the default.
        """
        usual = Settings.of_protocol(self.dataset, self.base, **_task(self.normal_class), dynamics=self.dynamics)
        return replace(usual, jit=usual.jit and self.strategy is None and self.precision is None, dynamics=None)

    @property
    def scores(self) -> tuple[str, ...]:
        """The four scores of Section V-F."""
        return SCORES


def of_config(kind: type[AnyRun], config: Document, run_dir: Path) -> tuple[AnyRun, int]:
    """Settings of the given class and the seed from the content of a config.json.

    Raises:
        DataError: an entry is missing or not allowed.
    """
    known = {field.name for field in fields(kind)}
    try:
        return kind(**{name: value for name, value in config.items() if name in known}), int(config["seed"])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"Expected the settings of a run in {run_dir / 'config.json'}. Received: {error!r}.") from error


def is_complete(run_dir: Path, names: Iterable[str] = RUN_FILES) -> bool:
    """Whether the run in a folder has ended and all its files exist."""
    return all((run_dir / name).exists() for name in names)


def _task(normal_class: int | None) -> dict[str, int]:
    return {} if normal_class is None else {"normal_class": normal_class}


def read_config(path: Path) -> Document:
    """Read a config.json.

    Raises:
        DataError: missing or damaged.
    """
    try:
        return manifest.load_object(path, links=True)
    except (OSError, ValueError) as error:
        raise DataError(f"Expected the settings of a run as JSON in {path}. Received: {error}.") from error


def _differences(there: object, here: object, name: str = "") -> Iterator[str]:
    """Describe each difference between two JSON documents; nested values by their path."""
    if isinstance(there, dict) and isinstance(here, dict):
        for key in {**here, **there}:
            yield from _differences(there.get(key), here.get(key), f"{name}.{key}" if name else key)
    elif isinstance(there, list) and isinstance(here, list) and len(there) == len(here):
        for position, pair in enumerate(zip(there, here)):
            yield from _differences(*pair, f"{name}[{position}]")
    elif there != here:
        yield f"{name} is {there!r:.80} there and {here!r:.80} here"
