"""Clients for a model server that validate inputs before sending them, and responses before returning them.

The HTTP client does not need TensorFlow.
"""

from __future__ import annotations

import base64
import json
import os
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.parse import quote, urlsplit

import numpy as np
import numpy.typing as npt

from alad_tf.errors import AladError, DataError, SettingsError, one_line
from alad_tf.io import manifest
from alad_tf.typing import Arrays, Document

MOST_BYTES = 1 << 26  # size limit of a response, unless 200 times the size of its request is more


class RestClient:
    """Client for a model over HTTP.

    A call never takes much longer than `seconds`, follows no redirects, and reads at most 64 MB or 200 times the size
    of the request, whichever is more.

    Args:
        url: URL of the server, http or https, such as http://localhost:8501.
        description: alad.json of a version (in its folder assets.extra), as a mapping or as a path.
        version: version to use; None: the newest on the server.
        seconds: time limit of a call, from the first byte sent to the last byte received.

    Raises:
        SettingsError: a URL without a host, or with another scheme.
        DataError: a description that cannot be read.
    """

    def __init__(
        self, url: str, description: Document | Path | str, version: int | None = None, seconds: float = 10.0
    ) -> None:
        self._description, self._seconds = _read(description), seconds
        place = "" if version is None else f"/versions/{version}"
        self._url = f"{_server(url)}/v1/models/{quote(str(self._description['name']), safe='')}{place}:predict"

    def __call__(self, inputs: Mapping[str, npt.ArrayLike], signature: str = "serving_default") -> Arrays:
        """Return the outputs of a signature by name, a row for each row of the inputs.

        Raises:
            DataError: names, types or shapes that do not fit the model; nothing was sent.
            AladError: no response in time, an error on the server, or a response that does not fit the model.
        """
        arrays = checked(inputs, self._description, signature)
        content = {name: _plain(array) for name, array in arrays.items()}
        body = json.dumps({"signature_name": signature, "inputs": content}).encode()
        rows = len(next(iter(arrays.values())))
        try:
            outputs = json.loads(self._post(body), parse_constant=_refuse)["outputs"]
            return _outputs(outputs, self._description["signatures"][signature]["outputs"], rows)
        except (KeyError, OverflowError, RecursionError, TypeError, ValueError) as error:
            raise AladError(
                f"Expected outputs of {signature} from {self._url}. Received: {one_line(error)}."
            ) from error

    def _post(self, body: bytes) -> bytes:
        """Send a request and return the content of the response.

        The exchange runs in a separate thread, because a socket timeout does not end a response that arrives byte by
        byte.
        """
        exchange = _Exchange(self._url, body, self._seconds)
        thread = threading.Thread(target=exchange.run, daemon=True)
        thread.start()
        thread.join(self._seconds)
        if thread.is_alive():
            exchange.abandoned = True
            raise AladError(f"Expected a response from {self._url} within {self._seconds:g} seconds. Received: none.")
        if isinstance(exchange.outcome, bytes):
            return exchange.outcome
        if isinstance(exchange.outcome, urllib.error.HTTPError):
            code, reason = exchange.outcome.code, exchange.reason
            raise AladError(f"Expected a response from {self._url}. Received: {code}, {reason}.") from exchange.outcome
        raise AladError(
            f"Expected a response from {self._url}. Received: {one_line(exchange.outcome)}."
        ) from exchange.outcome


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Refuses redirects: requests go only to the given server."""

    def redirect_request(self, *arguments: object) -> None:
        """Return None, so that the redirect becomes an HTTPError."""


class _Exchange:
    """A request and its response: `outcome` is the content or the exception."""

    def __init__(self, url: str, body: bytes, seconds: float) -> None:
        self._request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        self._seconds, self._most = seconds, max(MOST_BYTES, 200 * len(body))
        self.abandoned = False
        self.reason = ""
        self.outcome: bytes | Exception = AladError("no response")

    def run(self) -> None:
        """Send the request and store the outcome."""
        try:
            # A new opener: urlopen keeps the proxies of its first call for the whole process.
            with urllib.request.build_opener(_NoRedirect).open(self._request, timeout=self._seconds) as response:
                self.outcome = self._content(response, self._most)
        except urllib.error.HTTPError as error:
            self.reason = self._reason(error)
            self.outcome = error
        except (HTTPException, OSError, ValueError) as error:
            self.outcome = error

    def _content(self, response: HTTPResponse | urllib.error.HTTPError, most: int) -> bytes:
        content = bytearray()
        while not self.abandoned:
            block = response.read1(1 << 16)
            if not block and response.length:
                raise ValueError("a truncated response")
            if not block:
                return bytes(content)
            content += block
            if len(content) > most:
                raise ValueError(f"a response of more than {most} bytes")
        raise ValueError("a response that came too late")

    def _reason(self, error: urllib.error.HTTPError) -> str:
        """The server's error message, truncated, or else the reason in the status line."""
        try:
            said = json.loads(self._content(error, most=1 << 16))["error"]
        except (HTTPException, KeyError, OSError, RecursionError, TypeError, ValueError):
            said = error.reason
        return " ".join(str(said).split())[:500] or "no reason"


