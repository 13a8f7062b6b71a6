"""libcraftbundle: where it is, and calls of its C interface (craftbundle/c.h).

A call runs on a thread of the library, and the thread that made it asks for its events ten times a
second, with the interpreter lock released. So signals are handled as always, and an exception of a
handler or of ``progress``, as KeyboardInterrupt, cancels the call and goes on from there.
"""

from __future__ import annotations

import ctypes
import json
import os
import threading
from pathlib import Path
from typing import Any, Callable, Dict, Mapping, NamedTuple, Optional, Set, Tuple, Union

from ._errors import Error
from ._prefix_path import prefix_path

PathLike = Union[str, "os.PathLike[str]"]

_C_VERSION = 1
_WAIT_MILLISECONDS = 100


class Progress(NamedTuple):
    """How far a step of a call is.

    Attributes:
        task: what is read or written, for example the name of a file.
        done: bytes so far.
        total: bytes in all; 0 while that is not known.
    """

    task: str
    done: int
    total: int


ProgressCallback = Callable[[Progress], object]


def prefix() -> Path:
    """The directory with bin, lib, include, ...: CRAFTBUNDLE_PREFIX, else that of the package."""
    return Path(prefix_path())


def find(*patterns: str) -> Path:
    """The first file or directory of the prefix that fits one of the patterns."""
    root = prefix()
    for pattern in patterns:
        for path in sorted(root.glob(pattern)):
            return path
    raise Error(
        "plugin",
        "python.prefix",
        f"{root}: there is no {patterns[0]}",
        "install the package again; for a build of your own set CRAFTBUNDLE_PREFIX to where"
        " cmake --install has put it",
    )


class _Call(ctypes.c_void_p):
    """A craftbundle_call. Freeing one that is under way cancels it and waits for its end."""

    def close(self) -> None:
        value, self.value = self.value, None
        # What was started before a fork has no thread in the child.
        if value is not None and os.getpid() == _process and not _forked_while_busy:
            load().craftbundle_call_free(value)

    def __del__(self) -> None:
        self.close()


_lock = threading.Lock()
_loaded: Optional[ctypes.CDLL] = None
_hosts: Dict[Tuple[Optional[str], ...], int] = {}
_busy: Set[int] = set()  # threads in a call
_process = os.getpid()
_forked_while_busy = False


def load() -> ctypes.CDLL:
    """The library. Raises Error: ``python.prefix``, ``python.library`` of kind plugin."""
    global _loaded
    with _lock:
        if _loaded is None:
            _loaded = _load()
        return _loaded


def _load() -> ctypes.CDLL:
    name = "libcraftbundle.so.0"
    path = find(f"lib/{name}", f"lib64/{name}", f"lib/*/{name}")
    try:
        library = ctypes.CDLL(str(path))
        version = int(library.craftbundle_c_version())
    except (OSError, AttributeError) as failure:
        raise Error("plugin", "python.library", str(failure), "install the package again") from None
    if version != _C_VERSION:
        raise Error(
            "plugin",
            "python.library",
            f"{path}: its C interface is version {version}, the module is for {_C_VERSION}",
            "let CRAFTBUNDLE_PREFIX name a build of the same sources as the module",
        )
    library.craftbundle_version.restype = ctypes.c_char_p
    library.craftbundle_host_new.restype = ctypes.c_void_p
    library.craftbundle_host_new.argtypes = [ctypes.c_char_p]
    library.craftbundle_start.restype = _Call
    library.craftbundle_start.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p]
    library.craftbundle_next.restype = ctypes.c_char_p
    library.craftbundle_next.argtypes = [ctypes.c_void_p, ctypes.c_int]
    library.craftbundle_call_free.restype = None
    library.craftbundle_call_free.argtypes = [ctypes.c_void_p]
    return library


def _host(library: ctypes.CDLL) -> int:
    """The host for the plugins that the environment names now; kept until the process ends."""
    names = ("CRAFTBUNDLE_PLUGIN_PATH", "XDG_DATA_HOME", "HOME")
    key = tuple(os.environ.get(name) for name in names)
    with _lock:
        if key not in _hosts:
            host = library.craftbundle_host_new(None)
            if not host:
                raise MemoryError
            _hosts[key] = int(host)
        return _hosts[key]


def _after_fork_in_child() -> None:
    """Nothing that was made before is used again: its locks may be held by threads that are gone."""
    global _lock, _process, _forked_while_busy
    _process = os.getpid()
    _lock = threading.Lock()
    _hosts.clear()
    _forked_while_busy = _forked_while_busy or bool(_busy)


os.register_at_fork(after_in_child=_after_fork_in_child)


def text(path: PathLike) -> str:
    """A path as the library takes it. Raises Error (usage, ``path.encoding``)."""
    name = os.fspath(path)
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        raise Error(
            "usage", "path.encoding", f"{name!r} is not UTF-8", "give the file another name"
        ) from None
    return name


def _error(document: Mapping[str, Any]) -> Error:
    return Error(
        document["kind"],
        document["code"],
        document["message"],
        document["hint"],
        tuple(document["contexts"]),
    )


def _log(level: str, message: str) -> None:
    import logging

    logging.getLogger("craftbundle").log(getattr(logging, level.upper()), message)


def perform(
    operation: str,
    options: Mapping[str, Any],
    progress: Optional[ProgressCallback] = None,
) -> Tuple[Any, Optional[Error]]:
    """What an operation of c.h gives, and the error that it ended with, if it did."""
    if _forked_while_busy:
        raise Error(
            "usage",
            "process.forked",
            "this process was made by fork() while another thread was in a call of craftbundle",
            "start processes with 'spawn' or 'forkserver', or while no call is under way",
        )
    library = load()
    host = _host(library)
    given = {name: value for name, value in options.items() if value is not None}
    request = json.dumps(given).encode()
    thread = threading.get_ident()
    nested = thread in _busy  # `progress` may make calls of its own
    call: Optional[_Call] = None
    try:
        _busy.add(thread)
        call = library.craftbundle_start(host, operation.encode(), request)
        if not call:
            raise MemoryError
        while True:
            line: Optional[bytes] = library.craftbundle_next(call, _WAIT_MILLISECONDS)
            if line is None:
                continue
            event: Dict[str, Any] = json.loads(line)
            if event["event"] == "end":
                error = event.get("error")
                return event.get("result"), None if error is None else _error(error)
            if event["event"] == "log":
                _log(event["level"], event["message"])
            elif progress is not None:
                progress(Progress(event["task"], event["done"], event["total"]))
    finally:
        if call is not None:
            call.close()
        if not nested:
            _busy.discard(thread)


def call(
    operation: str,
    options: Mapping[str, Any],
    progress: Optional[ProgressCallback] = None,
) -> Any:
    """The result of an operation. Raises Error."""
    result, error = perform(operation, options, progress)
    if error is not None:
        raise error
    return result


def version() -> str:
    """The version of the library."""
    answer: bytes = load().craftbundle_version()
    return answer.decode()
