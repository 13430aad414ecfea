"""The process that makes one export and then exits."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from .messages import MakeExport, Verified, Written

if TYPE_CHECKING:
    from arkor_dev.data.rows import Row
    from arkor_dev.local.workers.link import Link


def export(request: MakeExport, link: Link) -> Verified:
    """Make the export; send `Written` once the files are written.

    If they are ``written`` already, they are only verified.
    """
    form = request.format
    rows = _rows(request, link)
    model = link.receive(Model)
    os.environ["HF_HUB_OFFLINE"] = "1"  # from here on everything is read from local folders
    from .export import ExportTask

    base, source, target = model.path, Path(request.source), Path(request.target)
    arguments = (
        form,
        source,
        request.source_kind,
        base,
        model.name,
        target,
        link.progress,
        request.strength,
    )

    def written(files: dict[str, Any]) -> None:
        link.send(Written(**files))

    four_bit = bool(request.job.config.get("loadIn4bit")) or comes_in_4_bit(base)
    if four_bit and form == "gguf-lora":
        raise JobFailure(ON_4_BIT)
    options: dict[str, Any] = {"four_bit": four_bit, "written": written}
    options["arguments"] = template_arguments(request.job.config)
    if form in LLAMA_FORMATS:
        from .llama.export import LlamaExport

        llama_arguments = (request.quantization or "", Path(request.cache))
        if is_embedder(source):
            from .llama.embedder import LlamaEmbedderExport

            return Verified(**LlamaEmbedderExport(*arguments, *llama_arguments, **options).make(rows))
        return Verified(**LlamaExport(*arguments, *llama_arguments, **options).make(rows))
    options["in_place"] = request.written
    if form == ONNX:
        from .onnx_graph import OnnxExport

        return Verified(**OnnxExport(*arguments, **options).make(rows))
    if is_reranker(source):
        from .reranker import RerankerExport

        return Verified(**RerankerExport(*arguments, **options).make(rows))
    if is_classifier(source):
        from .classifier import ClassifierExport

        return Verified(**ClassifierExport(*arguments, **options).make(rows))
    if is_embedder(source):
        from .embedder import EmbedderExport

        return Verified(**EmbedderExport(*arguments, **options).make(rows))
    return Verified(**ExportTask(*arguments, **options).make(rows))


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
