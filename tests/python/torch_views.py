"""Holds craftbundle.open() against torch.load: run by test_weights.py with a Python that has torch.

torch_views.py FILE...    prints the name of each file whose tensors are all the same
"""

import sys
from importlib import import_module
from pathlib import Path
from typing import Any, Dict

import craftbundle

torch: Any = import_module("torch")


def flat(value: Any, name: str, into: Dict[str, Any]) -> Dict[str, Any]:
    """Every tensor that dicts, lists and tuples lead to, by its name."""
    if isinstance(value, dict):
        for key, item in value.items():
            flat(item, f"{name}.{key}" if name else str(key), into)
    elif isinstance(value, (list, tuple)):
        for i, item in enumerate(value):
            flat(item, f"{name}.{i}" if name else str(i), into)
    elif isinstance(value, torch.Tensor):
        into[name] = value.detach()
    return into


def compare(file: Path) -> None:
    expected = flat(torch.load(file, map_location="cpu", weights_only=False), "", {})
    tensors = craftbundle.open(file).tensors
    assert sorted(tensors) == sorted(expected), set(tensors) ^ set(expected)
    for name, tensor in expected.items():
        found = tensors[name]
        assert found.shape == tuple(tensor.shape), name
        assert f"torch.{found.dtype}" == str(tensor.dtype), name
        view = found.torch()
        assert view.stride() == tensor.stride(), name
        same = torch.equal(view.view(torch.uint8), tensor.view(torch.uint8)) if view.dim() else True
        assert same and (view.dim() or view.numel() == 0 or view.item() == tensor.item()), name
        if found.dtype != "bfloat16":
            assert found.numpy().tobytes() == tensor.numpy().tobytes(), name


for argument in sys.argv[1:]:
    compare(Path(argument))
    print(Path(argument).name, flush=True)
