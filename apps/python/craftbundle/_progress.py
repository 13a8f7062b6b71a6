"""Who is told how far a call is: a callback, or bars of tqdm."""

from __future__ import annotations

import importlib
import sys
from contextlib import contextmanager
from typing import Any, Dict, Iterator, Optional, Union

from ._errors import Error
from ._library import Progress, ProgressCallback

ProgressOption = Union[None, bool, ProgressCallback]


class _Bars:
    """A bar for each task, made when something is told of it."""

    def __init__(self, tqdm: Any) -> None:
        self._tqdm = tqdm
        self._bars: Dict[str, Any] = {}

    def __call__(self, progress: Progress) -> None:
        bar = self._bars.get(progress.task)
        if bar is None:
            bar = self._tqdm(desc=progress.task, unit="B", unit_scale=True, unit_divisor=1024)
            self._bars[progress.task] = bar
        bar.total = progress.total or None
        bar.n = progress.done
        bar.refresh()

    def close(self) -> None:
        for bar in self._bars.values():
            bar.close()


def _somebody_looks() -> bool:
    return "ipykernel" in sys.modules or (sys.stderr is not None and sys.stderr.isatty())


@contextmanager
def told(progress: ProgressOption) -> Iterator[Optional[ProgressCallback]]:
    """The callback for the option ``progress``. Raises Error (usage, ``progress.tqdm``)."""
    if callable(progress):
        yield progress
        return
    if progress is False or (progress is None and not _somebody_looks()):
        yield None
        return
    try:
        tqdm = importlib.import_module("tqdm.auto").tqdm
    except ImportError:
        if progress is None:
            yield None
            return
        raise Error(
            "usage", "progress.tqdm", "there is no tqdm to show progress with", "pip install tqdm"
        ) from None
    bars = _Bars(tqdm)
    try:
        yield bars
    finally:
        bars.close()
