"""AudioCraft's export functions (``audiocraft.utils.export``), for scripts that change one line:

    from audiocraft.utils import export  # before
    from craftbundle import audiocraft as export

Arguments, return values and what the files hold are the same. What differs: the pickle is read as
data and never run, neither PyTorch nor AudioCraft is needed, memory does not grow with the
checkpoint, what goes into a file is checked against its configuration first, and the file appears
whole or not at all.

Each error is a ``craftbundle.Error``, and of the type that the originals raise there, so that
an ``except`` around them goes on working.
"""

import os
from contextlib import contextmanager
from errno import ENOENT
from pathlib import Path
from pickle import UnpicklingError
from typing import Iterator, Optional, Type, Union

from ._errors import Error

__all__ = [
    "FailedAccess",
    "MissingContents",
    "MissingFile",
    "UnusableFile",
    "export_encodec",
    "export_lm",
    "export_pretrained_compression_model",
]


class MissingContents(Error, AssertionError, KeyError):
    """A checkpoint lacks what is wanted: a best state, ``xp.cfg``, or that it was exported at all.
    The originals assert it, or look it up in a dict."""


class MissingFile(Error, FileNotFoundError):
    """There is no such checkpoint."""

    errno = ENOENT


class FailedAccess(Error, OSError, RuntimeError):
    """A file cannot be read or written. PyTorch raises RuntimeError when it cannot open one."""


class UnusableFile(Error, RuntimeError, ValueError, TypeError, EOFError, UnpicklingError):
    """What is in a checkpoint is damaged, unsafe, no model, or not the model that it says.
    ``torch.load`` and OmegaConf raise these types, by where they notice."""


_MISSING_CONTENTS = {"state.empty", "state.missing", "config.missing", "package.not_exported"}
_MISSING_FILE = {"source.not_found", "source.dangling", "io.enoent"}


def _class_for(error: Error) -> Optional[Type[Error]]:
    if error.code in _MISSING_CONTENTS:
        return MissingContents
    if error.code in _MISSING_FILE:
        return MissingFile
    if error.kind == "system" or error.code.startswith("target."):
        return FailedAccess
    return UnusableFile if error.kind in ("input", "mismatch") else None


@contextmanager
def _raising_as_audiocraft() -> Iterator[None]:
    try:
        yield
    except Error as error:
        error_class = _class_for(error)
        if error_class is None:
            raise
        raise error_class(*error.args) from None


def _export(
    source: str, out_file: Union[Path, str], component: str, exporter: Optional[str] = None
) -> None:
    from ._calls import export  # what it needs is not loaded for importing this module

    # As torch.save: through a link, and with `~` as the name that it is.
    output = os.path.realpath(out_file)
    export(source, output, component=component, exporter=exporter, force=True, progress=False)


def _require_exported(path: str) -> None:
    """A training would be exported as well: whoever gives one here takes it for something else."""
    from ._calls import inspect

    checkpoint = inspect(path).json.get("checkpoint")
    if checkpoint is not None and all(key["key"] != "exported" for key in checkpoint["keys"]):
        raise Error(
            "input",
            "package.not_exported",
            f"{path}: not an exported file: its dict has no key 'exported'",
            "pass a training checkpoint to export_encodec",
        )


def export_encodec(
    checkpoint_path: Union[Path, str], out_file: Union[Path, str]
) -> Union[Path, str]:
    """Writes the best state of a training checkpoint of an EnCodec to `out_file`.

    Missing directories above `out_file` are made, a file that is there is replaced, a link is
    followed. Returns `out_file` as it was given.

    Raises:
        MissingContents, MissingFile, FailedAccess, UnusableFile: see there.
        craftbundle.Error: of kind plugin, interrupted or internal.
    """
    with _raising_as_audiocraft():
        _export(os.path.abspath(checkpoint_path), out_file, "compression", "encodec")
    return out_file


def export_pretrained_compression_model(
    pretrained_encodec: str, out_file: Union[Path, str]
) -> None:
    """Writes the compression model to put beside a language model to `out_file`.

    Of the path of an exported file, its contents. Of a name (``facebook/encodec_32khz``,
    ``dac_44khz``) a reference without tensors, which loaders resolve; nothing is fetched. Other
    than the original, this takes no path that does not exist for a name. `out_file` and what is
    raised are as for ``export_encodec``.
    """
    source = os.fspath(pretrained_encodec)
    with _raising_as_audiocraft():
        if os.path.exists(source):
            source = os.path.abspath(source)
            _require_exported(source)
        _export(source, out_file, "compression")


def export_lm(checkpoint_path: Union[Path, str], out_file: Union[Path, str]) -> Union[Path, str]:
    """Writes the best state of a training checkpoint of MusicGen, AudioGen, MAGNeT or JASCO.

    The best state of an FSDP training is preferred. `out_file`, what is returned and what is raised
    are as for ``export_encodec``.
    """
    with _raising_as_audiocraft():
        _export(os.path.abspath(checkpoint_path), out_file, "lm")
    return out_file
