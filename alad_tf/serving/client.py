"""Clients of a model server, which check what they are given before they send it; over HTTP without TensorFlow."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from alad_tf.errors import AladError, DataError

Arrays = dict[str, np.ndarray]


class RestClient:
    """Asks a model over HTTP.

    Args:
        url: of the server, such as http://localhost:8501.
        description: alad.json of a version (in its folder assets.extra), read or as a path.
        version: ask this one; None: the server's newest.
        seconds: to wait for an answer.
    """

    def __init__(
        self, url: str, description: Mapping[str, Any] | Path | str, version: int | None = None, seconds: float = 10.0
    ) -> None:
        self._description, self._seconds = _read(description), seconds
        place = "" if version is None else f"/versions/{version}"
        self._url = f"{url.rstrip('/')}/v1/models/{self._description['name']}{place}:predict"

    def __call__(self, inputs: Mapping[str, Any], signature: str = "serving_default") -> Arrays:
        """The answers of a signature by name, a row for each row of the inputs.

        Raises:
            DataError: names, types or shapes other than the model's; nothing was sent then.
            AladError: no answer, or one that says what was wrong.
        """
        arrays = checked(inputs, self._description, signature)
        body = {"signature_name": signature, "inputs": {name: _plain(array) for name, array in arrays.items()}}
        request = urllib.request.Request(self._url, json.dumps(body).encode(), {"Content-Type": "application/json"})
        try:
            # An opener of its own: urlopen keeps the proxies of its first call for the whole process.
            with urllib.request.build_opener().open(request, timeout=self._seconds) as response:
                outputs = json.load(response)["outputs"]
        except urllib.error.HTTPError as error:
            raise AladError(f"Expected an answer of {self._url}. Received: {error.code}, {_reason(error)}.") from None
        except (OSError, KeyError, ValueError) as error:
            raise AladError(f"Expected an answer of {self._url}. Received: {error}.") from None
        wanted = self._description["signatures"][signature]["outputs"]
        if len(wanted) == 1:  # the server then leaves out the name
            outputs = {next(iter(wanted)): outputs}
        return {name: np.array(outputs[name], tensor["type"]) for name, tensor in wanted.items()}


class GrpcClient:
    """Asks a model over gRPC; needs the extra `grpc`.

    Args:
        target: of the server, such as localhost:8500.
        description: alad.json of a version (in its folder assets.extra), read or as a path.
        version: version to ask; None: the server's newest.
        seconds: time to wait for an answer.

    Raises:
        AladError: the extra is not installed.
    """

    def __init__(
        self,
        target: str,
        description: Mapping[str, Any] | Path | str,
        version: int | None = None,
        seconds: float = 10.0,
    ) -> None:
        try:
            import grpc
            from tensorflow_serving.apis import prediction_service_pb2_grpc
        except ImportError:
            raise AladError("Expected grpc and tensorflow_serving. Install the extra: pip install .[grpc]") from None
        self._description, self._version, self._seconds = _read(description), version, seconds
        self._target, self._fault = target, grpc.RpcError
        self._stub = prediction_service_pb2_grpc.PredictionServiceStub(grpc.insecure_channel(target))

    def __call__(self, inputs: Mapping[str, Any], signature: str = "serving_default") -> Arrays:
        """As `RestClient`."""
        import tensorflow as tf
        from tensorflow_serving.apis import predict_pb2

        request = predict_pb2.PredictRequest()
        request.model_spec.name, request.model_spec.signature_name = self._description["name"], signature
        if self._version is not None:
            request.model_spec.version.value = self._version
        for name, array in checked(inputs, self._description, signature).items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(array))
        try:
            response = self._stub.Predict(request, timeout=self._seconds)
        except self._fault as error:
            raise AladError(f"Expected an answer of {self._target}. Received: {error.details()}.") from None
        return {name: tf.make_ndarray(tensor) for name, tensor in response.outputs.items()}


def checked(inputs: Mapping[str, Any], description: Mapping[str, Any], signature: str) -> Arrays:
    """Inputs of a signature in its types; text as an array of objects, str or bytes.

    Raises:
        DataError: unknown signature, names other than its own, another shape or type, or numbers of rows that differ.
    """
    if signature not in description["signatures"]:
        known = ", ".join(description["signatures"])
        raise DataError(f"Expected a signature of the model. Received: {signature!r}. Allowed: {known}.")
    wanted = description["signatures"][signature]["inputs"]
    if set(inputs) != set(wanted):
        raise DataError(
            f"Expected the inputs {', '.join(wanted)} of {signature}. Received: "
            f"{', '.join(map(str, inputs)) or 'none'}."
        )
    arrays = {name: _array(name, inputs[name], tensor) for name, tensor in wanted.items()}
    rows = {name: len(array) for name, array in arrays.items()}
    if len(set(rows.values())) > 1:
        raise DataError(f"Expected as many rows in each input. Received: {rows}.")
    return arrays


def _array(name: str, values: Any, tensor: Mapping[str, Any]) -> np.ndarray:
    try:
        array: np.ndarray = np.asarray(values, object if tensor["type"] == "string" else tensor["type"])
    except (TypeError, ValueError) as error:
        raise DataError(f"Expected {name} of type {tensor['type']}. Received: {error}.") from None
    shape = tensor["shape"]
    if array.ndim != len(shape) or any(size not in (None, found) for size, found in zip(shape, array.shape)):
        sizes = ["rows" if size is None else size for size in shape]
        raise DataError(f"Expected {name} of shape {sizes}. Received: {list(array.shape)}.")
    if tensor["type"] == "string" and not all(isinstance(cell, (str, bytes)) for cell in array.ravel()):
        raise DataError(f"Expected text in {name}; a missing cell is ''. Received: other cells.")
    return array


def _plain(array: np.ndarray) -> list[Any]:
    """Nested lists as JSON has them, bytes in base64."""
    if array.dtype == object:
        return [{"b64": base64.b64encode(c).decode()} if isinstance(c, bytes) else c for c in array.tolist()]
    plain: list[Any] = array.tolist()
    return plain


def _read(description: Mapping[str, Any] | Path | str) -> Mapping[str, Any]:
    if isinstance(description, Mapping):
        return description
    try:
        return dict(json.loads(Path(description).read_text(encoding="utf-8")))
    except (OSError, TypeError, ValueError) as error:
        raise DataError(f"Expected the description of an export in {description}. Received: {error}.") from None


def _reason(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.load(error)["error"])
    except (KeyError, TypeError, ValueError):
        return str(error.reason)
