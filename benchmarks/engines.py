"""Speed of one converted model in onnxruntime and OpenVINO, compared with TensorFlow and with alad_tf's own scorer.

Measured alternately in one process, on one thread each, in processor seconds, for KDD99's networks and for those of a
small table of 30 features:

    alad_tf            all four scores, as `ALAD.score_samples` and `alad reproduce` compute them
    TensorFlow graph   the signature `serving_default` of an export: score, decision, validity
    onnxruntime        the same in a file of `alad convert`
    OpenVINO           the same file

    pip install .[onnx] openvino
    python benchmarks/engines.py
    python benchmarks/engines.py --rounds 21 --json engines.json

The weights are untrained, because the time does not depend on them. The scores of the four are compared first.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Callable

import yardstick  # before NumPy: it sets the number of threads

# isort: split

import numpy as np
import tensorflow as tf

import architectures.tabular
from alad_tf.experiments.settings import Settings
from alad_tf.model import networks, scores
from alad_tf.serving import convert, signatures
from architectures import Alad

SIZES = {50: 200, 2048: 10}  # rows in a call -> calls in a round
Score = Callable[[np.ndarray], np.ndarray]


def tables() -> dict[str, Alad]:
    """The tables whose networks are measured."""
    kdd99 = Settings.of_protocol("kdd99").table
    assert isinstance(kdd99, Alad)
    return {"KDD99": kdd99, "30 features": architectures.tabular.tabular(30, n_rows=400)}


def detector(table: Alad) -> signatures.Detector:
    """An untrained detector of rows that need no scaling."""
    width = table.n_features
    return signatures.Detector(networks.build(table), "features", 1.0, np.zeros(width), np.ones(width))


def in_onnxruntime(path: Path) -> Score:
    """Return a function that scores rows with onnxruntime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    outputs = [output.name for output in session.get_outputs()]
    place = outputs.index("score")
    return lambda x: session.run(outputs, {"x": x})[place]


def in_openvino(path: Path) -> Score:
    """Return a function that scores rows with OpenVINO, in float32 also where the processor has bfloat16."""
    import openvino

    core = openvino.Core()
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1, "PERFORMANCE_HINT": "LATENCY"}
    request = core.compile_model(core.read_model(str(path)), "CPU", settings).create_infer_request()
    return lambda x: request.infer([x], share_inputs=True)["score"]


def engines(found: signatures.Detector) -> dict[str, Score]:
    """Functions that score rows [n, d] with one model, by the name of what computes."""
    scorer, served = scores.Scorer(found.networks), signatures.Served(found)
    graph = served.signatures()["serving_default"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scorer.onnx"
        convert.convert(found, path)
        return {
            "alad_tf": lambda x: scorer(x)[found.score],
            "TensorFlow graph": lambda x: graph(x=tf.constant(x))["score"].numpy(),
            "onnxruntime": in_onnxruntime(path),
            "OpenVINO": in_openvino(path),
        }


def timed(score: Score, x: np.ndarray, calls: int) -> Callable[[], None]:
    """Return a call that scores the same rows several times."""

    def call() -> None:
        for _ in range(calls):
            score(x)

    return call


def main() -> None:
    """Measure and print."""
    options = yardstick.parser(__doc__, rounds=15).parse_args()
    rows: list[yardstick.Row] = []
    for title, table in tables().items():
        ways = engines(detector(table))
        for size, calls in SIZES.items():
            x = np.random.default_rng(0).random((size, table.n_features), np.float32)
            of = {name: score(x) for name, score in ways.items()}
            for name in ways:
                np.testing.assert_allclose(of[name], of["alad_tf"], rtol=1e-3, err_msg=name)
            times = yardstick.alternate(
                {name: timed(score, x, calls) for name, score in ways.items()},
                options.rounds,
                parts=dict.fromkeys(ways, calls),
                clock=time.process_time,
            )
            rows += [{"table": title, "rows": size, **row} for row in times.rows("alad_tf")]
    versions = ", ".join(f"{name} {yardstick.version_of(name)}" for name in ("onnxruntime", "openvino"))
    yardstick.publish("Scoring with other engines", rows, options.json, engines=versions, time="processor seconds")


if __name__ == "__main__":
    main()
