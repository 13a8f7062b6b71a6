"""What calls give back: frozen dataclasses, which notebooks show as a table or page.

``json`` of each is the whole document, as the program prints it with ``--json``.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

from ._errors import Error

Document = Mapping[str, Any]


def _escape(value: object) -> str:
    import html

    return html.escape(str(value))


def _table(caption: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    head = "".join(f"<th>{_escape(cell)}</th>" for cell in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{_escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return (
        f"<table><caption>{_escape(caption)}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def _frame(page: str) -> str:
    """A whole page inside of another one."""
    style = "width: 100%; height: 40em; border: 1px solid #8888"
    return f'<iframe srcdoc="{_escape(page)}" style="{style}"></iframe>'


def _bytes_text(count: int) -> str:
    """As the program shows sizes: "1.5 MiB"."""
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            break
        value /= 1024
    else:
        unit = "TiB"
    return f"{count} B" if unit == "B" else f"{value:.1f} {unit}"


def _named(items: Iterable[Document]) -> Mapping[str, str]:
    return {item["name"]: item["value"] for item in items}


@dataclass(frozen=True)
class Component:
    """A part of a model: what it was made from and what was checked.

    Attributes:
        role: ``lm``, ``compression``, ``text_encoder`` or a third party's word.
        source: what it was made from, as it was given.
        exporter: the exporter that checked it.
        options: those of the exporter, as text.
        summary: what people want to know of it, as text: family, sample rate, state, ...
        checks: what was checked, a clause each.
        warnings: what is worth knowing, a clause each.
    """

    role: str
    source: str
    exporter: str
    options: Mapping[str, str]
    summary: Mapping[str, str]
    checks: Tuple[str, ...]
    warnings: Tuple[str, ...]
    json: Document = field(repr=False, compare=False)

    @classmethod
    def _of(cls, json: Document) -> Component:
        return cls(
            json["role"],
            json["source"],
            json["exporter"],
            _named(json["options"]),
            _named(json["summary"]),
            tuple(json["checks"]),
            tuple(json["warnings"]),
            json,
        )

    def _repr_html_(self) -> str:
        return _table(f"{self.role} by {self.exporter}", ("what", "value"), self.summary.items())


@dataclass(frozen=True)
class ExportReport:
    """A component that was written.

    Attributes:
        path: the file, or the directory of a layout that has several files for a component.
        size: bytes of all files.
        shared_bytes: how many of these lie in the same blocks on the disk as in the sources.
        tensors: how many tensors are in them.
        layout: the layout that was written.
        component: what was written.
    """

    path: Path
    size: int
    shared_bytes: int
    tensors: int
    layout: str
    component: Component
    json: Document = field(repr=False, compare=False)

    @classmethod
    def _of(cls, json: Document) -> ExportReport:
        return cls(
            Path(json["file"]),
            json["size"],
            json.get("shared_bytes", 0),
            json["tensors"],
            json["layout"],
            Component._of(json),
            json,
        )

    def _repr_html_(self) -> str:
        rows = [
            ("file", self.path),
            ("size", _bytes_text(self.size)),
            ("tensors", self.tensors),
            ("layout", self.layout),
            ("role", self.component.role),
            ("source", self.component.source),
            *(("checked", check) for check in self.component.checks),
            *(("warning", warning) for warning in self.component.warnings),
        ]
        return _table("export", ("what", "value"), rows)


@dataclass(frozen=True)
class BundleReport:
    """A bundle that was written, or that was looked at.

    Attributes:
        directory: where it is.
        layout: its layout; empty for one that was not written by Craftbundle.
        files: names of its files, and their sizes in bytes.
        shared_bytes: how many bytes of one that was written lie in the same blocks on the disk as
            in the sources.
        components: what is in it.
        fit: the facts that components require of each other, and what became of each: ``agrees``,
            ``differs`` or ``unstated``.
        warnings: about the bundle as a whole.
        problems: what does not hold, of one that was looked at.
    """

    directory: Path
    layout: str
    files: Mapping[str, int]
    shared_bytes: int
    components: Tuple[Component, ...]
    fit: Tuple[Tuple[str, str], ...]
    warnings: Tuple[str, ...]
    problems: Tuple[str, ...]
    json: Document = field(repr=False, compare=False)

    @classmethod
    def _of(cls, json: Document) -> BundleReport:
        manifest = json["manifest"]
        found = json if "components" in json else manifest
        return cls(
            Path(json["directory"]),
            manifest["layout"] if manifest else "",
            {file.get("name", file.get("file")): file["size"] for file in found["files"]},
            json.get("shared_bytes", 0),
            tuple(Component._of(component) for component in found["components"]),
            tuple((check["name"], check["outcome"]) for check in found["fit"]),
            tuple(json.get("warnings", ())),
            tuple(json.get("problems", ())),
            json,
        )

    def component(self, role: str) -> Component:
        """The component of a role. Raises KeyError."""
        for component in self.components:
            if component.role == role:
                return component
        raise KeyError(role)

    def _repr_html_(self) -> str:
        rows: List[Sequence[object]] = [
            ("file", name, _bytes_text(size)) for name, size in self.files.items()
        ]
        rows += [(part.role, part.exporter, part.source) for part in self.components]
        rows += [("fit", name, outcome) for name, outcome in self.fit]
        rows += [("warning", "", text) for text in self.warnings]
        rows += [("problem", "", text) for text in self.problems]
        return _table(str(self.directory), ("", "what", ""), rows)


@dataclass(frozen=True)
class Inspection:
    """What is in a source that is no bundle.

    Attributes:
        source: as it was given.
        kind: ``checkpoint``, ``directory``, ``model`` or ``pretrained`` (a name alone).
        component: what it would be exported as; None when it cannot be.
        refusal: why it cannot be exported; None when it can.
        unsafe: how many names in its pickle run code when Python loads it.
    """

    source: str
    kind: str
    component: Optional[Component]
    refusal: Optional[Error]
    unsafe: int
    json: Document = field(repr=False, compare=False)

    @classmethod
    def _of(cls, json: Document) -> Inspection:
        component = json.get("component")
        refusal = json.get("not_exportable")
        return cls(
            json["source"],
            json["source_kind"],
            None if component is None else Component._of(component),
            (
                None
                if refusal is None
                else Error(refusal["kind"], refusal["code"], refusal["message"], refusal["hint"])
            ),
            json.get("checkpoint", {}).get("unsafe", 0),
            json,
        )

    def _repr_html_(self) -> str:
        rows: List[Sequence[object]] = [("kind", self.kind)]
        checkpoint = self.json.get("checkpoint")
        if checkpoint is not None:
            rows.append(("size", _bytes_text(checkpoint["size"])))
            rows += [(key["key"], key["what"]) for key in checkpoint["keys"]]
            rows.append(("names that run code", self.unsafe))
        if self.component is not None:
            rows.append(("exported as", f"{self.component.role} by {self.component.exporter}"))
            rows += list(self.component.summary.items())
        if self.refusal is not None:
            rows.append(("not exportable", self.refusal))
        return _table(self.source, ("what", "value"), rows)


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        outcome: ``holds``, ``fails`` or ``warns``.
        file: the file it is about; empty for the bundle as a whole.
        code: of a failure, the check: ``zip.crc``.
        text: a clause.
        hint: what to do about a failure; may be empty.
    """

    outcome: str
    file: str
    code: str
    text: str
    hint: str


