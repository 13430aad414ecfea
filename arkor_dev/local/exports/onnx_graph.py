"""Exports a classifier, an embedder or a reranker as ONNX, and verifies it with ONNX Runtime.

The graph takes what the tokenizer beside it returns for padded texts, and computes logits, or vectors of
length 1. Number and length of texts are free. The weights are float32, with the adapter merged into the base.
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
from arkor_dev.local.inference.adapter_scale import FULL_STRENGTH, AdapterScale
from arkor_dev.local.jobs.atomic_folder import write_atomically
from arkor_dev.local.modeling import embedder as embedders
from arkor_dev.local.modeling import reranker as rerankers
from arkor_dev.local.modeling.adapted_model import with_adapter
from arkor_dev.local.modeling.auto_class import is_encoder
from arkor_dev.local.modeling.base_model import unwrapped
from arkor_dev.local.modeling.classes import CALIBRATION, HEAD, Classes
from arkor_dev.local.modeling.classes import FILE as LABELS
from arkor_dev.local.modeling.embedder import DOCUMENT, QUERY, Embedder, is_embedder
from arkor_dev.local.modeling.head import with_head
from arkor_dev.local.modeling.reranker import is_reranker
from arkor_dev.local.modeling.tokenizer import save_tokenizer
from arkor_dev.local.models.catalog import portable_name
from arkor_dev.local.workers.errors import JobFailure, out_of_memory

from .export import ADAPTER, LONGEST, ROWS, ExportTask
from .files import free_memory, load_in_float32, merge
from .proof import difference, outputs_proof

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from onnx_ir import Model
    from torch import Tensor
    from torch.nn import Module
    from transformers import PreTrainedTokenizerBase

    from arkor_dev.contract.shapes import ExportProof
    from arkor_dev.data.rows import Row

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


class OnnxExport(ExportTask):
    """As `ExportTask`, for a classifier, an embedder or a reranker in the format ``onnx``."""

    dtype = torch.float32

    def make(self, rows: Sequence[Row]) -> ExportProof:
        """Write and verify the export with the texts of ``rows``. See `ExportTask.make`."""
        if not rows:
            raise JobFailure("The job's rows can't be read, so nothing could be verified")
        if not self.in_place:
            self._check_room()
        embedder = Embedder.read(self.source) if is_embedder(self.source) else None
        rows = rows[:: max(1, -(-len(rows) // ROWS))]
        texts = self._texts(rows, embedder)
        self.progress(f"Loading {self.name}", 0, None, "")
        base = load_in_float32(self.base, four_bit=self.four_bit, headed=embedder is None)
        model = base.model.eval().to("cpu")
        if embedder is None:
            model = with_head(model, Classes.read(self.source))
        trained = with_adapter(model, self.source)
        if self.strength != FULL_STRENGTH:
            AdapterScale(trained, ADAPTER).set(self.strength)
        graph = Graph(unwrapped(trained), embedder)
        tokenizer = base.tokenizer
        _prepare(tokenizer, graph, min(LONGEST, base.context))
        of_trained = self._outputs("the trained model", graph, tokenizer, texts)
        with trained.disable_adapter():
            of_base = self._outputs("the base model", graph, tokenizer, texts)
        if not self.in_place:
            self.progress("Writing", 0, None, "")
            merged = Graph(merge(trained), embedder).eval()
            tokenizer.model_max_length, tokenizer.chat_template = base.context, None
            write_atomically(self.target, lambda folder: self._fill(folder, merged, tokenizer, texts))
            self.written(self._files())
        base.model = model = trained = graph = merged = None  # type: ignore[assignment]
        free_memory()
        self.progress("Testing the exported files", 0, None, "")
        of_exported = self._in_onnx_runtime(texts)
        distances = difference(of_trained, of_exported), difference(of_trained, of_base)
        return outputs_proof(len(of_trained), *distances, FIGURES)

    def _texts(self, rows: Sequence[Row], embedder: Embedder | None) -> Inputs:
        firsts = [row.text or "" for row in rows]
        if is_reranker(self.source):
            return Inputs(firsts, [row.extra[RANKED] for row in rows])
        if embedder is None:
            return Inputs(firsts)
        prompted = [embedder.prompted(text, QUERY) for text in firsts]
        return Inputs([*prompted, *(embedder.prompted(row.extra[POSITIVE], DOCUMENT) for row in rows)])

    def _outputs(
        self, subject: str, graph: Module, tokenizer: PreTrainedTokenizerBase, texts: Inputs
    ) -> Tensor:
        """Return the outputs for all texts, each computed alone, ``[texts, size]``."""
        outputs = []
        with torch.inference_mode():
            for at in range(len(texts.firsts)):
                self.progress(f"Testing {subject}", at, len(texts.firsts), "texts")
                outputs.append(graph(**texts.tokenized(tokenizer, at, at + 1, "pt")))
        return torch.cat(outputs)

    def _fill(self, folder: Path, graph: Graph, tokenizer: PreTrainedTokenizerBase, texts: Inputs) -> None:
        """Write all files of the export into ``folder``."""
        # Two texts: a single one would count as the only number of texts.
        example = Inputs(["one text", "another"], None if texts.seconds is None else ["and", "its second"])
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

    def _in_onnx_runtime(self, texts: Inputs) -> Tensor:
        """Return the outputs of the export in padded batches, as any program with the library gets them."""
        import onnxruntime

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
