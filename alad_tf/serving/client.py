"""Clients for a model server that validate inputs before sending them, and responses before returning them.

The HTTP client does not need TensorFlow.
"""

from __future__ import annotations

import base64
import json
import math
import os
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse
from numbers import Integral, Real
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import numpy as np
import numpy.typing as npt

from alad_tf.columns.exact import without_mask
from alad_tf.errors import AladError, DataError, SettingsError, listed, one_line, quoted, shown, visible
from alad_tf.io import manifest
from alad_tf.typing import Arrays, Document

MOST_BYTES = 1 << 20  # size limit of a response, besides its numbers
NUMBER_BYTES = 128  # size limit of a number in a response, with its indentation
MOST_SECONDS = 86_400.0
CELLS: dict[str, tuple[type, ...]] = {  # type of an output -> types of its cells in JSON
    "bool": (bool,),
    "float32": (int, float),
    "float64": (int, float),
    "int32": (int,),
    "int64": (int,),
    "uint8": (int,),
}


class RestClient:
    """Client for a model over HTTP.

    A call never takes much longer than `seconds`, follows no redirects, and reads at most 1 MiB and 128 bytes for each
    number that its rows have in the outputs.

    Args:
        url: URL of the server, http or https, such as http://localhost:8501; without user, query and fragment.
        description: alad.json of a version (in its folder assets.extra), as a mapping or as a path.
        version: version to use; None: the newest on the server.
        seconds: time limit of a call, from the first byte sent to the last byte received; at most a day.

    Raises:
        SettingsError: a URL without a host, or with another scheme; an invalid version or time limit.
        DataError: a description that cannot be read, or of something else.
    """

    def __init__(
        self, url: str, description: Document | Path | str, version: int | None = None, seconds: float = 10.0
    ) -> None:
        self._description, self._seconds = _read(description), _time_limit(seconds)
        place = "" if version is None else f"/versions/{_version(version)}"
        self._url = f"{_server(url)}/v1/models/{quote(self._description['name'], safe='')}{place}:predict"

    def __call__(self, inputs: Mapping[str, npt.ArrayLike], signature: str = "serving_default") -> Arrays:
        """Return the outputs of a signature by name, a row for each row of the inputs.

        Raises:
            DataError: names, types or shapes that do not fit the model; nothing was sent.
            AladError: no response in time, an error on the server, or a response that does not fit the model.
        """
        arrays = checked(inputs, self._description, signature)
        content = {name: _plain(array) for name, array in arrays.items()}
        body = json.dumps({"signature_name": signature, "inputs": content}).encode()
        rows, wanted = len(next(iter(arrays.values()))), self._description["signatures"][signature]["outputs"]
        if not rows:  # JSON cannot tell the shape of x without rows
            return {name: np.empty([0, *tensor["shape"][1:]], tensor["type"]) for name, tensor in wanted.items()}
        numbers = rows * sum(math.prod(tensor["shape"][1:]) for tensor in wanted.values())
        try:
            outputs = json.loads(self._post(body, MOST_BYTES + NUMBER_BYTES * numbers), parse_constant=_refuse)
            return _outputs(outputs["outputs"], wanted, rows)
        except (KeyError, MemoryError, OverflowError, RecursionError, TypeError, ValueError) as error:
            raise AladError(
                f"Expected outputs of {signature} from {self._url}. Received: {visible(one_line(error))}."
            ) from error

    def _post(self, body: bytes, most: int) -> bytes:
        """Send a request and return the content of the response, of at most `most` bytes.

        The exchange runs in a separate thread, because a socket timeout does not end a response that arrives byte by
        byte.
        """
        exchange = _Exchange(self._url, body, self._seconds, most)
        thread = threading.Thread(target=exchange.run, daemon=True)
        thread.start()
        try:
            thread.join(self._seconds)
        except BaseException:  # Ctrl-C
            exchange.abandon()
            raise
        if thread.is_alive():
            exchange.abandon()
            raise AladError(f"Expected a response from {self._url} within {self._seconds:g} seconds. Received: none.")
        if isinstance(exchange.outcome, bytes):
            return exchange.outcome
        if isinstance(exchange.outcome, urllib.error.HTTPError):
            code, reason = exchange.outcome.code, exchange.reason
            raise AladError(f"Expected a response from {self._url}. Received: {code}, {reason}.") from exchange.outcome
        raise AladError(
            f"Expected a response from {self._url}. Received: {visible(one_line(exchange.outcome))}."
        ) from exchange.outcome


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Refuses redirects: requests go only to the given server."""

    def redirect_request(self, *arguments: object) -> None:
        """Return None, so that the redirect becomes an HTTPError."""


class _Exchange:
    """A request and its response: `outcome` is the content or the exception."""

    def __init__(self, url: str, body: bytes, seconds: float, most: int) -> None:
        self._request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        self._seconds, self._most = seconds, most
        self._abandoned = False
        self._socket: socket.socket | None = None
        self.reason = ""
        self.outcome: bytes | Exception = AladError("no response")

    def run(self) -> None:
        """Send the request and store the outcome."""
        try:
            # A new opener: urlopen keeps the proxies of its first call for the whole process.
            opener = urllib.request.build_opener(_NoRedirect, _Http(self), _Https(self))
            with opener.open(self._request, timeout=self._seconds) as response:
                self.outcome = self._content(response, self._most)
        except urllib.error.HTTPError as error:
            self.reason = self._reason(error)
            self.outcome = error
        except (HTTPException, MemoryError, OSError, ValueError) as error:
            self.outcome = error
        finally:
            self._close()

    def connected(self, connection: socket.socket) -> None:
        """Keep the socket of the connection for `abandon`."""
        self._socket = connection
        if self._abandoned:
            raise TimeoutError("a connection that came too late")

    def abandon(self) -> None:
        """End the exchange from another thread, also while it reads headers that never end."""
        self._abandoned = True
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def _close(self) -> None:
        """Close the socket, which an error and its traceback keep open."""
        descriptor = -1 if self._socket is None else self._socket.detach()
        if descriptor >= 0:
            socket.close(descriptor)

    def _content(self, response: HTTPResponse | urllib.error.HTTPError, most: int) -> bytes:
        content = bytearray()
        while not self._abandoned:
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
            said = json.loads(self._content(error, MOST_BYTES))["error"]
        except (HTTPException, KeyError, OSError, RecursionError, TypeError, ValueError):
            said = error.reason
        return visible(" ".join(str(said).split())[:500]) or "no reason"


class _KeepsSocket(urllib.request.AbstractHTTPHandler):
    """Hands the socket of each connection to an exchange."""

    def __init__(self, exchange: _Exchange) -> None:
        super().__init__()
        self._exchange = exchange

    def do_open(self, http_class: Any, req: urllib.request.Request, **http_conn_args: Any) -> HTTPResponse:
        """Send a request, as the class of the standard library does."""

        def kept(host: str, **options: Any) -> HTTPConnection:
            connection: HTTPConnection = http_class(host, **options)
            connect = connection.connect

            def connect_and_keep() -> None:
                connect()
                self._exchange.connected(connection.sock)

            connection.connect = connect_and_keep  # type: ignore[method-assign]
            return connection

        return super().do_open(kept, req, **http_conn_args)


class _Http(_KeepsSocket, urllib.request.HTTPHandler):
    pass


class _Https(_KeepsSocket, urllib.request.HTTPSHandler):
    pass


class GrpcClient:
    """Client for a model over gRPC; needs the extra `grpc`.

    Args:
        target: address of the server, such as localhost:8500.
        description: alad.json of a version (in its folder assets.extra), parsed or as a path.
        version: version to use; None: the newest on the server.
        seconds: time limit for a response.

    Raises:
        AladError: the extra is not installed.
        SettingsError, DataError: as `RestClient`.
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
            raise AladError("Expected grpc and tensorflow_serving. Install the extra: pip install '.[grpc]'") from error
        self._description, self._seconds = _read(description), _time_limit(seconds)
        self._version = None if version is None else _version(version)
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
        rows, wanted = len(next(iter(arrays.values()))), self._description["signatures"][signature]["outputs"]
        try:
            response = self._stub.Predict(request, timeout=self._seconds)
            tensors = {name: tensor for name, tensor in response.outputs.items() if name in wanted}
            for name, tensor in tensors.items():  # before memory is allocated: one value may stand for all cells
                if [dim.size for dim in tensor.tensor_shape.dim] != [rows, *wanted[name]["shape"][1:]]:
                    raise ValueError(f"{name} of another shape")
            return _outputs({name: tf.make_ndarray(tensor) for name, tensor in tensors.items()}, wanted, rows)
        except self._fault as error:
            reason = visible(error.details())
            raise AladError(f"Expected a response from {self._target}. Received: {reason}.") from error
        except (KeyError, MemoryError, TypeError, ValueError) as error:
            raise AladError(
                f"Expected outputs of {signature} from {self._target}. Received: {visible(one_line(error))}."
            ) from error