@dataclass(frozen=True)
class CodecRun:
    """What a codec made of a test signal.

    Attributes:
        file: the file that holds it.
        engine, device: what computed, and where.
        input: what was coded.
        sample_rate: in Hz.
        channels: of the audio.
        seconds: length of the audio.
        frames: of codes.
        bits_per_second: of the codes.
        si_snr_db: scale-invariant signal-to-noise ratio of what was decoded; None for silence.
        repeats: whether equal input gives equal codes.
        codes_per_second: encoded.
        encode_times_real_time, decode_times_real_time: seconds of audio in a second.
        codebooks: of each, ``used`` of ``entries``, ``bits_per_code``, ``frames_per_code`` and
            ``bits_per_second_so_far``, those before it included.
    """

    file: str
    engine: str
    device: str
    input: str
    sample_rate: int
    channels: int
    seconds: float
    frames: int
    bits_per_second: float
    si_snr_db: Optional[float]
    repeats: bool
    codes_per_second: float
    encode_times_real_time: float
    decode_times_real_time: float
    codebooks: Tuple[Document, ...]
    json: Document = field(repr=False, compare=False)

    @classmethod
    def _of(cls, json: Document) -> CodecRun:
        members = {entry.name: json[entry.name] for entry in fields(cls) if entry.name in json}
        return cls(**{**members, "codebooks": tuple(json["codebooks"]), "json": json})

    def _repr_html_(self) -> str:
        rows = [(name, self.json[name]) for name in self.json if name != "codebooks"]
        return _table(f"codec of {self.file}", ("what", "value"), rows)


@dataclass(frozen=True)
class Verification:
    """Whether a bundle or exported file is what it says it is.

    Attributes:
        path: what was verified.
        sound: whether nothing fails. Also the truth value of the object.
        bytes: size of the files.
        findings: what was looked at, in order.
        offline: whether it loads without the network; None when that is not known.
        fetches: names that loaders fetch from the network.
        differences: of each tensor, against the original: ``file``, ``tensor``, ``type``,
            ``elements``, ``largest`` (absolute error) and ``relative`` (root mean square).
        codec: what the codec made of a test signal; None when it was not run, or too wrong to be.
        page: a page (XHTML) that shows all of it; notebooks do.
    """

    path: Path
    sound: bool
    bytes: int
    findings: Tuple[Finding, ...]
    offline: Optional[bool]
    fetches: Tuple[str, ...]
    differences: Tuple[Document, ...]
    codec: Optional[CodecRun]
    page: str = field(repr=False, compare=False)
    json: Document = field(repr=False, compare=False)

    @classmethod
    def _of(cls, json: Dict[str, Any]) -> Verification:
        return cls(
            Path(json["path"]),
            json["sound"],
            json["bytes"],
            tuple(Finding(**finding) for finding in json["findings"]),
            json["offline"],
            tuple(json["fetches"]),
            tuple(json.get("differences", ())),
            CodecRun._of(json["codec"]) if "codec" in json else None,
            json.pop("page"),
            json,
        )

    def __bool__(self) -> bool:
        return self.sound

    def _repr_html_(self) -> str:
        return _frame(self.page)


