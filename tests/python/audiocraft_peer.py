"""Calls AudioCraft's own export functions, and compares files with PyTorch, for test_audiocraft.py:

  audiocraft_peer.py < REQUESTS > ANSWERS

REQUESTS is a JSON list of, answered in its order:
  {"call": FUNCTION, "arguments": [...], "in": DIRECTORY}  as call()
  {"compare": [FILE, FILE]}                                as compare()
  {"signature": FUNCTION}                                  as described_signature()

Needs PyTorch and OmegaConf; AudioCraft as tests/bench/audiocraft_export.py finds it.
"""

import inspect
import json
import os
import sys
import typing
from importlib import import_module
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List


def described_signature(function: Callable[..., Any]) -> Dict[str, List[Any]]:
    """Of each parameter by name: its kind, whether it has a default, the names of its types."""
    return {
        name: [
            parameter.kind.name,
            parameter.default is not parameter.empty,
            [t.__name__ for t in typing.get_args(parameter.annotation) or (parameter.annotation,)],
        ]
        for name, parameter in inspect.signature(function).parameters.items()
    }


def call(function: Callable[..., Any], arguments: List[Any], directory: str) -> Dict[str, Any]:
    """What came of it: "returned" with the repr of that, or "raised" with the names of the type and
    its bases. An argument is text, or ["Path", text]."""
    os.chdir(directory)
    try:
        returned = function(*(Path(a[1]) if isinstance(a, list) else a for a in arguments))
    except Exception as error:
        return {"raised": [base.__name__ for base in type(error).__mro__]}
    return {"returned": repr(returned)}


def _described(tensor: Any) -> Dict[str, Any]:
    return {
        "type": str(type(tensor)),
        "dtype": str(tensor.dtype),
        "shape": list(tensor.shape),
        "stride": tensor.stride(),
        "device": str(tensor.device),
        "requires_grad": tensor.requires_grad,
    }


def _bits(tensor: Any) -> Any:
    """The elements as bytes: a NaN equals itself, and 0.0 is not -0.0."""
    torch = import_module("torch")
    return tensor.detach().contiguous().reshape(-1).view(torch.uint8)


def _differences(found: Dict[str, Any], expected: Dict[str, Any]) -> Iterator[str]:
    if list(found) != list(expected):
        yield f"keys {list(found)}, expected {list(expected)}"
        return
    for key, value in expected.items():
        if type(found[key]) is not type(value):
            yield f"{key} is a {type(found[key])}, expected a {type(value)}"
        # The version is that of the AudioCraft that wrote the file.
        elif key not in ("best_state", "version") and found[key] != value:
            yield f"{key} is {found[key]!r}, expected {value!r}"
    found, expected = found.get("best_state", {}), expected.get("best_state", {})
    if list(found) != list(expected):
        yield "other names of tensors, or in another order"
        return
    for name, tensor in expected.items():
        if _described(found[name]) != _described(tensor):
            yield f"{name} is {_described(found[name])}, expected {_described(tensor)}"
        elif not _bits(found[name]).equal(_bits(tensor)):
            yield f"{name} has other elements"


def compare(found: str, expected: str) -> List[str]:
    """How what torch.load makes of the first file differs from what it makes of the second."""
    torch = import_module("torch")
    if not (Path(found).is_file() and Path(expected).is_file()):
        return ["there are not both files"]
    return list(_differences(*(torch.load(file, map_location="cpu") for file in (found, expected))))


def main() -> None:
    sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))
    audiocraft_export = import_module("audiocraft_export")
    export = audiocraft_export.load_export_module()
    audiocraft_export.load_pickles_as_before()
    answers: List[Any] = []
    for request in json.load(sys.stdin):
        if "compare" in request:
            answers.append(compare(*request["compare"]))
        elif "signature" in request:
            answers.append(described_signature(getattr(export, request["signature"])))
        else:
            function = getattr(export, request["call"])
            answers.append(call(function, request["arguments"], request["in"]))
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
