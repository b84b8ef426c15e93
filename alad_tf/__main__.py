"""Entry point of the program `alad`, also run as `python -m alad_tf`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from alad_tf.cli import main as command_line


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command as the main program of the process and return the exit code for `sys.exit`.

    Unlike `alad_tf.cli.main.main`, which any process can call, this looks after the standard streams of the process:
    a closed standard error is replaced by the null device, and output that could not be written is discarded, so that
    the interpreter does not report it a second time at exit.
    """
    if sys.stderr is None:
        _to_null_device(2)
        sys.stderr = os.fdopen(2, "w", closefd=False)
    code = command_line.main(arguments)
    if sys.stdout is not None:
        try:
            sys.stdout.flush()
        except (OSError, ValueError):
            _to_null_device(1)
            code = code or 1
    return code


def _to_null_device(descriptor: int) -> None:
    null = os.open(os.devnull, os.O_WRONLY)
    if null != descriptor:
        os.dup2(null, descriptor)
        os.close(null)
    os.set_inheritable(descriptor, True)


if __name__ == "__main__":
    sys.exit(main())
