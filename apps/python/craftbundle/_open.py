"""``open()``: what is in a file or bundle, read when it is asked for, and nothing executed."""

from __future__ import annotations

import mmap
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Tuple

from ._errors import Error
from ._library import PathLike, call, text

if TYPE_CHECKING:
    import numpy
    import torch  # type: ignore[import-not-found,unused-ignore]

# Element types by PyTorch's name: size in bytes, and numpy's name; None: ml_dtypes has it.
_TYPES: Dict[str, Tuple[int, Optional[str]]] = {
    "float64": (8, "float64"),
    "float32": (4, "float32"),
    "float16": (2, "float16"),
    "bfloat16": (2, None),
    "int64": (8, "int64"),
    "int32": (4, "int32"),
    "int16": (2, "int16"),
    "int8": (1, "int8"),
    "uint8": (1, "uint8"),
    "uint16": (2, "uint16"),
    "uint32": (4, "uint32"),
    "uint64": (8, "uint64"),
    "bool": (1, "bool"),
    "complex128": (16, "complex128"),
    "complex64": (8, "complex64"),
    "float8_e5m2": (1, None),
    "float8_e4m3fn": (1, None),
    "float8_e5m2fnuz": (1, None),
    "float8_e4m3fnuz": (1, None),
    "float8_e8m0fnu": (1, None),
}


class _Place(NamedTuple):
    """Where the elements of a tensor lie in a file."""

    path: str
    offset: int  # of the first element, in bytes
    strides: Tuple[int, ...]  # in elements
    swapped: bool  # their byte order is foreign to this machine


class Tensor:
    """A tensor whose elements are still in the file.

    ``numpy()`` and ``torch()`` give views of the file as it is mapped: no byte is read before it is
    looked at. What does not lie in the file as it is (compressed records, shards that are one
    tensor, weights that are computed) is written to a temporary file first, checked.

    Attributes:
        name: all keys that lead to it, joined by dots.
        dtype: PyTorch's name of the element type: ``float32``.
        shape: numbers of elements; empty for a scalar.
        nbytes: bytes of the elements.
    """

    def __init__(self, weights: Weights, component: Optional[str], json: Mapping[str, Any]) -> None:
        self._weights = weights
        self._component = component
        self.name: str = json["name"]
        self.dtype: str = json["type"]
        self.shape: Tuple[int, ...] = tuple(json["shape"])
        self.nbytes: int = json["bytes"]
        storage = json["storage"]
        file = None if storage is None else storage["file"]
        self._place = (
            None
            if file is None
            else _Place(file["path"], file["offset"], tuple(file["strides"]), file["swapped"])
        )
        self._storage = None if file is None else (file["path"], storage["key"], file["offset"])

    def __repr__(self) -> str:
        return f"<Tensor {self.name!r} {self.dtype} {list(self.shape)}>"

    def numpy(self) -> numpy.ndarray[Any, Any]:
        """A read-only view of the elements, with the tensor's own strides and byte order.

        Raises:
            Error: usage ``tensor.numpy``: numpy is not there, or has no such type (``bfloat16`` and
                the ``float8`` types need ml_dtypes); system ``io.changed``; as ``call()`` for what
                has to be written to a temporary file first.
        """
        import importlib

        try:
            numpy = importlib.import_module("numpy")
        except ImportError:
            raise _missing("numpy") from None
        _, name = _known(self)
        if name is None:
            try:
                dtype = numpy.dtype(getattr(importlib.import_module("ml_dtypes"), self.dtype))
            except (ImportError, AttributeError):
                raise Error(
                    "usage",
                    "tensor.numpy",
                    f"{self.name}: numpy has no type {self.dtype}",
                    "pip install ml_dtypes, or use .torch()",
                ) from None
        else:
            dtype = numpy.dtype(name)
        place = self._found()
        size = dtype.itemsize
        array = numpy.ndarray(
            self.shape,
            dtype.newbyteorder() if place.swapped else dtype,
            self._mapped(place) if self.nbytes else b"",
            place.offset if self.nbytes else 0,
            tuple(stride * size for stride in place.strides),
        )
        array.flags.writeable = False
        return array  # type: ignore[no-any-return]

    def __array__(self, dtype: Any = None, copy: Optional[bool] = None) -> Any:
        array = self.numpy()
        if dtype is not None and array.dtype != dtype:
            if copy is False:
                raise ValueError(f"{self.name}: a view cannot have another type")
            return array.astype(dtype)
        return array.copy() if copy else array

    def torch(self) -> torch.Tensor:
        """A view of the elements as torch.Tensor on the CPU, with the tensor's own strides.

        What is written to it stays in memory, never in the file. It is a copy where torch cannot
        use the bytes as they lie: of foreign byte order, or not aligned.

        Raises:
            Error: usage ``tensor.torch``: torch is not there, or has no such type; as ``numpy()``.
        """
        import importlib

        try:
            torch = importlib.import_module("torch")
        except ImportError:
            raise _missing("torch") from None
        dtype = getattr(torch, self.dtype, None)
        if dtype is None:
            raise Error(
                "usage",
                "tensor.torch",
                f"{self.name}: this torch has no type {self.dtype}",
                "install a newer torch",
            )
        size, _ = _known(self)
        if self.nbytes == 0:
            return torch.empty(self.shape, dtype=dtype)
        place = self._found()
        count = self._reach(place)
        data: Any = self._mapped(place)
        offset = place.offset
        # The part that is swapped: the two halves of complex numbers are numbers of their own.
        unit = size // 2 if self.dtype.startswith("complex") else size
        if place.swapped or offset % unit:
            data, offset = bytearray(data[offset : offset + count * size]), 0
            if place.swapped:
                data = _swapped(data, unit)
        flat = torch.frombuffer(data, dtype=dtype, count=count, offset=offset)
        return flat.as_strided(self.shape, place.strides)

    def _reach(self, place: _Place) -> int:
        """Elements from the first to the last one, in the file. REQUIRES: there are any."""
        return 1 + sum((n - 1) * stride for n, stride in zip(self.shape, place.strides))

    def _mapped(self, place: _Place) -> mmap.mmap:
        size, _ = _known(self)
        return self._weights._mapped(place.path, place.offset + self._reach(place) * size)

    def _found(self) -> _Place:
        if self._place is None:
            self._place = self._weights._extracted(self)
        return self._place


