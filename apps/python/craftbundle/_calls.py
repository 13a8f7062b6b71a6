"""What the program does, one function each.

Keyword arguments are named as the long options of the command line, with ``_`` for ``-``. Paths are
``str`` or ``os.PathLike``; relative ones start in the current directory. Options of exporters and
layouts are given as a dict: ``option={"state": "ema"}``.

Every function raises ``Error`` and leaves nothing behind when it fails or is interrupted. It may be
called from any thread, by several at once; others run on, as the interpreter lock is released.
``progress`` is called in the calling thread, with a ``Progress``; without one, bars of tqdm are
shown where it is installed and standard error is a terminal or notebook, with False nothing, and
with True always. An exception that it raises cancels the call.
"""

from __future__ import annotations

import os
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Union

from ._errors import Error
from ._library import PathLike, call, perform, text
from ._progress import ProgressOption, told
from ._results import (
    BundleReport,
    ExportReport,
    Inspection,
    Plugins,
    RunReport,
    Verification,
)

Options = Mapping[str, Union[str, int, float, bool]]
Sources = Union[PathLike, Sequence[PathLike]]


def _path(path: Optional[PathLike]) -> Optional[str]:
    return None if path is None else text(path)


def _paths(paths: Optional[Sources]) -> Optional[List[str]]:
    if paths is None:
        return None
    return [text(path) for path in ([paths] if isinstance(paths, (str, os.PathLike)) else paths)]


def _options(options: Optional[Options]) -> Optional[Dict[str, Union[str, int, float, bool]]]:
    return None if options is None else dict(options)


def _layout(
    layout: Optional[str], layout_option: Optional[Options], shard_size: Optional[str]
) -> Dict[str, Any]:
    return {"layout": layout, "layout-option": _options(layout_option), "shard-size": shard_size}


def _target(
    output: PathLike, force: bool, no_sync: bool, no_clone: bool, check: str
) -> Dict[str, Any]:
    return {
        "output": text(output),
        "force": force,
        "no-sync": no_sync,
        "no-clone": no_clone,
        "check": check,
    }


def inspect(source: PathLike, *, xps: Optional[PathLike] = None) -> Union[Inspection, BundleReport]:
    """What is in a source. Nothing of it is run, and no tensor is read.

    Args:
        source: a checkpoint, an exported file, a directory that holds one of these or a bundle, a
            Dora signature (``//sig/9f2c``), or the name of a model.
        xps: directory of Dora signatures.

    Returns:
        A BundleReport for the directory of a bundle, else an Inspection. That something cannot be
        exported, or does not hold, is in it, and no error.

    Raises:
        Error: input ``source.*``, ``format.*``, ``zip.*``, ``pickle.*``: nothing can be read.
    """
    json = call("inspect", {"source": text(source), "xps": _path(xps)})
    return Inspection._of(json) if "source_kind" in json else BundleReport._of(json)


def export(
    source: PathLike,
    output: PathLike,
    *,
    component: Optional[str] = None,
    exporter: Optional[str] = None,
    option: Optional[Options] = None,
    xps: Optional[PathLike] = None,
    state: Optional[str] = None,
    dtype: Optional[str] = None,
    dtype_of: Optional[str] = None,
    average: Optional[Sources] = None,
    merge: Optional[Sources] = None,
    fold_weight_norm: bool = False,
    config_from: Optional[PathLike] = None,
    as_is: bool = False,
    layout: Optional[str] = None,
    layout_option: Optional[Options] = None,
    shard_size: Optional[str] = None,
    force: bool = False,
    no_sync: bool = False,
    no_clone: bool = False,
    check: str = "crc",
    progress: ProgressOption = None,
) -> ExportReport:
    """Writes one component of a model as a file, as AudioCraft's export functions do.

    Args:
        source: what to export, as for ``inspect()``.
        output: file to write, or directory for a layout with several; missing parents are created.
        component: role of the component, of a source that holds several or does not tell.
        exporter: exporter to use instead of the best one.
        option: options of the exporter.
        xps: directory of Dora signatures.
        state: ``best``, ``ema`` or ``last``, of a training.
        dtype: element type of the weights: ``float32``, ``float16``, ``bfloat16``.
        dtype_of: element types by name of the tensor: ``"*.norm*=float32,*=float16"``.
        average: further checkpoints of the same model; the weights become the mean over all.
        merge: LoRA adapters of PEFT to merge into the weights, in this order.
        fold_weight_norm: replace the parts of a weight norm by the weight they make.
        config_from: where weights without a configuration get it.
        as_is: take a model that no rule covers as it is.
        layout: layout to write, ``audiocraft`` by default.
        layout_option: options of the layout.
        shard_size: largest file of weights: ``5GB``, ``500MB``.
        force: replace what is there, once the new one is complete.
        no_sync: do not wait until the disk has everything.
        no_clone: write every byte, also where blocks of the disk could be shared with the source.
        check: ``crc``, or ``structure`` to read nothing for checking alone.
        progress: see the module.

    Raises:
        Error: usage ``option.*``, ``target.*``; input and mismatch when the source is refused;
            system ``io.*``.
    """
    request = {
        "source": text(source),
        "component": component,
        "exporter": exporter,
        "option": _options(option),
        "xps": _path(xps),
        "state": state,
        "dtype": dtype,
        "dtype-of": dtype_of,
        "average": _paths(average),
        "merge": _paths(merge),
        "fold-weight-norm": fold_weight_norm,
        "config-from": _path(config_from),
        "as-is": as_is,
        **_layout(layout, layout_option, shard_size),
        **_target(output, force, no_sync, no_clone, check),
    }
    with told(progress) as callback:
        return ExportReport._of(call("export", request, callback))


