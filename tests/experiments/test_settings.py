"""Settings of a run: the protocol's defaults, folder names, one set of settings per folder."""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest

import architectures
from alad_tf import paths
from alad_tf.data import loading
from alad_tf.errors import DataError, SettingsError
from alad_tf.experiments import settings
from alad_tf.experiments.protocol import ABLATIONS, PROTOCOLS
from alad_tf.experiments.settings import Settings
from alad_tf.report import paper
from alad_tf.typing import Options

KDD99 = Settings.of_protocol("kdd99")
OTHER: dict[str, Any] = {  # another value for each option of KDD99
    "epochs": 7,
    "spectral_norm": "tfa",
    "latent_discriminator": False,
    "ema_decay": 0.9,
    "scaling": "minmax",
    "training_half": "released",
    "jit": False,
}

ELSEWHERE = {
    "normal_class",
    "patience",
    "weights",
    "strategy",
    "precision",
    "dynamics",
}  # in test_images.py, test_distribution.py and test_dynamics.py


def message(caught: pytest.ExceptionInfo[Exception]) -> str:
    text = str(caught.value)
    assert "\n" not in text and "Expected" in text and "Received: " in text
    return text


def test_every_data_set_has_all_its_parts() -> None:
    assert set(PROTOCOLS) == set(architectures.DATASETS) == set(loading.DATA_SETS)
    for dataset in PROTOCOLS:
        assert Settings.of_protocol(dataset).epochs == paper.EPOCHS.get(dataset, 300)


def test_protocol_of_section_v() -> None:
    assert (PROTOCOLS["kdd99"].top_fraction, PROTOCOLS["kdd99"].runs) == (0.20, 10)
    assert (PROTOCOLS["arrhythmia"].top_fraction, PROTOCOLS["arrhythmia"].runs) == (0.15, 10)
    assert PROTOCOLS["toy"].top_fraction == pytest.approx(100 / (2048 + 100))  # all outliers, and no more


def test_defaults_are_the_method_of_the_paper() -> None:
    assert Settings("kdd99", 100, "paper", True, 0.999, None, "clean", True) == KDD99
    assert Settings.of_protocol("arrhythmia") == Settings("arrhythmia", 1000, "paper", True, 0.999, None, "clean", True)
    assert Settings.of_protocol("toy") == Settings("toy", 300, None, True, None, None, "clean", False)


@pytest.mark.parametrize("dataset", ["kdd99", "arrhythmia"])
@pytest.mark.parametrize(
    ("method", "spectral_norm", "latent_discriminator"),
    [
        ("ALAD", "paper", True),
        ("ALAD-noSN", None, True),
        ("ALAD-noDzz", "paper", False),
        ("ALAD-baseline", None, False),
    ],
)
def test_ablations(dataset: str, method: str, spectral_norm: str | None, latent_discriminator: bool) -> None:
    made = Settings.of_protocol(dataset, method)
    assert (made.spectral_norm, made.latent_discriminator) == (spectral_norm, latent_discriminator)
    assert made.method == method
    assert dataclasses.replace(made, spectral_norm="paper", latent_discriminator=True) == Settings.of_protocol(dataset)


@pytest.mark.parametrize("option", OTHER)
def test_options_replace_the_protocols(option: str) -> None:
    made = Settings.of_protocol("kdd99", **{option: OTHER[option]})
    assert getattr(made, option) == OTHER[option] != getattr(KDD99, option)
    assert dataclasses.replace(made, **{option: getattr(KDD99, option)}) == KDD99


def test_every_option_is_covered_here() -> None:
    assert {field.name for field in dataclasses.fields(Settings)} == {"dataset", *OTHER, *ELSEWHERE}


