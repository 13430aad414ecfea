"""Messages to and from the process that makes one export."""

from __future__ import annotations

from dataclasses import dataclass

from arkor_dev.contract.shapes import ExportFile, ExportProof
from arkor_dev.local.execution.messages import JobRequest
from arkor_dev.local.workers.codec import Message


@dataclass(frozen=True)
class MakeExport(Message):
    """Export the adapter or model of ``source_kind`` in the folder ``source`` to the folder ``target``.

    ``job`` says where its data is. With ``written`` the files exist, and are only verified. The model
    follows.
    """

    job: JobRequest
    format: str
    quantization: str | None
    strength: float
    cache: str
    source: str
    source_kind: str
    target: str
    written: bool


@dataclass(frozen=True)
class Written(Message):
    """The files are written, ``bytes`` in all; each file is described by the contract's ``ExportFile``."""

    bytes: int
    files: list[ExportFile]


@dataclass(frozen=True)
class Verified(Message):
    """The export is complete: its files, which were `Written` before, have this proof."""

    proof: ExportProof