def checked(inputs: Mapping[str, npt.ArrayLike], description: Document, signature: str) -> Arrays:
    """Convert the inputs of a signature to arrays of its types; text becomes an array of str or bytes objects.

    Raises:
        DataError: unknown signature, other input names, another shape or type, or different numbers of rows.
    """
    if signature not in description["signatures"]:
        known = listed(description["signatures"])
        raise DataError(f"Expected a signature of the model. Received: {quoted(signature)}. Allowed: {known}.")
    wanted = description["signatures"][signature]["inputs"]
    if set(inputs) != set(wanted):
        raise DataError(f"Expected the inputs {listed(wanted)} of {signature}. Received: {listed(inputs) or 'none'}.")
    arrays = {name: _array(name, inputs[name], tensor) for name, tensor in wanted.items()}
    rows = {name: len(array) for name, array in arrays.items()}
    if len(set(rows.values())) > 1:
        raise DataError(f"Expected the same number of rows in each input. Received: {rows}.")
    return arrays


def _array(name: str, values: npt.ArrayLike, tensor: Document) -> np.ndarray:
    kind = tensor["type"]
    try:
        found: np.ndarray = np.asarray(without_mask(values), object if kind == "string" else None)
        if found.dtype.kind in "cmM":
            raise ValueError(f"cells of type {found.dtype}")
        with np.errstate(over="ignore", invalid="ignore"):  # infinite: the row is not valid
            array: np.ndarray = found.astype(object if kind == "string" else kind)
        if array.dtype.kind in "iu" and not np.array_equal(array, found):
            raise ValueError("numbers beyond that type")
    except (OverflowError, TypeError, ValueError) as error:
        raise DataError(f"Expected {quoted(name)} of type {kind}. Received: {shown(visible(error))}.") from error
    shape = tensor["shape"]
    if array.ndim != len(shape) or any(size not in (None, found) for size, found in zip(shape, array.shape)):
        sizes = ["rows" if size is None else size for size in shape]
        raise DataError(f"Expected {quoted(name)} of shape {sizes}. Received: {list(array.shape)}.")
    if kind == "string" and not all(map(_is_text, array.ravel())):
        raise DataError(f"Expected text in {quoted(name)}; a missing cell is ''. Received: other cells.")
    return array