def test_table_is_that_of_the_data_set() -> None:
    assert KDD99.table is architectures.load("kdd99")


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: Settings.of_protocol("mnist"), "Received: 'mnist'. Allowed: kdd99, arrhythmia, svhn, cifar10, toy."),
        (lambda: Settings.of_protocol("kdd99", "DAGMM"), "Received: 'DAGMM'. Allowed: ALAD, ALAD-noSN,"),
        (lambda: Settings.of_protocol("kdd99", epochs=0), "at least 1 epoch. Received: 0."),
        (lambda: Settings.of_protocol("kdd99", epochs=-3), "at least 1 epoch. Received: -3."),
        (lambda: Settings.of_protocol("kdd99", ema_decay=0.0), "Received: 0.0."),
        (lambda: Settings.of_protocol("kdd99", ema_decay=1.0), "Received: 1.0."),
        (lambda: Settings.of_protocol("kdd99", ema_decay=float("nan")), "Received: nan."),
    ],
)
def test_refused(call: Any, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        call()
    assert words in message(caught)


# Names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "method"),
    [
        ({}, "ALAD"),
        ({"spectral_norm": None}, "ALAD-noSN"),
        ({"spectral_norm": "tfa"}, "ALAD-tfaSN"),
        ({"latent_discriminator": False}, "ALAD-noDzz"),
        ({"latent_discriminator": False, "spectral_norm": None}, "ALAD-baseline"),
        ({"latent_discriminator": False, "spectral_norm": "tfa"}, "ALAD-noDzz-tfaSN"),
        ({"ema_decay": None}, "ALAD-noEMA"),
        ({"ema_decay": 0.99}, "ALAD-EMA0.99"),
        ({"scaling": "minmax"}, "ALAD-minmax"),
        ({"training_half": "released"}, "ALAD-releasedhalf"),
        ({"spectral_norm": None, "ema_decay": None, "scaling": "minmax"}, "ALAD-noSN-noEMA-minmax"),
        ({"epochs": 3}, "ALAD-3epochs"),
        ({"jit": False}, "ALAD-noXLA"),
        ({"spectral_norm": None, "epochs": 3, "jit": False}, "ALAD-noSN-noXLA-3epochs"),
        ({"epochs": 1000, "jit": True}, "ALAD"),
        ({"precision": "bfloat16", "epochs": 1}, "ALAD-bfloat16-1epochs"),
    ],
)
def test_method_names(options: Options, method: str) -> None:
    assert Settings.of_protocol("arrhythmia", **options).method == method


@pytest.mark.parametrize(
    ("options", "method"),
    [
        ({}, "ALAD"),
        ({"spectral_norm": "paper"}, "ALAD-paperSN"),
        ({"latent_discriminator": False}, "ALAD-noDzz"),
        ({"ema_decay": 0.999}, "ALAD-EMA0.999"),
    ],
)
def test_method_names_where_the_protocol_has_no_spectral_norm(options: Options, method: str) -> None:
    assert Settings.of_protocol("toy", **options).method == method


@pytest.mark.parametrize("dataset", PROTOCOLS)
def test_unlike_options_have_unlike_names(dataset: str) -> None:
    values: dict[str, tuple[Any, ...]] = {
        "spectral_norm": ("paper", "tfa", None),
        "latent_discriminator": (True, False),
        "ema_decay": (0.999, 0.99, None),
        "scaling": (None, "minmax"),
        "training_half": ("clean", "released"),
        "jit": (True, False),
        "epochs": (Settings.of_protocol(dataset).epochs, 1, 11),
    }
    combinations = [dict(zip(values, combination)) for combination in itertools.product(*values.values())]
    names = [Settings.of_protocol(dataset, **options).method for options in combinations]
    assert len(set(names)) == len(combinations) == 72 * 2 * 3
    assert all(re.fullmatch(r"ALAD[A-Za-z0-9.-]*", name) for name in names)


def test_folder(tmp_path: Path) -> None:
    folder = Settings.of_protocol("kdd99", "ALAD-noSN").folder(tmp_path, 3)
    assert folder == tmp_path / "kdd99" / "ALAD-noSN" / "seed3"
    assert not folder.exists()


def test_ablations_are_the_rows_of_table_v() -> None:
    assert set(ABLATIONS) == set(paper.TABLE_V["kdd99"]) == set(paper.TABLE_V["arrhythmia"])
    assert all(method in ABLATIONS for protocol in PROTOCOLS.values() for method in protocol.beside)


