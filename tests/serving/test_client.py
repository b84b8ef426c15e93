"""Clients with servers in this process that use TensorFlow's C++ loader, and with a real server.

The servers here follow TensorFlow Serving's documentation; only the last test uses the real one.
"""

from __future__ import annotations

import base64
import json
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exported_models import NAMES, ROWS, array_model, array_version, cells, loaded, table, table_version
from tolerances import assert_scores, of_estimator

from alad_tf.errors import AladError, DataError
from alad_tf.serving import server_config, versions
from alad_tf.serving.client import GrpcClient, RestClient


class Handler(BaseHTTPRequestHandler):
    """The columnar format of TensorFlow Serving's predict API."""

    asked: list[dict[str, Any]]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append({"path": self.path, **body})
        version = array_version() if self.path.startswith("/v1/models/array") else table_version("imputed")
        inputs = {name: decoded(values) for name, values in body["inputs"].items()}
        try:
            answer = loaded(version).run(body["signature_name"], inputs)
        except DataError as error:
            self.reply(400, {"error": str(error)})
            return
        plain = {name: values.tolist() for name, values in answer.items()}
        self.reply(200, {"outputs": plain if len(plain) > 1 else next(iter(plain.values()))})

    def reply(self, code: int, content: object) -> None:
        self.send_response(code)
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())

    def log_message(self, *_: object) -> None:
        pass