def _is_text(cell: object) -> bool:
    """Whether a cell is bytes, or text that UTF-8 can hold."""
    return isinstance(cell, bytes) or (isinstance(cell, str) and cell.encode(errors="replace").decode() == cell)


def _plain(array: np.ndarray) -> list[object]:
    """Nested lists for JSON, with bytes in base64."""
    if array.dtype == object:
        return [{"b64": base64.b64encode(c).decode()} if isinstance(c, bytes) else c for c in array.tolist()]
    plain: list[object] = array.tolist()
    return plain


def _read(description: Document | Path | str) -> Document:
    content, where = description, "a mapping"
    if not isinstance(content, Mapping):
        try:
            content, where = manifest.read_object(Path(os.path.realpath(content))), str(description)
        except (OSError, TypeError, ValueError) as error:
            raise DataError(f"Expected the description of an export in {description}. Received: {error}.") from error
    signatures = content.get("signatures")
    if (
        not isinstance(content.get("name"), str)
        or not isinstance(signatures, Mapping)
        or not all(_is_signature(signature) for signature in signatures.values())
    ):
        raise DataError(f"Expected the description of an export, alad.json. Received: {where}, without its signatures.")
    return content


def _is_signature(value: object) -> bool:
    sides = [value.get("inputs"), value.get("outputs")] if isinstance(value, Mapping) else [None]
    return all(isinstance(side, Mapping) and side and all(map(_is_tensor, side.values())) for side in sides)