def bundle(
    output: PathLike,
    *,
    lm: Optional[PathLike] = None,
    lm_option: Optional[Options] = None,
    lm_exporter: Optional[str] = None,
    compression: Optional[PathLike] = None,
    compression_option: Optional[Options] = None,
    compression_exporter: Optional[str] = None,
    text_encoder: Optional[PathLike] = None,
    text_encoder_option: Optional[Options] = None,
    text_encoder_exporter: Optional[str] = None,
    component: Optional[Mapping[str, PathLike]] = None,
    component_option: Optional[Mapping[str, Options]] = None,
    component_exporter: Optional[Mapping[str, str]] = None,
    xps: Optional[PathLike] = None,
    state: Optional[str] = None,
    dtype: Optional[str] = None,
    layout: Optional[str] = None,
    layout_option: Optional[Options] = None,
    shard_size: Optional[str] = None,
    allow_mismatch: bool = False,
    embed: bool = False,
    force: bool = False,
    no_sync: bool = False,
    no_clone: bool = False,
    check: str = "crc",
    progress: ProgressOption = None,
) -> BundleReport:
    """Writes a complete model as a directory, once its components are checked and fit.

    Args:
        output: directory to create; missing parents are created.
        lm, compression, text_encoder: sources of the components, as for ``inspect()``.
        lm_option, compression_option, text_encoder_option: options of the component's exporter.
        lm_exporter, compression_exporter, text_encoder_exporter: exporter to use for it.
        component: sources of further components by their roles.
        component_option, component_exporter: options and exporters of these, by role.
        allow_mismatch: write components that do not fit; the manifest says so.
        embed: put what loaders would fetch into the bundle, from the cache of the hub.

    The others are as for ``export()``, and are meant for all components that hold weights.

    Raises:
        Error: as ``export()``; usage ``bundle.empty``; mismatch ``bundle.mismatch``.
    """
    given: List[Tuple[str, Optional[PathLike], Optional[Options], Optional[str]]] = [
        ("lm", lm, lm_option, lm_exporter),
        ("compression", compression, compression_option, compression_exporter),
        ("text_encoder", text_encoder, text_encoder_option, text_encoder_exporter),
    ]
    options, exporters = component_option or {}, component_exporter or {}
    for role, source in (component or {}).items():
        given.append((role, source, options.get(role), exporters.get(role)))
    for role in (*options, *exporters):
        if role not in (component or {}):
            raise Error(
                "usage", "option.syntax", f"there is no component {role!r} to which options belong"
            )
    request = {
        "components": [
            {
                "role": role,
                "source": text(source),
                "option": _options(own),
                "exporter": exporter,
            }
            for role, source, own, exporter in given
            if source is not None
        ],
        "xps": _path(xps),
        "state": state,
        "dtype": dtype,
        "allow-mismatch": allow_mismatch,
        "embed": embed,
        **_layout(layout, layout_option, shard_size),
        **_target(output, force, no_sync, no_clone, check),
    }
    with told(progress) as callback:
        return BundleReport._of(call("bundle", request, callback))


