"""Exports a reranker as sentence-transformers' ``CrossEncoder`` loads it, and verifies that with it.

The files are those of transformers' ``AutoModelForSequenceClassification`` with one output: the base and the
head, with the adapter merged into the base.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch
from peft import PeftModel
from transformers import AutoModelForSequenceClassification

from arkor_dev.data.relevance import DOCUMENT
from arkor_dev.local.cards.writer import describe_merged
from arkor_dev.local.modeling.auto_class import is_encoder
from arkor_dev.local.modeling.base_model import unwrapped
from arkor_dev.local.modeling.classes import HEAD
from arkor_dev.local.modeling.reranker import RELEVANCE, mark
from arkor_dev.local.modeling.tokenizer import load_tokenizer, save_tokenizer
from arkor_dev.local.models.catalog import portable_name

from .export import ROWS
from .files import free_memory, merge
from .outputs import OutputsExport

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor

    from arkor_dev.data.rows import Row
    from arkor_dev.local.modeling.base_model import Base

FIGURES: Final = (
    "its logits of {count} pairs differ by {distance} at most, those without the adapter by {of_base}"
)


class RerankerExport(OutputsExport):
    """As `OutputsExport`, for a reranker in the format ``merged``."""

    rows_read = 2 * ROWS
    figures = FIGURES

    def _outputs(self, subject: str, base: Base, rows: Sequence[Row]) -> Tensor:
        """Return the logit of each pair, ``[pairs]``."""
        pairs = pairs_of(rows)
        inner, logits = unwrapped(base.model), []
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

    def _fill(self, folder: Path, base: Base) -> None:
        """See `OutputsExport`. transformers' own class merges the adapter and writes the head."""
        base.model = None  # the two models need not fit into memory together
        free_memory()
        headed = AutoModelForSequenceClassification.from_pretrained(
            self.base,
            num_labels=1,
            dtype=torch.float32,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
        )
        model = merge(PeftModel.from_pretrained(headed, str(self.source), torch_device="cpu"))
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

    def _read_outputs(self, rows: Sequence[Row]) -> Tensor:
        """See `OutputsExport`."""
        from sentence_transformers import CrossEncoder

        model = CrossEncoder(str(self.target), device="cpu", local_files_only=True, trust_remote_code=False)
        return model.predict(
            pairs_of(rows),
            activation_fn=torch.nn.Identity(),
            convert_to_tensor=True,
            show_progress_bar=False,
        )


def pairs_of(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """Return the query and the document of each row."""
    return [(row.text or "", row.extra[DOCUMENT]) for row in rows]
