"""Exports a classifier, an embedder or a reranker as ONNX, and verifies it with ONNX Runtime.

The graph takes what the tokenizer beside it returns for padded texts, and computes logits, or vectors of
length 1. Number and length of texts are free.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import torch
from torch.nn.functional import normalize
from transformers import AutoTokenizer

from arkor_dev.data.relevance import DOCUMENT as RANKED
from arkor_dev.data.text_pairs import POSITIVE
from arkor_dev.local.cards.writer import describe_merged
from arkor_dev.local.modeling import embedder as embedders
from arkor_dev.local.modeling import reranker as rerankers
from arkor_dev.local.modeling.auto_class import is_encoder
from arkor_dev.local.modeling.base_model import unwrapped
from arkor_dev.local.modeling.classes import CALIBRATION, HEAD
from arkor_dev.local.modeling.classes import FILE as LABELS
from arkor_dev.local.modeling.embedder import DOCUMENT, QUERY, Embedder, is_embedder
from arkor_dev.local.modeling.reranker import is_reranker
from arkor_dev.local.modeling.tokenizer import save_tokenizer
from arkor_dev.local.models.catalog import portable_name
from arkor_dev.local.workers.errors import JobFailure, out_of_memory

from .export import LONGEST
from .files import merge
from .outputs import OutputsExport

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from onnx_ir import Model
    from torch import Tensor
    from torch.nn import Module
    from transformers import PreTrainedTokenizerBase

    from arkor_dev.data.rows import Row
    from arkor_dev.local.modeling.base_model import Base

FIGURES: Final = (
    "in ONNX Runtime its outputs for {count} texts differ by {distance} at most, those without the adapter "
    "by {of_base}"
)
FILE: Final = "model.onnx"
BESIDE: Final = (LABELS, CALIBRATION, rerankers.FILE, embedders.FILE)
"""Files beside an adapter that say what outputs mean."""
TOGETHER: Final = 8
"""Number of texts that ONNX Runtime reads at once."""


class Graph(torch.nn.Module):  # type: ignore[misc]
    """What is exported: from token ids to the ``output``, for right-padded texts, ``[texts, tokens]``.

    ``model`` is transformers' own, with the head of a classifier or a reranker; an ``embedder`` pools.
    """

    def __init__(self, model: Module, embedder: Embedder | None) -> None:
        super().__init__()
        self.model, self.embedder = model, embedder
        self.output = "logits" if embedder is None else "sentence_embedding"
        types = is_encoder(model.config) and model.config.model_type == "bert"
        self.inputs = ["input_ids", "attention_mask", *(["token_type_ids"] if types else [])]

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
    ) -> Tensor:
        """Return logits ``[texts, classes]``, or vectors ``[texts, size]``."""
        inputs = {"input_ids": input_ids, "attention_mask": attention_mask}
        if token_type_ids is not None:
            inputs["token_type_ids"] = token_type_ids
        if self.embedder is None and is_encoder(self.model.config):
            return self.model(**inputs).logits
        hidden = self.model.base_model(**inputs, use_cache=False).last_hidden_state
        lengths = attention_mask.sum(1)
        if self.embedder is not None:
            return normalize(self.embedder.pooled(hidden, lengths), dim=-1)
        # `len` would make the number of texts a constant of the graph.
        last = hidden[torch.arange(hidden.shape[0], device=hidden.device), lengths - 1]
        return getattr(self.model, HEAD)(last)


@dataclass(frozen=True, slots=True)
class Inputs:
    """Texts to compare outputs on: ``seconds`` are those after each of ``firsts``, for pairs."""

    firsts: list[str]
    seconds: list[str] | None = None

    def tokenized(
        self, tokenizer: PreTrainedTokenizerBase, start: int, end: int, form: str
    ) -> dict[str, object]:
        """Return texts ``start`` to ``end`` as padded arrays of the library ``form``, ``pt`` or ``np``."""
        seconds = None if self.seconds is None else self.seconds[start:end]
        return dict(
            tokenizer(self.firsts[start:end], seconds, padding=True, truncation=True, return_tensors=form)
        )


class OnnxExport(OutputsExport):
    """As `OutputsExport`, for a classifier, an embedder or a reranker in the format ``onnx``."""

    figures = FIGURES

    @property
    def _embedder(self) -> Embedder | None:
        return Embedder.read(self.source) if is_embedder(self.source) else None

    def _load(self) -> Base:
        """See `OutputsExport`; the tokenizer returns what the graph takes."""
        base = super()._load()
        graph = Graph(unwrapped(base.model.to("cpu")), self._embedder)
        _prepare(base.tokenizer, graph, min(LONGEST, base.context))
        return base

    def _texts(self, rows: Sequence[Row]) -> Inputs:
        embedder = self._embedder
        firsts = [row.text or "" for row in rows]
        if is_reranker(self.source):
            return Inputs(firsts, [row.extra[RANKED] for row in rows])
        if embedder is None:
            return Inputs(firsts)
        prompted = [embedder.prompted(text, QUERY) for text in firsts]
        return Inputs([*prompted, *(embedder.prompted(row.extra[POSITIVE], DOCUMENT) for row in rows)])

    def _outputs(self, subject: str, base: Base, rows: Sequence[Row]) -> Tensor:
        """Return the outputs for all texts, each computed alone, ``[texts, size]``."""
        graph, texts = Graph(unwrapped(base.model), self._embedder), self._texts(rows)
        outputs = []
        with torch.inference_mode():
            for at in range(len(texts.firsts)):
                self.progress(f"Testing {subject}", at, len(texts.firsts), "texts")
                outputs.append(graph(**texts.tokenized(base.tokenizer, at, at + 1, "pt")))
        return torch.cat(outputs)

    def _fill(self, folder: Path, base: Base) -> None:
        """See `OutputsExport`."""
        graph, tokenizer = Graph(merge(base.model), self._embedder).eval(), base.tokenizer
        tokenizer.model_max_length, tokenizer.chat_template = base.context, None
        # Two texts: a single one would count as the only number of texts.
        example = Inputs(["one text", "another"], ["and", "its second"] if is_reranker(self.source) else None)
        tokenized = example.tokenized(tokenizer, 0, 2, "pt")
        inputs = {name: tokenized[name] for name in graph.inputs}  # the exporter names them by their order
        axes = {0: torch.export.Dim("texts"), 1: torch.export.Dim("tokens")}
        try:
            program = torch.onnx.export(
                graph,
                kwargs=inputs,
                input_names=graph.inputs,
                output_names=[graph.output],
                dynamic_shapes=dict.fromkeys(graph.inputs, axes),
                dynamo=True,
                verbose=False,
            )
        except (torch.onnx.OnnxExporterError, RuntimeError, TypeError, ValueError) as error:
            if out_of_memory(error):
                raise
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise JobFailure(f"torch's ONNX exporter does not support this model: {reason}") from error
        assert program
        _forget_sources(program.model)
        program.save(folder / FILE)
        tokenizer.name_or_path = portable_name(self.name)
        save_tokenizer(tokenizer, folder)
        for name in BESIDE:
            if (self.source / name).is_file():
                shutil.copyfile(self.source / name, folder / name)
        describe_merged(self.source, folder, self.strength)

    def _read_outputs(self, rows: Sequence[Row]) -> Tensor:
        """See `OutputsExport`; in padded batches."""
        import onnxruntime

        texts = self._texts(rows)
        session = onnxruntime.InferenceSession(str(self.target / FILE), providers=["CPUExecutionProvider"])
        tokenizer = AutoTokenizer.from_pretrained(
            str(self.target), local_files_only=True, trust_remote_code=False
        )
        tokenizer.model_max_length = min(LONGEST, tokenizer.model_max_length)
        outputs = []
        for start in range(0, len(texts.firsts), TOGETHER):
            (batch,) = session.run(None, texts.tokenized(tokenizer, start, start + TOGETHER, "np"))
            outputs.append(torch.from_numpy(batch))
        return torch.cat(outputs)


def _prepare(tokenizer: PreTrainedTokenizerBase, graph: Graph, longest: int) -> None:
    """Let ``tokenizer`` return what ``graph`` takes, of at most ``longest`` tokens."""
    tokenizer.padding_side = tokenizer.truncation_side = "right"
    tokenizer.model_input_names = graph.inputs
    tokenizer.model_max_length = longest


def _forget_sources(model: Model) -> None:
    """Remove the exporter's notes from a graph: they have the paths of this machine's source files."""
    for graph in (model.graph, *(function.graph for function in model.functions.values())):
        for node in graph.all_nodes():
            node.metadata_props.clear()
            for value in node.outputs:
                value.metadata_props.clear()
        for value in (*graph.inputs, *graph.initializers.values()):
            value.metadata_props.clear()
        graph.metadata_props.clear()
    model.metadata_props.clear()
