"""Exports a reranker as sentence-transformers' ``CrossEncoder`` loads it, and verifies that with it.

The files are those of transformers' ``AutoModelForSequenceClassification`` with one output: the base and the
head, with the adapter merged into the base. The weights are float32, so that scores stay the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch
from peft import PeftModel
from transformers import AutoModelForSequenceClassification

from arkor_dev.data.relevance import DOCUMENT
from arkor_dev.local.cards.writer import describe_merged
from arkor_dev.local.jobs.atomic_folder import write_atomically
from arkor_dev.local.modeling.adapted_model import with_adapter
from arkor_dev.local.modeling.auto_class import is_encoder
from arkor_dev.local.modeling.base_model import unwrapped
from arkor_dev.local.modeling.classes import HEAD, Classes
from arkor_dev.local.modeling.head import with_head
from arkor_dev.local.modeling.reranker import RELEVANCE, mark
from arkor_dev.local.modeling.tokenizer import load_tokenizer, save_tokenizer
from arkor_dev.local.models.catalog import portable_name
from arkor_dev.local.workers.errors import JobFailure

from .export import ROWS, ExportTask
from .files import free_memory, load_in_float32, merge
from .proof import difference, outputs_proof

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor
    from torch.nn import Module

    from arkor_dev.contract.shapes import ExportProof
    from arkor_dev.data.rows import Row
    from arkor_dev.local.modeling.base_model import Base

FIGURES: Final = (
    "its logits of {count} pairs differ by {distance} at most, those without the adapter by {of_base}"
)


class RerankerExport(ExportTask):
    """As `ExportTask`, for a reranker in the format ``merged``."""

    dtype = torch.float32

    def make(self, rows: Sequence[Row]) -> ExportProof:
        """Write and verify the export with the pairs of ``rows``. See `ExportTask.make`."""
        if not rows:
            raise JobFailure("The job's rows can't be read, so nothing could be verified")
        if not self.in_place:
            self._check_room()
        rows = rows[:: max(1, -(-len(rows) // (2 * ROWS)))]
        pairs = [(row.text or "", row.extra[DOCUMENT]) for row in rows]
        self.progress(f"Loading {self.name}", 0, None, "")
        base = load_in_float32(self.base, four_bit=self.four_bit, headed=True)
        trained = with_adapter(with_head(base.model.eval(), Classes.read(self.source)), self.source)
        of_trained = self._logits("the trained model", pairs, base, trained)
        with trained.disable_adapter():
            of_base = self._logits("the base model", pairs, base, trained)
        base.model = trained = None
        free_memory()
        if not self.in_place:
            self.progress("Writing", 0, None, "")
            write_atomically(self.target, self._fill)
            self.written(self._files())
        self.progress("Testing the exported files", 0, None, "")
        of_exported = self._in_cross_encoder(pairs)
        distances = difference(of_trained, of_exported), difference(of_trained, of_base)
        return outputs_proof(len(of_trained), *distances, FIGURES)

    def _logits(self, subject: str, pairs: Sequence[tuple[str, str]], base: Base, model: Module) -> Tensor:
        """Return the logit of each pair, ``[pairs]``."""
        inner, logits = unwrapped(model), []
        with torch.inference_mode():
            for done, (query, document) in enumerate(pairs):
                self.progress(f"Testing {subject}", done, len(pairs), "texts")
                pair = base.tokenizer(query, document, truncation=True, max_length=base.context)
                inputs = torch.tensor([pair["input_ids"]], device=inner.device)
                if is_encoder(inner.config):
                    types = pair.get("token_type_ids")
                    extra = {"token_type_ids": torch.tensor([types], device=inner.device)} if types else {}
                    logits.append(inner(input_ids=inputs, **extra).logits[:, 0].cpu())
                    continue
                hidden = inner.base_model(input_ids=inputs, use_cache=False).last_hidden_state
                logits.append(getattr(inner, HEAD)(hidden[:, -1].float())[:, 0].cpu())
        return torch.cat(logits)

    def _fill(self, folder: Path) -> None:
        """Write all files of the export into ``folder``."""
        base = AutoModelForSequenceClassification.from_pretrained(
            self.base,
            num_labels=1,
            dtype=torch.float32,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
        )
        model = merge(PeftModel.from_pretrained(base, str(self.source), torch_device="cpu"))
        tokenizer = load_tokenizer(self.base)
        # With a chat template, sentence-transformers would take every pair for a chat.
        tokenizer.chat_template = None
        model.config.dtype, model.config.pad_token_id = torch.float32, tokenizer.pad_token_id
        model.config.id2label, model.config.label2id = {0: RELEVANCE}, {RELEVANCE: 0}
        name = portable_name(self.name)
        model.name_or_path = model.config._name_or_path = tokenizer.name_or_path = name  # noqa: SLF001
        model.save_pretrained(str(folder))
        save_tokenizer(tokenizer, folder)
        mark(folder)
        describe_merged(self.source, folder, self.strength)

    def _in_cross_encoder(self, pairs: Sequence[tuple[str, str]]) -> Tensor:
        """Return the logits of the export, as any program with the library gets them."""
        from sentence_transformers import CrossEncoder

        model = CrossEncoder(str(self.target), device="cpu", local_files_only=True, trust_remote_code=False)
        return model.predict(
            list(pairs), activation_fn=torch.nn.Identity(), convert_to_tensor=True, show_progress_bar=False
        )
