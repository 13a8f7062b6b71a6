"""Where the installation is, for whoever needs no more than that."""

from __future__ import annotations

import os


def prefix_path() -> str:
    """CRAFTBUNDLE_PREFIX, else the directory in the package."""
    package = os.path.dirname(os.path.realpath(__file__))
    return os.environ.get("CRAFTBUNDLE_PREFIX") or os.path.join(package, "_prefix")