class GrpcClient:
    """Client for a model over gRPC; needs the extra `grpc`.

    Args:
        target: address of the server, such as localhost:8500.
        description: alad.json of a version (in its folder assets.extra), parsed or as a path.
        version: version to use; None: the newest on the server.
        seconds: time limit for a response.

    Raises:
        AladError: the extra is not installed.
    """

    def __init__(
        self,
        target: str,
        description: Document | Path | str,
        version: int | None = None,
        seconds: float = 10.0,
    ) -> None:
        try:
            import grpc
            from tensorflow_serving.apis import prediction_service_pb2_grpc
        except ImportError as error:
            raise AladError("Expected grpc and tensorflow_serving. Install the extra: pip install .[grpc]") from error
        self._description, self._version, self._seconds = _read(description), version, seconds
        self._target, self._fault = target, grpc.RpcError
        self._stub = prediction_service_pb2_grpc.PredictionServiceStub(grpc.insecure_channel(target))

    def __call__(self, inputs: Mapping[str, npt.ArrayLike], signature: str = "serving_default") -> Arrays:
        """Return the outputs of a signature by name, as `RestClient` does."""
        import tensorflow as tf
        from tensorflow_serving.apis import predict_pb2

        request = predict_pb2.PredictRequest()
        request.model_spec.name, request.model_spec.signature_name = self._description["name"], signature
        if self._version is not None:
            request.model_spec.version.value = self._version
        arrays = checked(inputs, self._description, signature)
        for name, array in arrays.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(array))
        rows = len(next(iter(arrays.values())))
        try:
            response = self._stub.Predict(request, timeout=self._seconds)
            outputs = {name: tf.make_ndarray(tensor) for name, tensor in response.outputs.items()}
            return _outputs(outputs, self._description["signatures"][signature]["outputs"], rows)
        except self._fault as error:
            raise AladError(f"Expected a response from {self._target}. Received: {error.details()}.") from error
        except (KeyError, TypeError, ValueError) as error:
            raise AladError(
                f"Expected outputs of {signature} from {self._target}. Received: {one_line(error)}."
            ) from error


def checked(inputs: Mapping[str, npt.ArrayLike], description: Document, signature: str) -> Arrays:
    """Convert the inputs of a signature to arrays of its types; text becomes an array of str or bytes objects.

    Raises:
        DataError: unknown signature, other input names, another shape or type, or different numbers of rows.
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
        raise DataError(f"Expected the same number of rows in each input. Received: {rows}.")
    return arrays


def _array(name: str, values: npt.ArrayLike, tensor: Document) -> np.ndarray:
    try:
        array: np.ndarray = np.asarray(values, object if tensor["type"] == "string" else tensor["type"])
    except (TypeError, ValueError) as error:
        raise DataError(f"Expected {name} of type {tensor['type']}. Received: {error}.") from error
    shape = tensor["shape"]
    if array.ndim != len(shape) or any(size not in (None, found) for size, found in zip(shape, array.shape)):
        sizes = ["rows" if size is None else size for size in shape]
        raise DataError(f"Expected {name} of shape {sizes}. Received: {list(array.shape)}.")
    if tensor["type"] == "string" and not all(isinstance(cell, (str, bytes)) for cell in array.ravel()):
        raise DataError(f"Expected text in {name}; a missing cell is ''. Received: other cells.")
    return array


def _plain(array: np.ndarray) -> list[object]:
    """Nested lists for JSON, with bytes in base64."""
    if array.dtype == object:
        return [{"b64": base64.b64encode(c).decode()} if isinstance(c, bytes) else c for c in array.tolist()]
    plain: list[object] = array.tolist()
    return plain


def _read(description: Document | Path | str) -> Document:
    if isinstance(description, Mapping):
        return description
    try:
        return manifest.read_object(Path(os.path.realpath(description)))
    except (OSError, DataError) as error:
        raise DataError(f"Expected the description of an export in {description}. Received: {error}.") from error


def _server(url: str) -> str:
    """The URL of a server without a trailing slash."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # parsed lazily
        known = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        known = False
    if not known or any(character.isspace() or not character.isprintable() for character in url):
        raise SettingsError(f"Expected the URL of a server, such as http://localhost:8501. Received: {url!r}.")
    return url.rstrip("/")


def _outputs(outputs: npt.ArrayLike | Mapping[str, npt.ArrayLike], wanted: Document, rows: int) -> Arrays:
    """Convert outputs to arrays of the model's types and shapes, with a row for each row of the inputs.

    Raises:
        ValueError: a name is missing, or a value has another type or shape.
    """
    if len(wanted) == 1 and not isinstance(outputs, Mapping):  # TensorFlow Serving omits the name of a single output
        outputs = {next(iter(wanted)): outputs}
    if not isinstance(outputs, Mapping) or not set(wanted) <= set(outputs):
        raise ValueError(f"no {', '.join(wanted)}")
    arrays = {name: _output(name, outputs[name], tensor["type"]) for name, tensor in wanted.items()}
    for name, array in arrays.items():
        shape = [rows, *wanted[name]["shape"][1:]]
        if len(shape) != array.ndim or any(size not in (None, found) for size, found in zip(shape, array.shape)):
            raise ValueError(f"{name} of shape {list(array.shape)}, not {shape}")
    return arrays


def _output(name: str, values: npt.ArrayLike, kind: str) -> np.ndarray:
    found = np.asarray(values)
    numbers = {"bool": "b", "float32": "iuf", "float64": "iuf", "int32": "iu", "int64": "iu", "uint8": "iu"}
    if found.dtype.kind not in numbers.get(kind, "") and found.size:
        raise ValueError(f"{name} of {found.dtype}, not {kind}")
    if found.dtype.kind == "f" and not np.isfinite(found).all():
        raise ValueError(f"{name} with numbers that are not finite")
    return found.astype(kind)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant}, which is not a JSON number")
