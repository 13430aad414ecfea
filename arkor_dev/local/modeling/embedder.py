"""How an embedder turns a text into a vector; kept beside its adapter, which alone does not say it.

A text's embedding is pooled from the last hidden states of its tokens, as in sentence-transformers.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.contract.regular_files import read_small
from arkor_dev.contract.settings.embedding import LAST, MEAN
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from pathlib import Path

FILE: Final = "embedder.json"
LIMIT: Final = 2**16
"""Maximum bytes of that file."""
QUERY: Final = "query"
DOCUMENT: Final = "document"


@dataclass(frozen=True, slots=True)
class Embedder:
    """The ``pooling`` of hidden states, the prompts before texts, and the sizes that embeddings can have
    (``dimensions``), the full one last.
    """

    pooling: str = MEAN
    query_prompt: str = ""
    document_prompt: str = ""
    dimensions: tuple[int, ...] = ()

    @classmethod
    def read(cls, folder: Path) -> Embedder:
        """Read that of the adapter in ``folder``. Raises :class:`JobFailure`."""
        try:
            stored = json.loads(read_small(folder / FILE, LIMIT))
            found = cls(
                stored["pooling"],
                stored["query_prompt"],
                stored["document_prompt"],
                tuple(stored["dimensions"]),
            )
        except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
            raise JobFailure(f"The embedder's {FILE} cannot be read: {error}") from None
        texts: tuple[object, ...] = (found.query_prompt, found.document_prompt)
        sizes: tuple[object, ...] = found.dimensions
        are_texts = all(isinstance(text, str) for text in texts)
        are_sizes = all(isinstance(size, int) and size > 0 for size in sizes)
        if found.pooling not in (MEAN, LAST) or not are_texts or not are_sizes:
            raise JobFailure(f"The embedder's {FILE} has other values than this version knows")
        return found

    def write(self, folder: Path) -> None:
        """Write it beside the adapter in ``folder``."""
        (folder / FILE).write_text(
            f"{json.dumps(asdict(self), indent=1, ensure_ascii=False)}\n", encoding="utf-8"
        )

    def prompted(self, text: str, kind: str) -> str:
        """Return ``text`` with the prompt of its ``kind``, `QUERY` or `DOCUMENT`, before it."""
        return (self.query_prompt if kind == QUERY else self.document_prompt) + text

    def pooled(self, hidden: Any, lengths: Any) -> Any:
        """Return the embeddings, ``[texts, size]``, of right-padded states ``[texts, longest, size]``.

        ``lengths`` are the texts' numbers of tokens, ``[texts]``.
        """
        ends = lengths[:, None, None]
        places = hidden.new_ones(hidden.shape[:2]).cumsum(1)[..., None]
        weights = (places == ends if self.pooling == LAST else places <= ends).to(hidden.dtype)
        return (hidden * weights).sum(1) / weights.sum(1)


def is_embedder(folder: Path) -> bool:
    """Return whether the adapter in ``folder`` is an embedder's."""
    return (folder / FILE).is_file()
