"""The vocabulary of a GGUF file in llama.cpp, loaded without the weights.

Imported only by child processes: native code reads untrusted files here.
"""

from __future__ import annotations

import contextlib
import ctypes
from dataclasses import dataclass
from typing import TYPE_CHECKING

import llama_cpp

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torch.nn import Module


@llama_cpp.llama_log_callback  # type: ignore[untyped-decorator]
def _discard(level: int, text: bytes, user_data: object) -> None:
    """Discard llama.cpp's log messages."""


@dataclass(frozen=True, slots=True)
class LlamaVocabulary:
    """The vocabulary of a loaded model; ``pointer`` is llama.cpp's."""

    model: Module
    pointer: object

    def tokens(self, text: str, *, add_special: bool) -> list[int]:
        """Return a text's token ids, parsing special tokens. ``add_special`` adds start and end tokens."""
        raw = text.encode()
        capacity = len(raw) + 16
        tokens = (llama_cpp.llama_token * capacity)()
        count = llama_cpp.llama_tokenize(self.pointer, raw, len(raw), tokens, capacity, add_special, True)
        if count < 0:
            raise ValueError("llama.cpp cannot tokenize a text")
        return list(tokens[:count])

    def ends(self, token: int) -> bool:
        """Return whether llama.cpp ends an answer with this token."""
        return bool(llama_cpp.llama_vocab_is_eog(self.pointer, token))

    @property
    def adds_start(self) -> bool:
        """Whether llama.cpp adds a start token to every text."""
        return bool(llama_cpp.llama_vocab_get_add_bos(self.pointer))

    @property
    def template(self) -> str | None:
        """The chat template in the file."""
        template = llama_cpp.llama_model_chat_template(self.model, None)
        return template.decode(errors="replace") if template else None


def quiet() -> None:
    """Silence llama.cpp."""
    llama_cpp.llama_log_set(_discard, ctypes.c_void_p(0))


@contextlib.contextmanager
def vocabulary_of(path: Path) -> Iterator[LlamaVocabulary]:
    """Load the vocabulary of the file at ``path``. Raises ValueError if llama.cpp cannot read it."""
    params = llama_cpp.llama_model_default_params()
    params.vocab_only = True
    model = llama_cpp.llama_model_load_from_file(str(path).encode(), params)
    if not model:
        raise ValueError("llama.cpp cannot read the file")
    try:
        yield LlamaVocabulary(model, llama_cpp.llama_model_get_vocab(model))
    finally:
        llama_cpp.llama_model_free(model)
