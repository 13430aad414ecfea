"""Messages to and from the processes that read a data set's rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from arkor_dev.contract.shapes import JobConfig
from arkor_dev.local.workers.codec import Message, Trusted


@dataclass(frozen=True)
class EmbedRows(Message):
    """Write the embeddings of the rows of ``config`` to the file ``target``. The model follows."""

    config: Annotated[JobConfig, Trusted()]
    project: str
    target: str


@dataclass(frozen=True)
class MeasureRows(Message):
    """Write the losses of the rows of ``config`` to the file ``target``. The model follows.

    ``adapter`` is the folder of a LoRA adapter, or None for the base model.
    """

    config: Annotated[JobConfig, Trusted()]
    project: str
    target: str
    adapter: str | None


@dataclass(frozen=True)
class RowsRead(Message):
    """The file is written, with so many rows that were not in any file before."""

    rows: int
