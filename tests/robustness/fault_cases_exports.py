"""Cases about exports of models."""

from __future__ import annotations

from faults import Arguments, Scene, fault, flipped

EXPORTS = "Exports"
EXPORT = ["export", "model", "served/name"]


def exporting(scene: Scene, *options: object) -> Arguments:
    """Arguments of an export of a valid model; no file must appear."""
    scene.model()
    scene.after.append(lambda: nothing_served(scene))
    return [*EXPORT, *options]


def nothing_served(scene: Scene) -> None:
    assert not (scene.folder / "served").exists()


@fault(EXPORTS, "Expected a model folder of `alad fit` or the folder of a complete run.*Received: model")
def nothing_to_export(scene: Scene) -> Arguments:
    return EXPORT


@fault(EXPORTS, "Expected .* weights.npz")
def exported_model_is_damaged(scene: Scene) -> Arguments:
    scene.model({"weights.npz": flipped})
    return EXPORT


@fault(EXPORTS, "Expected a number for --threshold. Received: 'nan'", code=2)
def threshold_is_not_finite(scene: Scene) -> Arguments:
    return exporting(scene, "--threshold", "nan")


@fault(EXPORTS, "Expected a fraction above 0 and at most 0.5 for --contamination. Received: '0.7'", code=2)
def share_of_anomalies_above_a_half(scene: Scene) -> Arguments:
    return exporting(scene, "--contamination", 0.7)


@fault(EXPORTS, "Expected a whole number from 1 to 9223372036854775807 for --version. Received: '0'", code=2)
def version_zero(scene: Scene) -> Arguments:
    return exporting(scene, "--version", 0)


@fault(EXPORTS, "File exists|Not a directory")
def place_of_the_export_is_a_file(scene: Scene) -> Arguments:
    scene.model()
    scene.rows("mine", "served")
    return EXPORT


@fault(EXPORTS, "Expected a new version. Received: 7, which is in served/name")
def version_is_there_already(scene: Scene) -> Arguments:
    scene.model()
    (scene.folder / "served/name/7").mkdir(parents=True)
    (scene.folder / "served/name/7/saved_model.pb").write_text("mine")
    return [*EXPORT, "--version", 7]


@fault(EXPORTS, "Expected an output outside the model folder .*model, where it would damage the model")
def scorer_is_for_the_model_folder(scene: Scene) -> Arguments:
    scene.model()
    return ["convert", "model", "model/scorer.tflite"]


@fault(EXPORTS, "Expected a new output. Received: scorer.tflite, which exists. Pass --overwrite to replace it")
def scorer_is_there_already(scene: Scene) -> Arguments:
    scene.model()
    scene.rows("mine", "scorer.tflite")
    return ["convert", "model", "scorer.tflite"]


@fault(EXPORTS, "Expected an output outside the model folder .*model, where it would damage the model")
def configuration_is_for_the_model_folder(scene: Scene) -> Arguments:
    scene.model()
    return ["serve-config", "served", "model"]