def _is_tensor(value: object) -> bool:
    """Whether a value tells the type and the shape of a tensor with a row for each row of the inputs."""
    shape = value.get("shape") if isinstance(value, Mapping) else None
    if not isinstance(value, Mapping) or value.get("type") not in (*CELLS, "string") or not isinstance(shape, list):
        return False
    return shape[:1] == [None] and all(type(size) is int and size >= 0 for size in shape[1:])


def _server(url: str) -> str:
    """The URL of a server without a trailing slash."""
    known = isinstance(url, str) and not any(sign.isspace() or not sign.isprintable() or sign in "?#" for sign in url)
    try:
        parts = urlsplit(url)
        _ = parts.port  # parsed lazily
        known = known and parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc
    except (AttributeError, TypeError, ValueError):
        known = False
    if not known:
        received = "one with a user name" if "@" in str(url) else quoted(url)  # there may be a password
        raise SettingsError(
            f"Expected the URL of a server, such as http://localhost:8501. Received: {received}. Allowed: http and "
            "https, without user, query and fragment."
        )
    return url.rstrip("/")


def _version(version: int) -> int:
    if not isinstance(version, Integral) or isinstance(version, bool) or not 0 <= version < 2**63:
        raise SettingsError(f"Expected a version of the model, a whole number. Received: {quoted(version)}.")
    return int(version)


def _time_limit(seconds: float) -> float:
    if not isinstance(seconds, Real) or isinstance(seconds, bool) or not 0.0 < seconds <= MOST_SECONDS:
        raise SettingsError(
            f"Expected a time limit in seconds. Received: {quoted(seconds)}. Allowed: above 0, at most "
            f"{MOST_SECONDS:.0f}."
        )
    return float(seconds)


def _outputs(outputs: object, wanted: Document, rows: int) -> Arrays:
    """Convert outputs to arrays of the model's types and shapes, with a row for each row of the inputs.

    Raises:
        ValueError: a name is missing, or a value has another type or shape.
    """
    if len(wanted) == 1 and not isinstance(outputs, Mapping):  # TensorFlow Serving omits the name of a single output
        outputs = {next(iter(wanted)): outputs}
    if not isinstance(outputs, Mapping) or not set(wanted) <= set(outputs):
        raise ValueError(f"no {listed(wanted)}")
    return {
        name: _output(name, outputs[name], tensor["type"], (rows, *tensor["shape"][1:]))
        for name, tensor in wanted.items()
    }


def _output(name: str, values: object, kind: str, shape: tuple[int, ...]) -> np.ndarray:
    """Convert an output, an array or nested lists from JSON, to an array of a type and a shape."""
    if not isinstance(values, np.ndarray):
        values = _of_lists(name, values, kind, shape)
    if values.dtype != kind or values.shape != shape:
        raise ValueError(f"{name} of {values.dtype} and shape {list(values.shape)}, not {kind} and {list(shape)}")
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise ValueError(f"{name} with numbers that are not finite")
    return values


def _of_lists(name: str, values: object, kind: str, shape: tuple[int, ...]) -> np.ndarray:
    """Array of nested lists; numbers are checked first, as NumPy would take other cells for some of another type."""
    cells = _cells(name, values, shape)
    strange = {type(cell).__name__ for cell in cells} - {allowed.__name__ for allowed in CELLS.get(kind, ())}
    if strange:
        raise ValueError(f"{name} with cells of type {listed(sorted(strange))}, not {kind}")
    if np.dtype(kind).kind in "iu" and cells:
        limits = np.iinfo(kind)
        if min(cells) < limits.min or max(cells) > limits.max:
            raise ValueError(f"{name} with a number outside {kind}")
    with np.errstate(over="ignore"):
        return np.array(cells, np.float64 if kind == "float32" else kind).astype(kind).reshape(shape)


def _cells(name: str, values: object, shape: tuple[int, ...]) -> list[Any]:
    """Cells of nested lists of a shape, row by row."""
    if not isinstance(values, list) or len(values) != shape[0]:
        received = f"{len(values)} entries" if isinstance(values, list) else f"a {type(values).__name__}"
        raise ValueError(f"{name} with {received} in place of {shape[0]}")
    return values if not shape[1:] else [cell for row in values for cell in _cells(name, row, shape[1:])]


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant}, which is not a JSON number")