def test_results_folder_of_the_checkout(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(paths, "CHECKOUT", tmp_path / "checkout")
    assert paths.default_out() == tmp_path / "checkout" / "results"
    assert paths.published_results() == tmp_path / "checkout" / "results" / "published"
    monkeypatch.setattr(paths, "CHECKOUT", None)
    monkeypatch.chdir(tmp_path)
    assert paths.default_out() == tmp_path / "results"
    assert paths.published_results() == Path(paths.__file__).parent / "published"  # of an installed package


# The folder of a run ----------------------------------------------------------------------------------------------


def test_claim_writes_everything_that_the_run_depends_on(tmp_path: Path) -> None:
    KDD99.claim(tmp_path / "new", 3)
    config = json.loads((tmp_path / "new" / "config.json").read_text())
    assert config["method"] == "ALAD" and config["seed"] == 3
    for field in dataclasses.fields(Settings):
        assert config[field.name] == getattr(KDD99, field.name)
    assert config["table"]["Dxz"]["only_x"] == [
        {"units": 128, "activation": "LReLU", "batch_norm": True, "dropout": 0.0}
    ]
    assert config["table"]["optimizer"] == {"learning_rate": 1e-5, "beta1": 0.5, "beta2": 0.999, "epsilon": 1e-8}


def test_claim_by_the_same_settings(tmp_path: Path) -> None:
    KDD99.claim(tmp_path, 3)
    before = (tmp_path / "config.json").read_bytes(), (tmp_path / "config.json").stat().st_mtime_ns
    Settings.of_protocol("kdd99").claim(tmp_path, 3)
    assert ((tmp_path / "config.json").read_bytes(), (tmp_path / "config.json").stat().st_mtime_ns) == before


@pytest.mark.parametrize("option", OTHER)
def test_claim_by_other_settings(tmp_path: Path, option: str) -> None:
    KDD99.claim(tmp_path, 3)
    content = (tmp_path / "config.json").read_bytes()
    with pytest.raises(SettingsError) as caught:
        dataclasses.replace(KDD99, **{option: OTHER[option]}).claim(tmp_path, 3)
    text = message(caught)
    assert f"{option} is {getattr(KDD99, option)!r} there and {OTHER[option]!r} here" in text
    assert str(tmp_path) in text and "--out" in text
    assert (tmp_path / "config.json").read_bytes() == content


def test_claim_names_every_difference(tmp_path: Path) -> None:
    KDD99.claim(tmp_path, 3)
    with pytest.raises(SettingsError) as caught:
        dataclasses.replace(KDD99, **OTHER).claim(tmp_path, 4)
    named = re.findall(r"(\w+) is .+? there and", message(caught))
    assert set(named) == {"seed", *OTHER}  # the name of the method follows from them
    with pytest.raises(SettingsError) as caught:
        KDD99.claim(tmp_path, 4)
    assert re.findall(r"(\w+) is .+? there and", message(caught)) == ["seed"]


def test_claim_after_the_table_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from architectures import kdd99

    table = kdd99.ALAD
    KDD99.claim(tmp_path, 0)
    monkeypatch.setattr(kdd99, "ALAD", dataclasses.replace(table, batch_size=51, E=table.E[:1]))
    with pytest.raises(SettingsError) as caught:
        KDD99.claim(tmp_path, 0)
    assert "; table.batch_size is 50 there and 51 here" in message(caught) and "table.E is [{'" in message(caught)
    changed = dataclasses.replace(table.E[0], batch_norm=True)
    monkeypatch.setattr(kdd99, "ALAD", dataclasses.replace(table, E=(changed, *table.E[1:])))
    with pytest.raises(SettingsError, match=r"where table\.E\[0\]\.batch_norm is False there and True here\. Choose"):
        KDD99.claim(tmp_path, 0)


def test_claim_of_a_folder_by_an_older_version(tmp_path: Path) -> None:
    """An option that is missing in the older config.json is a difference, not an error."""
    KDD99.claim(tmp_path, 0)
    config = json.loads((tmp_path / "config.json").read_text())
    del config["scaling"], config["jit"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(SettingsError) as caught:
        KDD99.claim(tmp_path, 0)
    assert "jit is None there and True here" in message(caught)


DAMAGED = [b"", b'{"seed": 3, "meth', b"\xff\xfe\x00", b"5", b"null", b"[1, 2]", b'"text"']


@pytest.mark.parametrize("content", DAMAGED)
def test_damaged_config(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "config.json").write_bytes(content)
    for call in (lambda: KDD99.claim(tmp_path, 3), lambda: Settings.of_run(tmp_path)):
        with pytest.raises(DataError) as caught:
            call()
        assert str(tmp_path / "config.json") in message(caught)
    assert (tmp_path / "config.json").read_bytes() == content


def test_of_run_round_trip(tmp_path: Path) -> None:
    for seed, option in enumerate(OTHER):
        made = dataclasses.replace(KDD99, **{option: OTHER[option]})
        made.claim(tmp_path / option, seed)
        assert Settings.of_run(tmp_path / option) == (made, seed)


def test_of_run_without_a_run(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        Settings.of_run(tmp_path)
    assert str(tmp_path / "config.json") in message(caught)


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": None},
        {"seed": "first"},
        {"epochs": None},
        {"epochs": "many"},
        {"epochs": 0},
        {"ema_decay": 2.0},
        {"latent_discriminator": 7},
    ],
)
def test_of_run_of_an_incomplete_config(tmp_path: Path, changes: Options) -> None:
    """None removes the entry."""
    KDD99.claim(tmp_path, 3)
    config = {**json.loads((tmp_path / "config.json").read_text()), **changes}
    config = {key: value for key, value in config.items() if key not in changes or value is not None}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(DataError) as caught:
        Settings.of_run(tmp_path)
    assert str(tmp_path / "config.json") in message(caught)


@pytest.mark.parametrize("missing", settings.RUN_FILES)
def test_complete_when_every_file_is_there(tmp_path: Path, missing: str) -> None:
    assert not settings.is_complete(tmp_path)
    for name in settings.RUN_FILES:
        (tmp_path / name).touch()
    assert settings.is_complete(tmp_path)
    (tmp_path / missing).unlink()
    assert not settings.is_complete(tmp_path)


def test_files_of_a_run() -> None:
    assert set(settings.RUN_FILES) == {"config.json", "history.jsonl", "scores.npz", "weights.npz", "result.json"}
    assert settings.RUN_FILES[-1] == "result.json"