def _known(tensor: Tensor) -> Tuple[int, Optional[str]]:
    try:
        return _TYPES[tensor.dtype]
    except KeyError:
        raise Error(
            "usage", "tensor.type", f"{tensor.name}: elements of {tensor.dtype} have no view"
        ) from None


def _missing(module: str) -> Error:
    return Error("usage", f"tensor.{module}", f"there is no {module}", f"pip install {module}")


def _swapped(data: bytearray, unit: int) -> bytearray:
    result = bytearray(len(data))
    for i in range(unit):
        result[i::unit] = data[unit - 1 - i :: unit]
    return result


class Tensors(Mapping[str, Tensor]):
    """Tensors by their names, in the order of the file.

    The end of a name will do where it belongs to one tensor alone: ``emb.0.weight`` for
    ``best_state.emb.0.weight``.
    """

    def __init__(self, tensors: Dict[str, Tensor]) -> None:
        self._tensors = tensors

    def __getitem__(self, name: str) -> Tensor:
        found = self._tensors.get(name)
        if found is not None:
            return found
        meant = [known for known in self._tensors if known.endswith("." + name)]
        # Several names of the same elements are as good as one.
        if len({self._tensors[known]._storage or known for known in meant}) == 1:
            return self._tensors[meant[0]]
        raise KeyError(f"{name!r} may be any of {meant}" if meant else name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def _repr_html_(self) -> str:
        from ._results import _bytes_text, _table

        rows = [
            (tensor.name, tensor.dtype, list(tensor.shape), _bytes_text(tensor.nbytes))
            for tensor in self._tensors.values()
        ]
        return _table(f"{len(rows)} tensors", ("tensor", "type", "shape", "size"), rows)


class Weights:
    """A file or bundle that was opened: its tensors and its configuration.

    Attributes:
        source: as it was given.
        tensors: by their names. Of a bundle of several components, names begin with the role:
            ``lm.emb.0.weight``.
        not_readable: objects that are tensors and cannot be described, with the reason.
    """

    def __init__(self, options: Mapping[str, Any], json: Mapping[str, Any]) -> None:
        self.source: str = options["source"]
        self._options = options
        self._maps: Dict[str, mmap.mmap] = {}
        self._config: Optional[Mapping[str, Any]] = None
        groups = json["groups"]
        tensors: Dict[str, Tensor] = {}
        refused: List[str] = []
        for group in groups:
            role = group["component"]
            for one in group["tensors"]:
                tensor = Tensor(self, role, one)
                tensors[one["name"] if len(groups) == 1 else f"{role}.{one['name']}"] = tensor
            refused += group["not_readable"]
        self.tensors = Tensors(tensors)
        self.not_readable = tuple(refused)

    def __repr__(self) -> str:
        return f"<Weights {self.source!r}: {len(self.tensors)} tensors>"

    def _repr_html_(self) -> str:
        return self.tensors._repr_html_()

    @property
    def shapes(self) -> Dict[str, Tuple[int, ...]]:
        """The shape of each tensor."""
        return {name: tensor.shape for name, tensor in self.tensors.items()}

    @property
    def dtypes(self) -> Dict[str, str]:
        """The element type of each tensor, by PyTorch's name."""
        return {name: tensor.dtype for name, tensor in self.tensors.items()}

    @property
    def config(self) -> Any:
        """The configuration as dicts, lists and scalars, as ``OmegaConf.to_container`` gives it.

        Interpolations are resolved within it. Nothing is run: those that need a resolver or the
        environment stay text, as do missing values (``???``). Paths are ``pathlib.PurePosixPath``.

        Raises:
            Error: input ``config.none`` and others: there is none; usage ``source.role`` of a bundle
                with several, of which ``open(..., component=...)`` chooses one.
        """
        return _value(self._read_config()["root"])

    @property
    def config_text(self) -> str:
        """The configuration as YAML text, with interpolations as they are. Raises as ``config``."""
        return str(self._read_config()["text"])

    def _read_config(self) -> Mapping[str, Any]:
        if self._config is None:
            self._config = call("config", self._options)
        assert self._config is not None
        return self._config

    def _mapped(self, path: str, end: int) -> mmap.mmap:
        """The file, of which bytes up to `end` are wanted."""
        found = self._maps.get(path)
        if found is None:
            with Path(path).open("rb") as file:
                # Private, as torch wants a buffer that it may write to, and without a reserve for
                # what could be written, which may be more than there is memory.
                flags = mmap.MAP_PRIVATE | getattr(mmap, "MAP_NORESERVE", 0x4000)
                found = mmap.mmap(file.fileno(), 0, flags, mmap.PROT_READ | mmap.PROT_WRITE)
            self._maps[path] = found
        if end > len(found):
            raise Error(
                "input",
                "io.changed",
                f"{path} has become shorter since it was opened",
                "open it again",
            )
        return found

    def _extracted(self, tensor: Tensor) -> _Place:
        import tempfile

        with tempfile.TemporaryDirectory(prefix="craftbundle-") as directory:
            path = os.path.join(directory, "tensor.safetensors")
            chosen = {"component": tensor._component, "tensors": [tensor.name]}
            call("extract", {**self._options, **chosen, "output": path, "no-sync": True})
            written = call("tensors", {"source": path})["groups"][0]["tensors"][0]
            file = written["storage"]["file"]
            # Its bytes stay there while they are mapped.
            self._mapped(path, 0)
        return _Place(path, file["offset"], tuple(file["strides"]), file["swapped"])


def _value(node: Any) -> Any:
    """What a node of the operation "config" (craftbundle/c.h) stands for."""
    if isinstance(node, list):
        return [_value(item) for item in node]
    if not isinstance(node, dict):
        return node
    ((kind, content),) = node.items()
    if kind == "mapping":
        return {_value(key): _value(value) for key, value in content}
    if kind == "integer":
        return int(content)
    if kind == "float":
        return float(content)
    if kind == "bytes":
        return bytes.fromhex(content)
    from pathlib import PurePosixPath

    return PurePosixPath(content)


def open(
    source: PathLike, *, component: Optional[str] = None, xps: Optional[PathLike] = None
) -> Weights:
    """Opens a checkpoint, an exported file, safetensors or a bundle, and reads no tensor.

    What people wish ``torch.load`` were: pickles are parsed and checked, and nothing in them is
    imported or called.

    Args:
        source: as for ``inspect()``.
        component: of a bundle, the role of the component that is meant; all of them by default.
        xps: directory of Dora signatures.

    Raises:
        Error: as ``inspect()``; input ``tensors.none`` for a name without weights here; usage
            ``source.role`` for a role that is not in the bundle.
    """
    given = os.path.abspath(text(source)) if os.path.exists(source) else text(source)
    options = {"source": given, "component": component, "xps": None if xps is None else text(xps)}
    return Weights(options, call("tensors", options))
