"""Craftbundle: exports AudioCraft checkpoints to complete, checked model bundles.

    import craftbundle

    craftbundle.bundle("my_model", lm="xps/9f2c", compression="xps/77aa/checkpoint.th")
    weights = craftbundle.open("xps/9f2c/checkpoint.th")
    weights.tensors["best_state.model.emb.0.weight"].numpy()

Functions are named as the commands of the program, and keyword arguments as their options.
"""

from __future__ import annotations

TYPE_CHECKING = False  # importing typing takes as long as Python's own start
if TYPE_CHECKING:
    from typing import Any, List

    from ._calls import bundle, convert, export, inspect, plugins, run, verify
    from ._errors import Error
    from ._library import Progress, prefix
    from ._open import Tensor, Tensors, Weights, open
    from ._results import (
        BundleReport,
        CodecRun,
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

    __version__: str

__all__ = [
    "BundleReport",
    "CodecRun",
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
    "Tensor",
    "Tensors",
    "Verification",
    "Weights",
    "bundle",
    "convert",
    "export",
    "inspect",
    "open",
    "plugins",
    "prefix",
    "run",
    "verify",
]

_PLACES = ("_errors", "_library", "_calls", "_open", "_results")


def __getattr__(name: str) -> Any:
    """Loads what a name needs when it is first used, so that the import costs next to nothing."""
    from importlib import import_module

    if name == "__version__":
        return import_module("._library", __name__).version()
    if name in __all__:
        for place in _PLACES:
            module = import_module("." + place, __name__)
            if name in vars(module):
                globals()[name] = vars(module)[name]
                return globals()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> List[str]:
    return sorted({*globals(), *__all__})
