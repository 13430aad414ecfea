"""Exports an embedder as sentence-transformers loads it unchanged, and verifies that with that library.

The files are those of its ``SentenceTransformer.save``: the base without its output layer, with the adapter
merged into it, and how its hidden states are pooled.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import torch
from torch.nn.functional import normalize

from arkor_dev.contract.settings.embedding import LAST, MEAN
from arkor_dev.data.text_pairs import POSITIVE
from arkor_dev.local.cards.writer import describe_merged
from arkor_dev.local.modeling.base_model import unwrapped
from arkor_dev.local.modeling.embedder import DOCUMENT, QUERY, Embedder
from arkor_dev.local.modeling.tokenizer import save_tokenizer
from arkor_dev.local.models.catalog import portable_name

from .files import merge
from .outputs import OutputsExport

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor

    from arkor_dev.data.rows import Row
    from arkor_dev.local.modeling.base_model import Base

FIGURES: Final = "its vectors of {count} texts differ by {distance} at most, the base's by {of_base}"
MODULES: Final = (("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize"))
"""The folder and the class of each of its modules, by the names that all versions know."""


class EmbedderExport(OutputsExport):
    """As `OutputsExport`, for an embedder in the format ``merged``."""

    figures = FIGURES

    @property
    def _embedder(self) -> Embedder:
        return Embedder.read(self.source)

    def _outputs(self, subject: str, base: Base, rows: Sequence[Row]) -> Tensor:
        """Return the vectors of the rows' queries, and then of their documents, ``[texts, size]``."""
        embedder, texts = self._embedder, texts_of(rows)
        inner = unwrapped(base.model)
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

    def _fill(self, folder: Path, base: Base) -> None:
        """See `OutputsExport`."""
        inner, tokenizer = merge(base.model).base_model, base.tokenizer
        inner.config.dtype, inner.config.use_cache = torch.float32, True
        inner.name_or_path = inner.config._name_or_path = portable_name(self.name)  # noqa: SLF001
        inner.save_pretrained(str(folder))
        # With a chat template, sentence-transformers would take every text for a chat.
        template, tokenizer.chat_template = tokenizer.chat_template, None
        tokenizer.name_or_path = inner.name_or_path
        save_tokenizer(tokenizer, folder)
        tokenizer.chat_template = template
        for name, content in files_of(self._embedder, base.context).items():
            path = folder / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(f"{json.dumps(content, indent=2, ensure_ascii=False)}\n", encoding="utf-8")
        (folder / MODULES[-1][0]).mkdir()
        describe_merged(self.source, folder, self.strength)

    def _read_outputs(self, rows: Sequence[Row]) -> Tensor:
        """See `OutputsExport`; its prompts are in the files."""
        from sentence_transformers import SentenceTransformer

        model = SentenceTransformer(
            str(self.target), device="cpu", local_files_only=True, trust_remote_code=False
        )
        return torch.cat(
            [
                model.encode(of_kind, prompt_name=kind, convert_to_tensor=True, show_progress_bar=False)
                for kind, of_kind in texts_of(rows).items()
            ]
        )


def texts_of(rows: Sequence[Row]) -> dict[str, list[str]]:
    """Return the queries and the documents of ``rows``."""
    return {
        QUERY: [row.text or "" for row in rows],
        DOCUMENT: [row.extra[POSITIVE] for row in rows],
    }


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
