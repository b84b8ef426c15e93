"""Log level of TensorFlow's C++ code: fatal errors only, unless the user has set TF_CPP_MIN_LOG_LEVEL."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

from alad_tf import stack

VARIABLE = "TF_CPP_MIN_LOG_LEVEL"
CHOSEN = os.environ.get(VARIABLE)  # by the user, or by the process that started this one
EVERYTHING, FATAL = "0", "3"
INFORMATION = rb"I\d{4} |WARNING: All log messages before absl::InitializeLog"
_STANDARD_ERROR = 2
_NO_DOCSTRINGS = "Python without docstrings (-OO, PYTHONOPTIMIZE=2), which TensorFlow needs at import"


def quiet() -> None:
    """Let TensorFlow log fatal errors only. Has no effect if the variable is set or TensorFlow is already imported.

    At import, TensorFlow reports harmless double registrations of CUDA plugins as errors. TensorFlow 2.21 also logs
    information before it reads the variable: at any level but 0, the import leaves these lines out of standard error,
    and lets the others through at its end.
    """
    if "tensorflow" not in sys.modules and os.environ.setdefault(VARIABLE, FATAL) != EVERYTHING:
        sys.meta_path.insert(0, _QuietImport())


class _QuietImport:
    """Finds tensorflow once, and has its import leave out information."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of tensorflow; None, for the other finders, of all else."""
        if fullname != "tensorflow":
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                try:
                    with without_lines(INFORMATION) if stack.name() == "current" else nullcontext():
                        execute(module)
                except TypeError as error:
                    if sys.flags.optimize > 1:
                        raise ImportError(_NO_DOCSTRINGS) from error
                    raise

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


@contextmanager
def without_lines(pattern: bytes) -> Iterator[None]:
    """Write what the body writes to the standard error of the process after it, without lines that begin as `pattern`.

    Leaves nothing out at log level 0.
    """
    import tempfile  # slow to import

    try:
        kept = os.dup(_STANDARD_ERROR)
    except OSError:  # it is closed
        yield
        return
    with tempfile.TemporaryFile() as written:
        os.dup2(written.fileno(), _STANDARD_ERROR)
        try:
            yield
        finally:
            os.dup2(kept, _STANDARD_ERROR)
            os.close(kept)
            written.seek(0)
            for line in written:
                if os.environ.get(VARIABLE) == EVERYTHING or not re.match(pattern, line):
                    os.write(_STANDARD_ERROR, line)
