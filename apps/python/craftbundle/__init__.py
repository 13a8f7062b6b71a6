"""Craftbundle: exports AudioCraft checkpoints to complete, checked model bundles.

    import craftbundle

    craftbundle.bundle("my_model", lm="xps/9f2c", compression="xps/77aa/checkpoint.th")
    weights = craftbundle.open("xps/9f2c/checkpoint.th")
    weights.tensors["best_state.model.emb.0.weight"].numpy()

Functions are named as the commands of the program, and keyword arguments as their options.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._calls import bundle, convert, export, inspect, plugins, run, verify
from ._errors import Error
from ._library import Progress, prefix
from ._results import (
    BundleReport,
    Component,
    ExportReport,
    Finding,
    Inspection,
    Plugin,
    Plugins,
    RefusedPlugin,
    RunReport,
    Stage,
    Verification,
)

if TYPE_CHECKING:
    __version__: str

__all__ = [
    "BundleReport",
    "Component",
    "Error",
    "ExportReport",
    "Finding",
    "Inspection",
    "Plugin",
    "Plugins",
    "Progress",
    "RefusedPlugin",
    "RunReport",
    "Stage",
    "Verification",
    "bundle",
    "convert",
    "export",
    "inspect",
    "plugins",
    "prefix",
    "run",
    "verify",
]


def __getattr__(name: str) -> str:
    if name == "__version__":
        from ._library import version

        return version()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