def decoded(values: list[Any]) -> list[Any]:
    return [base64.b64decode(v["b64"]) if isinstance(v, dict) else v for v in values]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    Handler.asked = []
    with HTTPServer(("127.0.0.1", 0), Handler) as found:
        thread = threading.Thread(target=found.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{found.server_port}"
        found.shutdown()
        thread.join()


def description(version: Path) -> Path:
    return version / versions.DESCRIPTION


def test_rest_answers_are_the_models(server: str) -> None:
    rest = RestClient(server + "/", description(array_version()))
    x = ROWS[:7].copy()
    x[3, 1] = np.nan
    for signature in ("serving_default", "explain"):
        expected, answer = loaded(array_version()).run(signature, {"x": x}), rest({"x": x}, signature)
        for name, values in expected.items():
            np.testing.assert_array_equal(answer[name], values)
            assert answer[name].dtype == values.dtype
    assert Handler.asked[-1]["path"] == "/v1/models/array:predict"
    pinned = RestClient(server, json.loads(description(array_version()).read_text()), version=1)
    pinned({"x": x})
    assert Handler.asked[-1]["path"] == "/v1/models/array/versions/1:predict"


def test_rest_text_and_bytes(server: str) -> None:
    rest = RestClient(server, description(table_version("imputed")))
    columns = cells(table(9, seed=2))
    expected = loaded(table_version("imputed")).run("raw", columns)
    of_bytes = {
        name: np.array([c.encode() for c in v], object) if v.dtype == object else v for name, v in columns.items()
    }
    for given in (columns, of_bytes, {name: values.tolist() for name, values in columns.items()}):
        np.testing.assert_array_equal(rest(given, "raw")["score"], expected["score"])
    outputs = rest({"inputs": [b""] * 3}, "regress")["outputs"]
    assert outputs.shape == (3,), "the server leaves out the name of a single output"


@pytest.mark.parametrize(
    ("inputs", "signature", "message"),
    [
        ({"x": ROWS[:2]}, "other", "Expected a signature of the model. Received: 'other'. Allowed: serving_default"),
        ({"y": ROWS[:2]}, "serving_default", "Expected the inputs x of serving_default. Received: y"),
        ({}, "serving_default", "Received: none"),
        ({"x": ROWS[:2, :4]}, "serving_default", r"Expected 'x' of shape \['rows', 5\]. Received: \[2, 4\]"),
        ({"x": ROWS[0]}, "serving_default", r"Received: \[5\]"),
        ({"x": [["a"] * 5]}, "serving_default", "Expected 'x' of type float32. Received: could not convert"),
        ({"x": [[10**400] * 5]}, "serving_default", "Expected 'x' of type float32. Received: int too large"),
        ({"x": np.ones((1, 5), complex)}, "serving_default", "Received: cells of type complex128"),
        ({"x": np.ones((1, 5), "M8[s]")}, "serving_default", "Received: cells of type datetime64"),
        ({"inputs": [1.5]}, "regress", "Expected text in 'inputs'"),
        ({"inputs": ["\ud800"]}, "regress", "Expected text in 'inputs'"),
    ],
)
def test_wrong_inputs_are_not_sent(server: str, inputs: Any, signature: str, message: str) -> None:
    before = len(Handler.asked)
    with pytest.raises(DataError, match=message):
        RestClient(server, description(array_version()))(inputs, signature)
    assert len(Handler.asked) == before


def test_columns_of_different_length(server: str) -> None:
    columns = cells(table(9, seed=2))
    columns[NAMES[0]] = columns[NAMES[0]][:5]
    with pytest.raises(DataError, match="Expected the same number of rows in each input. Received: .*'mean radius': 5"):
        RestClient(server, description(table_version("imputed")))(columns, "raw")


def test_faults_of_the_server(server: str, tmp_path: Path) -> None:
    other = json.loads(description(array_version()).read_text())
    other["signatures"]["serving_default"]["inputs"]["x"]["shape"] = [None, 4]
    with pytest.raises(AladError, match=r"Received: 400, Expected inputs that serving_default takes"):
        RestClient(server, other)({"x": ROWS[:2, :4]})
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with pytest.raises(AladError, match="Connection refused"):
            RestClient(f"http://127.0.0.1:{free.getsockname()[1]}", other)({"x": ROWS[:2, :4]})
    with pytest.raises(DataError, match="Expected the description of an export"):
        RestClient(server, tmp_path / "alad.json")


def test_grpc_answers_are_the_models() -> None:
    grpc = pytest.importorskip("grpc", reason="needs the extra grpc")
    apis = pytest.importorskip("tensorflow_serving.apis.prediction_service_pb2_grpc", reason="needs the extra grpc")
    from concurrent import futures

    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2

    class Servicer(apis.PredictionServiceServicer):  # type: ignore[name-defined]
        def Predict(self, request: Any, context: Any) -> Any:
            spec = request.model_spec
            if (spec.name, spec.version.value) != ("array", 1):
                context.abort(grpc.StatusCode.NOT_FOUND, f"no version {spec.version.value}")
            inputs = {name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items()}
            response = predict_pb2.PredictResponse()
            for name, values in loaded(array_version()).run(spec.signature_name, inputs).items():
                response.outputs[name].CopyFrom(tf.make_tensor_proto(values))
            return response

    server = grpc.server(futures.ThreadPoolExecutor(1))
    apis.add_PredictionServiceServicer_to_server(Servicer(), server)
    target = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        answer = GrpcClient(target, description(array_version()), version=1)({"x": ROWS[:7]})
        with pytest.raises(AladError, match="Received: no version 2"):
            GrpcClient(target, description(array_version()), version=2)({"x": ROWS[:7]})
        with pytest.raises(DataError, match="Expected 'x' of shape"):
            GrpcClient(target, description(array_version()))({"x": ROWS[:7, :3]})
    finally:
        server.stop(0)
    np.testing.assert_array_equal(
        answer["score"], loaded(array_version()).run("serving_default", {"x": ROWS[:7]})["score"]
    )


@pytest.mark.skipif(not shutil.which("tensorflow_model_server"), reason="no tensorflow_model_server on the PATH")
def test_a_real_server(tmp_path: Path) -> None:
    command = (
        server_config.write(array_version().parents[1], tmp_path).replace("8500", "18500").replace("8501", "18501")
    )
    table_version("imputed")
    with open(tmp_path / "log", "wb") as log:
        server = subprocess.Popen(command.split(), stdout=log, stderr=log)
    try:
        rest = RestClient("http://127.0.0.1:18501", description(array_version()))
        for _ in range(60):
            try:
                answer = rest({"x": ROWS[:7]})
                break
            except AladError:
                time.sleep(1.0)
        expected, bounds = array_model().anomaly_score(ROWS[:7]), of_estimator(array_model(), ROWS[:7])
        assert_scores({"features": answer["score"]}, {"features": expected}, bounds)
    finally:
        server.terminate()
        server.wait()
