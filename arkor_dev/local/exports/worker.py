"""The process that makes one export and then exits."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from arkor_dev.local.modeling.chat_template import template_arguments
from arkor_dev.local.modeling.gate import comes_in_4_bit
from arkor_dev.local.models.catalog import Model
from arkor_dev.local.training.preparation import RunPreparation
from arkor_dev.local.training.run_events import RunEvents
from arkor_dev.local.workers.errors import JobFailure, out_of_memory, write_failure
from arkor_dev.local.workers.link import serve

from .formats import FORMATS, ON_4_BIT, result_of, usage
from .messages import MakeExport, Verified

if TYPE_CHECKING:
    from arkor_dev.data.rows import Row
    from arkor_dev.local.workers.link import Link


def export(request: MakeExport, link: Link) -> Verified:
    """Make the export; send `Written` once the files are written.

    If they are ``written`` already, they are only verified.
    """
    rows = _rows(request, link)
    model = link.receive(Model)
    os.environ["HF_HUB_OFFLINE"] = "1"  # from here on everything is read from local folders
    four_bit = bool(request.job.config.get("loadIn4bit")) or comes_in_4_bit(model.path)
    if four_bit and request.format == "gguf-lora":
        raise JobFailure(ON_4_BIT)
    task = FORMATS[request.format].tasks[result_of(Path(request.source))]()(
        form=request.format,
        source=Path(request.source),
        kind=request.source_kind,
        base=model.path,
        name=model.name,
        target=Path(request.target),
        progress=link.progress,
        strength=request.strength,
        four_bit=four_bit,
        arguments=template_arguments(request.job.config),
        written=link.send,
        in_place=request.written,
        usage=usage(request.format, Path(request.source)).folder,
        quantization=request.quantization or "",
        cache=Path(request.cache),
    )
    return Verified(task.make(rows))


def _rows(request: MakeExport, link: Link) -> list[Row]:
    """Return rows of the job's data: held-out ones, else training ones; empty if the data are gone."""
    try:
        preparation = RunPreparation(request.job, RunEvents(), link.progress)
        preparation.read()
    except JobFailure:
        return []
    return preparation.eval_rows or preparation.train_rows


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return write_failure("the export", error)
    if out_of_memory(error):
        return "The machine ran out of memory: the whole model must fit into it in float32"
    return f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    serve(MakeExport, export, _reason, nice=5)
