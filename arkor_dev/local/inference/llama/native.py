"""llama.cpp's calls, as few as the engine needs: one loaded model, its adapters, and its memory.

Sequences share one memory of ``cells`` tokens; what two of them begin with is there once.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any, Final

import llama_cpp
import numpy as np

from arkor_dev.local.gguf.llama_vocabulary import quiet
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    Piece = tuple[int, int, Sequence[int]]

BATCH: Final = 256
"""Tokens that are computed at once, at most."""
NAMES: Final = "LLAMA_FTYPE_MOSTLY_"
ROOM_BYTES: Final = 2**31
"""The keys and values of all conversations, at most."""
FULL: Final = 1
"""llama.cpp's answer where its memory has no room."""


class MemoryFullError(Exception):
    """There is no room for these tokens; nothing was read of them."""


class Native:
    """One model. Every call comes from one thread."""

    def __init__(self, path: Path, sequences: int, threads: int) -> None:
        """Load the file at ``path``; raises :class:`JobFailure`. ``make_room`` comes before it reads."""
        quiet()
        self._model: Any = llama_cpp.llama_model_load_from_file(
            str(path).encode(), llama_cpp.llama_model_default_params()
        )
        self._context: Any = None
        self._adapters: dict[str, Any] = {}
        self._worn: tuple[str | None, float] = (None, 0.0)
        if not self._model:
            raise JobFailure(f"llama.cpp cannot load {path.name}")
        if llama_cpp.llama_model_has_encoder(self._model):
            self.close()
            raise JobFailure("llama.cpp answers here only as models that read and write in one")
        self.sequences = sequences
        self.size = int(llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(self._model)))
        self.precision = _precision(self._told("general.file_type"))
        self.shares = not (
            llama_cpp.llama_model_is_recurrent(self._model) or llama_cpp.llama_model_is_hybrid(self._model)
        )
        """Whether a conversation can go on from a part of what another has read."""
        self.cells = 0
        self._threads = threads

    def make_room(self, cells: int) -> None:
        """Have a memory of ``cells`` tokens, which is empty; raises :class:`JobFailure`."""
        self._free_context()
        params = llama_cpp.llama_context_default_params()
        params.n_ctx, params.n_seq_max, params.kv_unified = cells, self.sequences, True
        params.n_batch = params.n_ubatch = min(BATCH, cells)
        params.n_threads = params.n_threads_batch = self._threads
        params.swa_full = True  # a window's older tokens are read again by whoever goes on from them
        params.n_outputs_max = self.sequences
        params.no_perf = True
        self._context = llama_cpp.llama_init_from_model(self._model, params)
        if not self._context:
            raise JobFailure(f"llama.cpp has no room for conversations of {cells:,} tokens on this machine")
        self.cells = cells
        self._memory = llama_cpp.llama_get_memory(self._context)
        self._batch = llama_cpp.llama_batch_init(params.n_batch, 0, 1)
        self._worn = (None, 0.0)

    @property
    def cell_bytes(self) -> int:
        """What the keys and values of one token take, about, in bytes."""
        model = self._model
        heads, width = llama_cpp.llama_model_n_head(model), llama_cpp.llama_model_n_embd(model)
        wide = int(self._told(f"{self._told('general.architecture')}.attention.key_length") or 0)
        each = wide or width // max(1, heads)
        layers = llama_cpp.llama_model_n_layer(model)
        return max(1, 2 * 2 * int(layers * llama_cpp.llama_model_n_head_kv(model) * each))

    def use_threads(self, threads: int) -> None:
        """Compute on so many threads from now on."""
        if threads != self._threads:
            self._threads = threads
            llama_cpp.llama_set_n_threads(self._context, threads, threads)

    def add_adapter(self, path: str) -> None:
        """Load the LoRA adapter at ``path``; raises :class:`JobFailure`."""
        adapter = llama_cpp.llama_adapter_lora_init(self._model, path.encode())
        if not adapter:
            raise JobFailure("The adapter does not fit its base model, as llama.cpp reads them")
        self._adapters[path] = adapter

    def remove_adapter(self, path: str) -> None:
        """Let an adapter go."""
        if self._worn[0] == path:
            self.wear(None, 0.0)
        llama_cpp.llama_adapter_lora_free(self._adapters.pop(path))

    def wear(self, path: str | None, scale: float) -> None:
        """Compute with this adapter, ``scale`` times as strong as it was trained; with None as the base."""
        if self._worn == (path, scale):
            return
        found = [] if path is None else [self._adapters[path]]
        pointers = (llama_cpp.llama_adapter_lora_p_ctypes * len(found))(*found)
        if llama_cpp.llama_set_adapters_lora(
            self._context, pointers, len(found), (ctypes.c_float * len(found))(*[scale] * len(found))
        ):
            raise JobFailure("llama.cpp cannot use the adapter with this model")
        self._worn = (path, scale)

    def read(self, rows: Sequence[Piece], *, told: bool = True) -> NDArray[np.float32]:
        """Read ``(sequence, place, tokens)`` of each row, ``place`` being that of its first token.

        The logits behind each row's last token, ``[rows, vocabulary]``; none unless ``told``. Raises
        MemoryFullError, and RuntimeError where llama.cpp fails.
        """
        batch, count = self._batch, 0
        ends: list[int] = []
        for sequence, place, tokens in rows:
            for offset, token in enumerate(tokens):
                batch.token[count], batch.pos[count] = token, place + offset
                batch.n_seq_id[count], batch.seq_id[count][0] = 1, sequence
                batch.logits[count] = told and offset == len(tokens) - 1
                count += 1
            ends.append(count - 1)
        batch.n_tokens = count
        status = llama_cpp.llama_decode(self._context, batch)
        if status == FULL:
            raise MemoryFullError
        if status:
            raise RuntimeError(f"llama.cpp could not compute (status {status})")
        found = np.empty((len(ends) if told else 0, self.size), np.float32)
        for row in range(len(found)):
            logits = llama_cpp.llama_get_logits_ith(self._context, ends[row])
            found[row] = np.ctypeslib.as_array(logits, (self.size,))
        return found

    def copy(self, source: int, target: int, tokens: int) -> None:
        """Let ``target`` begin with the first ``tokens`` of ``source``."""
        llama_cpp.llama_memory_seq_cp(self._memory, source, target, 0, tokens)

    def drop(self, sequence: int) -> None:
        """Forget a sequence."""
        llama_cpp.llama_memory_seq_rm(self._memory, sequence, -1, -1)

    def close(self) -> None:
        """Give all memory back."""
        self._free_context()
        for path in list(self._adapters):
            llama_cpp.llama_adapter_lora_free(self._adapters.pop(path))
        if self._model:
            llama_cpp.llama_model_free(self._model)
            self._model = None

    def _free_context(self) -> None:
        if self._context:
            llama_cpp.llama_batch_free(self._batch)
            llama_cpp.llama_free(self._context)
            self._context = None

    def _told(self, key: str) -> str:
        """What the file says under ``key``; empty for nothing."""
        buffer = ctypes.create_string_buffer(128)
        size = llama_cpp.llama_model_meta_val_str(self._model, key.encode(), buffer, len(buffer))
        return buffer.value.decode(errors="replace") if size >= 0 else ""


def _precision(kind: str) -> str:
    """A file's type by its number, as users know it: ``q8_0``."""
    if not kind.isdigit():
        return "gguf"
    if int(kind) == llama_cpp.LLAMA_FTYPE_ALL_F32:
        return "f32"
    names = {
        getattr(llama_cpp, name): name.removeprefix(NAMES).lower()
        for name in dir(llama_cpp)
        if name.startswith(NAMES)
    }
    return names.get(int(kind), "gguf")