def convert(
    bundle: PathLike,
    output: PathLike,
    *,
    layout: Optional[str] = None,
    layout_option: Optional[Options] = None,
    shard_size: Optional[str] = None,
    allow_mismatch: bool = False,
    embed: bool = False,
    force: bool = False,
    no_sync: bool = False,
    no_clone: bool = False,
    check: str = "crc",
    progress: ProgressOption = None,
) -> BundleReport:
    """Writes a bundle, of any layout that can be read, in another layout.

    Arguments are as for ``bundle()``.

    Raises:
        Error: as ``bundle()``; input ``bundle.none``, ``manifest.*``.
    """
    request = {
        "bundle": text(bundle),
        "allow-mismatch": allow_mismatch,
        "embed": embed,
        **_layout(layout, layout_option, shard_size),
        **_target(output, force, no_sync, no_clone, check),
    }
    with told(progress) as callback:
        return BundleReport._of(call("convert", request, callback))


def verify(
    source: PathLike,
    *,
    against: Optional[PathLike] = None,
    check: str = "crc",
    as_is: bool = False,
    run: bool = False,
    seconds: Optional[float] = None,
    codebooks: Optional[int] = None,
    device: Optional[str] = None,
    threads: Optional[int] = None,
    progress: ProgressOption = None,
) -> Verification:
    """Reads a bundle or exported file and says what holds.

    Args:
        source: directory of a bundle, or an exported file.
        against: a file or directory to compare the tensors with.
        check: ``crc`` reads every byte; ``structure`` no tensor.
        as_is: what was exported with ``as_is``; a bundle says so itself.
        run: encode and decode a test signal with the codec, when nothing fails before. Needs the
            plugin that runs codecs: ``pip install craftbundle[codecs]``. The program takes a
            file of audio, too: ``craftbundle verify my_model --run speech.wav -o decoded.wav``.
        seconds: length of the test signal; 10 by default.
        codebooks: use only the first so many of the codec's.
        device: where to compute: ``cpu`` (by default), ``cuda:0``.
        threads: to compute with; as many as PyTorch likes by default.
        progress: see the module.

    Returns:
        What was looked at. It is true when nothing fails; that something does is no error.

    Raises:
        Error: input ``bundle.none``: it is neither, ``codec.none``: no plugin can run what is in
            it; usage ``verify.against``, ``option.needs``: options of the codec without ``run``.
    """
    request = {
        "source": text(source),
        "against": _path(against),
        "check": check,
        "as-is": as_is,
        "run": run,
        "seconds": seconds,
        "codebooks": codebooks,
        "device": device,
        "threads": threads,
        "page": True,
    }
    with told(progress) as callback:
        return Verification._of(call("verify", request, callback))


def run(
    script: PathLike,
    *,
    set: Optional[Options] = None,
    state_dir: Optional[PathLike] = None,
    only: Union[str, Sequence[str], None] = None,
    until: Union[str, Sequence[str], None] = None,
    rerun: bool = False,
    force: bool = False,
    keep_going: bool = False,
    jobs: int = 0,
    no_sync: bool = False,
    no_clone: bool = False,
    check: str = "crc",
    progress: ProgressOption = None,
) -> RunReport:
    """Runs the stages of a run script that have to be.

    Args:
        script: the script (YAML).
        set: other values for variables of the script.
        state_dir: where to remember what was done, instead of ``.craftbundle`` beside the script.
        only: run these stages and nothing else; names or patterns.
        until: run these stages and what they need.
        rerun: also stages that are up to date.
        force: replace outputs that this script has not made.
        keep_going: after a failure run what does not need the failed stage.
        jobs: stages at the same time; 0: one a core.
        no_sync, no_clone, check, progress: as for ``export()``.

    Raises:
        Error: usage ``run.script`` with everything that is wrong with the script, before anything
            was run; that of the first stage that failed, with what became of all of them in its
            ``report``; system ``run.busy`` while another run of the script is under way.
    """
    request = {
        "script": text(script),
        "set": _options(set),
        "state-dir": _path(state_dir),
        "only": [only] if isinstance(only, str) else only,
        "until": [until] if isinstance(until, str) else until,
        "rerun": rerun,
        "force": force,
        "keep-going": keep_going,
        "jobs": jobs,
        "no-sync": no_sync,
        "no-clone": no_clone,
        "check": check,
        "page": True,
    }
    with told(progress) as callback:
        json, error = perform("run", request, callback)
    report = None if json is None else RunReport._of(json)
    if error is not None:
        error.report = report
        raise error
    assert report is not None
    return report


def plugins() -> Plugins:
    """The plugins that are found, and libraries that are refused.

    They are looked for where CRAFTBUNDLE_PLUGIN_PATH says, in the user's own directory and beside
    the library; a change of the variable counts from the next call on.
    """
    return Plugins._of(call("plugins", {}))
