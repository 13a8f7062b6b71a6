"""The one exception of the module."""

from __future__ import annotations

TYPE_CHECKING = False  # as in __init__.py
if TYPE_CHECKING:
    from typing import Optional, Tuple

    from ._results import RunReport


class Error(Exception):
    """What Craftbundle refuses or could not do.

    Texts are for people and may change; decide by ``kind`` and ``code``.

    Attributes:
        kind: what can be done about it: ``usage`` (the call is wrong), ``input`` (the source is
            malformed, unsafe or incomplete), ``mismatch`` (readable, but its contents are not what
            they should be), ``system`` (disk, memory), ``plugin`` (a plugin is missing or failed),
            ``interrupted``, ``internal`` (a bug in Craftbundle).
        code: the check that failed, for example ``zip.crc``; stable.
        message: one or more sentences, with the places in front.
        hint: what to do next; may be empty.
        contexts: the places alone, the outermost first.
        report: of ``run()`` what became of each stage; otherwise None.
    """

    def __init__(
        self,
        kind: str,
        code: str,
        message: str,
        hint: str = "",
        contexts: Tuple[str, ...] = (),
        report: Optional[RunReport] = None,
    ) -> None:
        super().__init__(kind, code, message, hint, contexts, report)
        self.kind = kind
        self.code = code
        self.message = message
        self.hint = hint
        self.contexts = contexts
        self.report = report

    def __str__(self) -> str:
        text = f"{self.message} [{self.code}]"
        return f"{text}\nhint: {self.hint}" if self.hint else text