@dataclass(frozen=True)
class Stage:
    """What became of a stage of a run.

    Attributes:
        name: its name.
        kind: ``export``, ``bundle``, ``command``, ...
        state: ``done``, ``up to date``, ``failed``, ``interrupted``, ``blocked``, ``not run`` or
            ``left out``.
        reasons: why it ran, or why not, a clause each.
        seconds: of all attempts.
        outputs: where it left what.
        error: why it failed; None when it did not.
    """

    name: str
    kind: str
    state: str
    reasons: Tuple[str, ...]
    seconds: float
    outputs: Mapping[str, Path]
    error: Optional[Error]
    json: Document = field(repr=False, compare=False)

    @classmethod
    def _of(cls, json: Document) -> Stage:
        error = json["error"]
        return cls(
            json["name"],
            json["kind"],
            json["state"],
            tuple(json["reasons"]),
            json["seconds"],
            {output["name"]: Path(output["path"]) for output in json["outputs"]},
            (
                None
                if error is None
                else Error(error["kind"], error["code"], error["message"], error["hint"])
            ),
            json,
        )


@dataclass(frozen=True)
class RunReport:
    """What a run of a script did.

    Attributes:
        script: as it was given.
        seconds: how long it took.
        bytes: written in this run.
        stages: all of them, in the order of the script.
        page: a page (XHTML) that shows all of it; notebooks do.
    """

    script: str
    seconds: float
    bytes: int
    stages: Tuple[Stage, ...]
    page: str = field(repr=False, compare=False)
    json: Document = field(repr=False, compare=False)

    @classmethod
    def _of(cls, json: Dict[str, Any]) -> RunReport:
        return cls(
            json["script"],
            json["seconds"],
            json["bytes"],
            tuple(Stage._of(stage) for stage in json["stages"]),
            json.pop("page"),
            json,
        )

    def stage(self, name: str) -> Stage:
        """The stage of a name. Raises KeyError."""
        for stage in self.stages:
            if stage.name == name:
                return stage
        raise KeyError(name)

    def _repr_html_(self) -> str:
        return _frame(self.page)


@dataclass(frozen=True)
class Plugin:
    """A library with exporters, layouts, codecs or kinds of stage.

    Attributes:
        name, version: of the plugin.
        library: the file.
        origin: why it was looked for there: ``installed``, ``user``, ``CRAFTBUNDLE_PLUGIN_PATH``.
        exporters, layouts: the names of those it offers.
    """

    name: str
    version: str
    library: Path
    origin: str
    exporters: Tuple[str, ...]
    layouts: Tuple[str, ...]
    json: Document = field(repr=False, compare=False)


@dataclass(frozen=True)
class RefusedPlugin:
    """A library that is not used.

    Attributes:
        library: the file.
        origin: why it was looked for there.
        code, reason: why it is refused.
    """

    library: Path
    origin: str
    code: str
    reason: str


@dataclass(frozen=True)
class Plugins:
    """The plugins that were found.

    Attributes:
        plugins: those that are used.
        refused: those that are not, with the reason.
    """

    plugins: Tuple[Plugin, ...]
    refused: Tuple[RefusedPlugin, ...]
    json: Document = field(repr=False, compare=False)

    @classmethod
    def _of(cls, json: Document) -> Plugins:
        return cls(
            tuple(
                Plugin(
                    plugin["name"],
                    plugin["version"],
                    Path(plugin["library"]),
                    plugin["origin"],
                    tuple(offer["name"] for offer in plugin["exporters"]),
                    tuple(offer["name"] for offer in plugin["layouts"]),
                    plugin,
                )
                for plugin in json["plugins"]
            ),
            tuple(
                RefusedPlugin(
                    Path(refused["library"]), refused["origin"], refused["code"], refused["reason"]
                )
                for refused in json["refused"]
            ),
            json,
        )

    def _repr_html_(self) -> str:
        rows: List[Sequence[object]] = [
            (plugin.name, plugin.version, ", ".join(plugin.exporters + plugin.layouts))
            for plugin in self.plugins
        ]
        rows += [(refused.library.name, "refused", refused.reason) for refused in self.refused]
        return _table("plugins", ("plugin", "version", "offers"), rows)
