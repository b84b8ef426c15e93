"""Loads a SavedModel as TensorFlow Serving does: with TensorFlow's C++ loader, through the C API, without Python's.

It uses the library of the installed package `tensorflow`, which is not imported. XLA is off, as in TensorFlow Serving.
`answers` loads it in a separate process, which reads pickled requests from standard input.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import NamedTuple, Union

import numpy as np
import numpy.typing as npt

from alad_tf.errors import AladError, DataError, one_line, visible
from alad_tf.paths import ROOT
from alad_tf.typing import Arrays

TYPES = {1: np.float32, 2: np.float64, 3: np.int32, 4: np.uint8, 7: object, 9: np.int64, 10: np.bool_}  # by DataType
STRING = 7
TSTRING_BYTES = 24  # size of TF_TString
Requests = list[tuple[str, Arrays]]
Value = Union[int, bytes]  # of a field of a protocol-buffer message
# Without a GPU, whose memory the calling process may hold.
ENVIRONMENT = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
CHILD = """
import sys
sys.path[:] = filter(None, sys.path)  # without the current folder, whose modules would be imported first
from alad_tf.serving import c_api
c_api.main(sys.argv[1])
"""
BAD_PICKLE = (AttributeError, EOFError, ImportError, IndexError, KeyError, ValueError, pickle.UnpicklingError)


class Tensor(NamedTuple):
    """An input or output of a signature: operation, index of its output, and number of the type in TensorFlow."""

    operation: bytes
    output: int
    type: int


class Signature(NamedTuple):
    """Inputs and outputs of a signature by name."""

    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]


class SavedModel:
    """A session on a SavedModel folder.

    Args:
        folder: with saved_model.pb and variables/.
        threads: number of threads within an operation and between operations.

    Attributes:
        signatures: signatures by name.

    Raises:
        DataError: the loader rejects the folder; the message is the loader's.
    """

    def __init__(self, folder: Path | str, threads: int = 1) -> None:
        self._tf = _library()
        self._graph, meta_graph = self._tf.TF_NewGraph(), self._tf.TF_NewBuffer()
        options = self._tf.TF_NewSessionOptions()
        config = field(2, threads) + field(5, threads)  # ConfigProto: threads within and between operations
        with _Status(self._tf) as status:
            self._tf.TF_SetConfig(options, config, len(config), status)
        here = field(3, 2**64 - 1)  # RunOptions: inter_op_thread_pool = -1, the calling thread
        self._run_options = self._tf.TF_NewBufferFromString(here, len(here))
        tags = (ctypes.c_char_p * 1)(b"serve")
        with _without_xla(self._tf), _Status(self._tf, f"Expected a SavedModel in {folder}") as status:
            self._session = self._tf.TF_LoadSessionFromSavedModel(
                options, None, os.fsencode(folder), tags, 1, self._graph, meta_graph, status
            )
        content = ctypes.string_at(meta_graph.contents.data, meta_graph.contents.length)
        found = entries(content, 5).items()
        self.signatures = {name: _signature(message) for name, message in found if not name.startswith("__")}
        self._in_graph = {name: tuple(map(self._places, found)) for name, found in self.signatures.items()}

    def run(self, signature: str, inputs: Mapping[str, npt.ArrayLike]) -> Arrays:
        """Run a signature and return its outputs by name.

        Args:
            signature: one of `signatures`.
            inputs: arrays by name; for text, arrays of str or bytes objects.

        Raises:
            DataError: unknown or missing names, or the session rejects the inputs; the message is the session's.
        """
        if signature not in self.signatures or set(inputs) != set(self.signatures[signature].inputs):
            known = {name: sorted(found.inputs) for name, found in self.signatures.items()}
            raise DataError(
                f"Expected a signature and its inputs, of {known}. Received: {signature}, {sorted(inputs)}."
            )
        given, wanted = self.signatures[signature]
        in_places, out_places = self._in_graph[signature]
        fed = [self._tensor(inputs[name], tensor.type) for name, tensor in given.items()]
        fetched = (ctypes.c_void_p * len(wanted))()
        try:
            with _without_xla(self._tf), _Status(self._tf, f"Expected inputs that {signature} takes") as status:
                self._tf.TF_SessionRun(
                    *(self._session, self._run_options),
                    *(in_places, (ctypes.c_void_p * len(fed))(*fed), len(fed)),
                    *(out_places, fetched, len(wanted)),
                    *(None, 0, None, status),
                )
            return {name: self._array(tensor) for name, tensor in zip(wanted, fetched)}
        finally:
            for tensor in (*fed, *filter(None, fetched)):
                self._tf.TF_DeleteTensor(tensor)

    def _places(self, tensors: dict[str, Tensor]) -> ctypes.Array[_Output]:
        """Positions of the tensors in the graph, as TF_Output[]."""
        operations = [self._tf.TF_GraphOperationByName(self._graph, tensor.operation) for tensor in tensors.values()]
        places = zip(operations, (tensor.output for tensor in tensors.values()))
        return (_Output * len(tensors))(*(_Output(operation, index) for operation, index in places))

    def _tensor(self, values: npt.ArrayLike, kind: int) -> int:
        array: np.ndarray = np.ascontiguousarray(values, TYPES[kind])
        size = array.size * TSTRING_BYTES if kind == STRING else array.nbytes
        dimensions = (ctypes.c_int64 * array.ndim)(*array.shape)
        tensor: int = self._tf.TF_AllocateTensor(kind, dimensions, array.ndim, size)
        data = self._tf.TF_TensorData(tensor)
        if kind != STRING:
            ctypes.memmove(data, array.ctypes.data, array.nbytes)
            return tensor
        for position, cell in enumerate(array.ravel()):
            text = cell.encode() if isinstance(cell, str) else cell
            place = data + position * TSTRING_BYTES
            self._tf.TF_StringInit(place)
            self._tf.TF_StringCopy(place, text, len(text))
        return tensor

    def _array(self, tensor: int) -> np.ndarray:
        shape = [self._tf.TF_Dim(tensor, axis) for axis in range(self._tf.TF_NumDims(tensor))]
        content = ctypes.string_at(self._tf.TF_TensorData(tensor), self._tf.TF_TensorByteSize(tensor))
        return np.frombuffer(content, TYPES[self._tf.TF_TensorType(tensor)]).reshape(shape).copy()


def answers(folder: Path, requests: Requests) -> list[Arrays]:
    """Load a SavedModel in a separate process and return its outputs for each (signature, inputs).

    Raises:
        DataError: the model does not load, or rejects a request.
        AladError: the process died.
    """
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(folder)],
        input=pickle.dumps(requests),
        env={**os.environ, "PYTHONPATH": path.rstrip(os.pathsep), **ENVIRONMENT},
        capture_output=True,
    )
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["nothing"]
        raise AladError(f"Expected answers of the C++ loader. Received: exit code {done.returncode}, {lines[-1]}.")
    try:
        answered: list[Arrays] | str = pickle.loads(done.stdout)
    except BAD_PICKLE as error:
        raise AladError(f"Expected answers of the C++ loader. Received: {visible(one_line(error))}.") from error
    if isinstance(answered, str):
        raise DataError(answered)
    return answered


def main(folder: str) -> None:
    """Main function of the separate process: write the outputs, or the message of a DataError, to standard output."""
    try:
        model = SavedModel(folder)
        requests: Requests = pickle.load(sys.stdin.buffer)
        answered: list[Arrays] | str = [model.run(signature, inputs) for signature, inputs in requests]
    except DataError as error:
        answered = str(error)
    sys.stdout.buffer.write(pickle.dumps(answered))


class _Buffer(ctypes.Structure):
    _fields_ = (("data", ctypes.c_void_p), ("length", ctypes.c_size_t), ("deallocator", ctypes.c_void_p))


class _Output(ctypes.Structure):
    _fields_ = (("operation", ctypes.c_void_p), ("index", ctypes.c_int))


class _Status:
    """A TF_Status for one call; on exit it raises the error that the call reported."""

    def __init__(self, library: ctypes.CDLL, expected: str = "Expected a call that TensorFlow allows") -> None:
        self._tf, self._expected = library, expected

    def __enter__(self) -> int:
        self._status: int = self._tf.TF_NewStatus()
        return self._status

    def __exit__(self, *fault: object) -> None:
        failed = self._tf.TF_GetCode(self._status) != 0
        message = self._tf.TF_Message(self._status).decode(errors="replace")
        self._tf.TF_DeleteStatus(self._status)
        if failed:
            raise DataError(f"{self._expected}. Received: {' '.join(message.split())[:500]}")


_P, _INT, _SIZE = ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t
_FUNCTIONS: dict[str, tuple[type | None, tuple[type, ...]]] = {  # name -> types of the result and the arguments
    "NewStatus": (_P, ()),
    "DeleteStatus": (None, (_P,)),
    "GetCode": (_INT, (_P,)),
    "Message": (ctypes.c_char_p, (_P,)),
    "NewGraph": (_P, ()),
    "NewBuffer": (ctypes.POINTER(_Buffer), ()),
    "NewBufferFromString": (_P, (ctypes.c_char_p, _SIZE)),
    "NewSessionOptions": (_P, ()),
    "SetConfig": (None, (_P, ctypes.c_char_p, _SIZE, _P)),
    "LoadSessionFromSavedModel": (_P, (_P, _P, ctypes.c_char_p, _P, _INT, _P, ctypes.POINTER(_Buffer), _P)),
    "GraphOperationByName": (_P, (_P, ctypes.c_char_p)),
    "SessionRun": (None, (_P, _P, _P, _P, _INT, _P, _P, _INT, _P, _INT, _P, _P)),
    "AllocateTensor": (_P, (_INT, _P, _INT, _SIZE)),
    "DeleteTensor": (None, (_P,)),
    "TensorType": (_INT, (_P,)),
    "TensorData": (_P, (_P,)),
    "TensorByteSize": (_SIZE, (_P,)),
    "NumDims": (_INT, (_P,)),
    "Dim": (ctypes.c_int64, (_P, _INT)),
    "StringInit": (None, (_P,)),
    "StringCopy": (None, (_P, ctypes.c_char_p, _SIZE)),
}


@cache
def _library() -> ctypes.CDLL:
    """TensorFlow's C library with declared functions."""
    found = importlib.util.find_spec("tensorflow")
    paths = [path for folder in (found and found.submodule_search_locations) or () for path in _libraries(Path(folder))]
    if not paths:
        raise AladError("Expected the package tensorflow with its C library (Linux, macOS). Received: none.")
    library = ctypes.CDLL(str(paths[0]))
    for name, (result, arguments) in _FUNCTIONS.items():
        function = getattr(library, f"TF_{name}")
        function.restype, function.argtypes = result, arguments
    return library


