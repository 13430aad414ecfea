"""The process that makes one export and then exits."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from arkor_dev.contract.bodies import LLAMA_FORMATS, ONNX
from arkor_dev.local.modeling.chat_template import template_arguments
from arkor_dev.local.modeling.classes import is_classifier
from arkor_dev.local.modeling.embedder import is_embedder
from arkor_dev.local.modeling.gate import comes_in_4_bit
from arkor_dev.local.modeling.reranker import is_reranker
from arkor_dev.local.models.catalog import Model
from arkor_dev.local.training.preparation import RunPreparation
from arkor_dev.local.training.run_events import RunEvents
from arkor_dev.local.workers.errors import JobFailure, out_of_memory, write_failure
from arkor_dev.local.workers.link import serve

from .formats import ON_4_BIT
from .messages import MakeExport, Verified

if TYPE_CHECKING:
    from arkor_dev.data.rows import Row
    from arkor_dev.local.workers.link import Link

    from .export import ExportTask


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
    task = _task_of(request)(
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
        quantization=request.quantization or "",
        cache=Path(request.cache),
    )
    return Verified(task.make(rows))


def _task_of(request: MakeExport) -> type[ExportTask]:
    """Return the class that makes the requested export."""
    source = Path(request.source)
    if request.format in LLAMA_FORMATS:
        if is_embedder(source):
            from .llama.embedder import LlamaEmbedderExport

            return LlamaEmbedderExport
        from .llama.export import LlamaExport

        return LlamaExport
    if request.format == ONNX:
        from .onnx_graph import OnnxExport

        return OnnxExport
    if is_reranker(source):
        from .reranker import RerankerExport

        return RerankerExport
    if is_classifier(source):
        from .classifier import ClassifierExport

        return ClassifierExport
    if is_embedder(source):
        from .embedder import EmbedderExport

        return EmbedderExport
    from .export import ExportTask

    return ExportTask


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
