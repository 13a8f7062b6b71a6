#!/usr/bin/env python3
"""Runs AudioCraft's own export function, for comparison:

  audiocraft_export.py export_lm|export_encodec CHECKPOINT OUT_FILE

Needs PyTorch and OmegaConf, and AudioCraft's source: an installed package or a checkout named by AUDIOCRAFT_PATH.
Only audiocraft/utils/export.py is imported, so none of AudioCraft's other dependencies are needed and the time is
that of the function, PyTorch's import included.
"""
import importlib.util
import os
import pathlib
import re
import sys
import types


def load_export_module():
    root = os.environ.get("AUDIOCRAFT_PATH")
    if root:
        package = pathlib.Path(root) / "audiocraft"
    else:
        spec = importlib.util.find_spec("audiocraft")
        if spec is None:
            sys.exit("audiocraft_export: set AUDIOCRAFT_PATH to a checkout of AudioCraft")
        package = pathlib.Path(spec.submodule_search_locations[0])
    version = re.search(r"__version__ = '([^']+)'", (package / "__init__.py").read_text()).group(1)
    # export.py takes nothing but the version from the package.
    stub = types.ModuleType("audiocraft")
    stub.__version__ = version
    sys.modules["audiocraft"] = stub
    spec = importlib.util.spec_from_file_location("audiocraft_export_module", package / "utils" / "export.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def load_pickles_as_before():
    """AudioCraft calls torch.load(path, 'cpu'), which executes the pickle; since PyTorch 2.6 that has to be asked for."""
    import torch

    load = torch.load

    def load_everything(*args, **kwargs):
        kwargs.setdefault("weights_only", False)
        return load(*args, **kwargs)

    torch.load = load_everything


def main():
    if len(sys.argv) != 4 or sys.argv[1] not in ("export_lm", "export_encodec"):
        sys.exit(__doc__)
    export = load_export_module()
    load_pickles_as_before()
    getattr(export, sys.argv[1])(sys.argv[2], sys.argv[3])


if __name__ == "__main__":
    main()
