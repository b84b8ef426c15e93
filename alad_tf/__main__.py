"""`python -m alad_tf` is the command `alad`."""

from __future__ import annotations

import sys

from alad_tf.cli.main import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