@contextmanager
def _without_xla(library: ctypes.CDLL) -> Iterator[None]:
    """Disable XLA temporarily; TensorFlow's Python API in the same process may need it later."""
    library._ZN10tensorflow21DisableXlaCompilationEv()  # tensorflow::DisableXlaCompilation()
    try:
        yield
    finally:
        library._ZN10tensorflow20EnableXlaCompilationEv()


def _libraries(folder: Path) -> list[Path]:
    return [path for name in ("libtensorflow_cc.so.2", "libtensorflow_cc.2.dylib") for path in folder.glob(name)]


def _signature(message: bytes) -> Signature:
    """Parse a SignatureDef: inputs are field 1, outputs field 2."""
    return Signature(*({name: _place(info) for name, info in entries(message, n).items()} for n in (1, 2)))


def _place(info: bytes) -> Tensor:
    """Parse a TensorInfo: the name, "operation:index", is field 1, the type field 2."""
    parts = dict(fields(info))
    operation, _, index = bytes(parts[1]).partition(b":")
    return Tensor(operation, int(index), int(parts[2]))


# Protocol buffers -------------------------------------------------------------------------------------------------


def field(number: int, value: int | bytes | str) -> bytes:
    """Encode one field of a message; concatenated fields form a message."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    content = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def fields(message: bytes) -> Iterator[tuple[int, Value]]:
    """Yield (number, value) of each field of a message.

    Raises:
        ValueError: not a message.
    """
    position = 0
    while position < len(message):
        key, position = _read_varint(message, position)
        number, kind = key >> 3, key & 7
        length = {1: 8, 5: 4}.get(kind, 0)
        if kind in (0, 2):
            length, position = _read_varint(message, position)
        if kind not in (0, 1, 2, 5) or (kind != 0 and position + length > len(message)):
            raise ValueError(f"Expected a protocol-buffer message. Received: {len(message)} bytes that are none")
        if kind == 0:
            yield number, length
        else:
            yield number, message[position : position + length]
            position += length


def entries(message: bytes, number: int) -> dict[str, bytes]:
    """A map field of a message, with text as keys and messages as values."""
    found = {}
    for place, entry in fields(message):
        if place == number and isinstance(entry, bytes):
            parts = dict(fields(entry))
            found[bytes(parts.get(1, b"")).decode()] = bytes(parts.get(2, b""))
    return found


def _varint(number: int) -> bytes:
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + _varint(rest) if rest else bytes([low])


def _read_varint(message: bytes, position: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        if position >= len(message):
            raise ValueError("Expected a protocol-buffer message. Received: one that ends within a number")
        byte = message[position]
        number, shift, position = number | (byte & 0x7F) << shift, shift + 7, position + 1
        if not byte & 0x80:
            return number, position
