"""Exports an embedder as sentence-transformers loads it unchanged, and verifies that with that library.

The files are those of its ``SentenceTransformer.save``: the base without its output layer, with the adapter
merged into it, and how its hidden states are pooled. The weights are float32, as rounding them would move
the vectors away from those of an index that was made before.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, ClassVar, Final

import torch
from torch.nn.functional import normalize

from arkor_dev.contract.settings.embedding import LAST, MEAN
from arkor_dev.data.text_pairs import POSITIVE
from arkor_dev.local.cards.writer import describe_merged
from arkor_dev.local.inference.adapter_scale import FULL_STRENGTH, AdapterScale
from arkor_dev.local.jobs.atomic_folder import write_atomically
from arkor_dev.local.modeling.adapted_model import with_adapter
from arkor_dev.local.modeling.base_model import unwrapped
from arkor_dev.local.modeling.embedder import DOCUMENT, QUERY, Embedder
from arkor_dev.local.modeling.tokenizer import save_tokenizer
from arkor_dev.local.models.catalog import portable_name
from arkor_dev.local.workers.errors import JobFailure

from .export import ADAPTER, ROWS, ExportTask
from .files import free_memory, load_in_float32, merge
from .proof import CLOSE, difference, outputs_proof

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor
    from torch.nn import Module

    from arkor_dev.contract.shapes import ExportProof
    from arkor_dev.data.rows import Row
    from arkor_dev.local.modeling.base_model import Base

FIGURES: Final = "its vectors of {count} texts differ by {distance} at most, the base's by {of_base}"
MODULES: Final = (("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize"))
"""The folder and the class of each of its modules, by the names that all versions know."""


class EmbedderExport(ExportTask):
    """As `ExportTask`, for an embedder in the format ``merged``."""

    dtype = torch.float32
    _figures: ClassVar[str] = FIGURES

    @property
    def _allowed(self) -> float:
        return CLOSE

    def make(self, rows: Sequence[Row]) -> ExportProof:
        """Write and verify the export with the texts of ``rows``. See `ExportTask.make`."""
        if not rows:
            raise JobFailure("The job's rows can't be read, so nothing could be verified")
        if not self.in_place:
            self._check_room()
        embedder = Embedder.read(self.source)
        rows = rows[:: max(1, -(-len(rows) // ROWS))]
        texts = {
            QUERY: [row.text or "" for row in rows],
            DOCUMENT: [row.extra[POSITIVE] for row in rows],
        }
        self.progress(f"Loading {self.name}", 0, None, "")
        base = load_in_float32(self.base, four_bit=self.four_bit)
        base.model.eval()
        trained = with_adapter(base.model, self.source)
        if self.strength != FULL_STRENGTH:
            AdapterScale(trained, ADAPTER).set(self.strength)
        of_trained = self._vectors("the trained model", base, trained, embedder, texts)
        with trained.disable_adapter():
            of_base = self._vectors("the base model", base, trained, embedder, texts)
        if not self.in_place:
            self.progress("Writing", 0, None, "")
            merged = merge(trained)
            write_atomically(self.target, lambda folder: self._fill(folder, merged, base, embedder))
            self.written(self._files())
        base.model = trained = merged = None
        free_memory()
        self.progress("Testing the exported files", 0, None, "")
        of_exported = self._read_vectors(texts, embedder)
        distances = self._distance(of_trained, of_exported), self._distance(of_trained, of_base)
        return outputs_proof(len(of_trained), *distances, self._figures, self._allowed)

    def _vectors(
        self, subject: str, base: Base, model: Module, embedder: Embedder, texts: dict[str, list[str]]
    ) -> Tensor:
        """Return the vectors of all ``texts``, by their kind, ``[texts, size]``."""
        inner = unwrapped(model)
        all_texts = [(text, kind) for kind, of_kind in texts.items() for text in of_kind]
        vectors = []
        with torch.inference_mode():
            for done, (text, kind) in enumerate(all_texts):
                self.progress(f"Testing {subject}", done, len(all_texts), "texts")
                prompted = embedder.prompted(text, kind)
                ids = base.tokenizer(prompted, truncation=True, max_length=base.context)["input_ids"]
                inputs = torch.tensor([ids], device=inner.device)
                hidden = inner.base_model(input_ids=inputs, use_cache=False).last_hidden_state
                length = torch.tensor([inputs.shape[1]], device=hidden.device)
                vectors.append(normalize(embedder.pooled(hidden, length), dim=-1).cpu())
        return torch.cat(vectors)

    def _fill(self, folder: Path, merged: Module, base: Base, embedder: Embedder) -> None:
        """Write all files of the export into ``folder``."""
        inner, tokenizer = merged.base_model, base.tokenizer
        inner.config.dtype, inner.config.use_cache = torch.float32, True
        inner.name_or_path = inner.config._name_or_path = portable_name(self.name)  # noqa: SLF001
        inner.save_pretrained(str(folder))
        # With a chat template, sentence-transformers would take every text for a chat.
        template, tokenizer.chat_template = tokenizer.chat_template, None
        tokenizer.name_or_path = inner.name_or_path
        save_tokenizer(tokenizer, folder)
        tokenizer.chat_template = template
        for name, content in files_of(embedder, base.context).items():
            path = folder / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(f"{json.dumps(content, indent=2, ensure_ascii=False)}\n", encoding="utf-8")
        (folder / MODULES[-1][0]).mkdir()
        describe_merged(self.source, folder, self.strength)

    def _distance(self, trained: Tensor, other: Tensor) -> float:
        """Return how far two models' vectors are from each other, each ``[texts, size]``."""
        return difference(trained, other)

    def _read_vectors(self, texts: dict[str, list[str]], embedder: Embedder) -> Tensor:
        """Return the vectors of ``texts`` by the export, as any program with the library gets them."""
        del embedder  # its prompts are in the files
        from sentence_transformers import SentenceTransformer

        model = SentenceTransformer(
            str(self.target), device="cpu", local_files_only=True, trust_remote_code=False
        )
        return torch.cat(
            [
                model.encode(of_kind, prompt_name=kind, convert_to_tensor=True, show_progress_bar=False)
                for kind, of_kind in texts.items()
            ]
        )


def files_of(embedder: Embedder, context: int) -> dict[str, object]:
    """Return the library's configuration files of an embedder, by name; ``context`` is in tokens."""
    return {
        "modules.json": [
            {"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.models.{kind}"}
            for number, (path, kind) in enumerate(MODULES)
        ],
        "sentence_bert_config.json": {"max_seq_length": context, "do_lower_case": False},
        "1_Pooling/config.json": {
            "word_embedding_dimension": embedder.dimensions[-1],
            "pooling_mode_cls_token": False,
            "pooling_mode_mean_tokens": embedder.pooling == MEAN,
            "pooling_mode_max_tokens": False,
            "pooling_mode_mean_sqrt_len_tokens": False,
            "pooling_mode_weightedmean_tokens": False,
            "pooling_mode_lasttoken": embedder.pooling == LAST,
            "include_prompt": True,
        },
        "config_sentence_transformers.json": {
            "prompts": {QUERY: embedder.query_prompt, DOCUMENT: embedder.document_prompt},
            "default_prompt_name": None,
            "similarity_fn_name": "cosine",
        },
    }
