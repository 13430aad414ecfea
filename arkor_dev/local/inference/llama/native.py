"""Wraps the calls of llama.cpp that the engine needs: one loaded model, its adapters, and its memory.

Sequences share one memory of ``cells`` tokens; a prefix shared by several is stored once.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Final

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
"""Maximum number of tokens computed at once."""
NAMES: Final = "LLAMA_FTYPE_MOSTLY_"
MEMORY_BYTES: Final = 2**31
"""Maximum memory for the keys and values of all conversations, in bytes."""
FULL: Final = 1
"""llama.cpp's return code when its memory is full."""


class MemoryFullError(Exception):
    """There is no memory left for these tokens; none of them was read."""


class Native:
    """One model. All calls must be made in one thread."""

    def __init__(self, path: Path, sequences: int, threads: int) -> None:
        """Load the file at ``path`` after calling ``allocate``. Raises JobFailure."""
        quiet()
        self._model = llama_cpp.llama_model_load_from_file(
            str(path).encode(), llama_cpp.llama_model_default_params()
        )
        self._context: llama_cpp.llama_context_p | None = None
        self._adapters: dict[str, llama_cpp.llama_adapter_lora_p] = {}
        self._active: tuple[str | None, float] = (None, 0.0)
        if not self._model:
            raise JobFailure(f"llama.cpp cannot load {path.name}")
        if llama_cpp.llama_model_has_encoder(self._model):
            self.close()
            raise JobFailure("only decoder-only models are supported with llama.cpp")
        self.sequences = sequences
        self.size = int(llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(self._model)))
        self.precision = _precision(self._metadata("general.file_type"))
        self.shares = not (
            llama_cpp.llama_model_is_recurrent(self._model) or llama_cpp.llama_model_is_hybrid(self._model)
        )
        """Whether a conversation can continue from a part of another one."""
        self.cells = 0
        self._threads = threads

    def allocate(self, cells: int) -> None:
        """Allocate an empty memory of ``cells`` tokens. Raises JobFailure."""
        self._free_context()
        params = llama_cpp.llama_context_default_params()
        params.n_ctx, params.n_seq_max, params.kv_unified = cells, self.sequences, True
        params.n_batch = params.n_ubatch = min(BATCH, cells)
        params.n_threads = params.n_threads_batch = self._threads
        params.swa_full = (
            True  # with a sliding window, continuing a conversation needs its older tokens again
        )
        params.n_outputs_max = self.sequences
        params.no_perf = True
        self._context = llama_cpp.llama_init_from_model(self._model, params)
        if not self._context:
            raise JobFailure(f"llama.cpp has no memory for conversations of {cells:,} tokens on this machine")
        self.cells = cells
        self._memory = llama_cpp.llama_get_memory(self._context)
        self._batch = llama_cpp.llama_batch_init(params.n_batch, 0, 1)
        self._active = (None, 0.0)

    @property
    def cell_bytes(self) -> int:
        """Return the approximate size in bytes of one token's keys and values."""
        model = self._model
        heads, width = llama_cpp.llama_model_n_head(model), llama_cpp.llama_model_n_embd(model)
        wide = int(self._metadata(f"{self._metadata('general.architecture')}.attention.key_length") or 0)
        head_size = wide or width // max(1, heads)
        layers = llama_cpp.llama_model_n_layer(model)
        return max(1, 2 * 2 * int(layers * llama_cpp.llama_model_n_head_kv(model) * head_size))

    def use_threads(self, threads: int) -> None:
        """Compute with ``threads`` threads from now on."""
        if threads != self._threads:
            self._threads = threads
            llama_cpp.llama_set_n_threads(self._context, threads, threads)

    def add_adapter(self, path: str) -> None:
        """Load the LoRA adapter at ``path``. Raises JobFailure."""
        adapter = llama_cpp.llama_adapter_lora_init(self._model, path.encode())
        if not adapter:
            raise JobFailure("The adapter does not fit its base model, as llama.cpp reads them")
        self._adapters[path] = adapter

    def remove_adapter(self, path: str) -> None:
        """Unload an adapter."""
        if self._active[0] == path:
            self.use_adapter(None, 0.0)
        llama_cpp.llama_adapter_lora_free(self._adapters.pop(path))

    def use_adapter(self, path: str | None, scale: float) -> None:
        """Use this adapter, scaled by ``scale``, from now on; None for the base."""
        if self._active == (path, scale):
            return
        adapters = [] if path is None else [self._adapters[path]]
        pointers = (llama_cpp.llama_adapter_lora_p_ctypes * len(adapters))(*adapters)
        if llama_cpp.llama_set_adapters_lora(
            self._context, pointers, len(adapters), (ctypes.c_float * len(adapters))(*[scale] * len(adapters))
        ):
            raise JobFailure("llama.cpp cannot use the adapter with this model")
        self._active = (path, scale)

    def read(self, rows: Sequence[Piece], *, want_logits: bool = True) -> NDArray[np.float32]:
        """Read ``(sequence, position, tokens)`` of each row, ``position`` being that of its first token.

        Returns the logits after each row's last token, ``[rows, vocabulary]``, if ``want_logits`` is set.
        Raises MemoryFullError, and RuntimeError if llama.cpp fails.
        """
        # One call computes all rows, each at its own position: a token attends only to its own sequence.
        batch, count = self._batch, 0
        ends: list[int] = []
        for sequence, position, tokens in rows:
            for offset, token in enumerate(tokens):
                batch.token[count], batch.pos[count] = token, position + offset
                batch.n_seq_id[count], batch.seq_id[count][0] = 1, sequence
                batch.logits[count] = want_logits and offset == len(tokens) - 1
                count += 1
            ends.append(count - 1)
        batch.n_tokens = count
        status = llama_cpp.llama_decode(self._context, batch)
        if status == FULL:
            raise MemoryFullError
        if status:
            raise RuntimeError(f"llama.cpp could not compute (status {status})")
        logits = np.empty((len(ends) if want_logits else 0, self.size), np.float32)
        for row in range(len(logits)):
            row_logits = llama_cpp.llama_get_logits_ith(self._context, ends[row])
            logits[row] = np.ctypeslib.as_array(row_logits, (self.size,))
        return logits

    def copy(self, source: int, target: int, tokens: int) -> None:
        """Copy the first ``tokens`` of ``source`` into ``target``."""
        llama_cpp.llama_memory_seq_cp(self._memory, source, target, 0, tokens)

    def drop(self, sequence: int) -> None:
        """Forget a sequence."""
        llama_cpp.llama_memory_seq_rm(self._memory, sequence, -1, -1)

    def close(self) -> None:
        """Free all memory."""
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

    def _metadata(self, key: str) -> str:
        """Return the file's metadata under ``key``; empty if there is none."""
        buffer = ctypes.create_string_buffer(128)
        size = llama_cpp.llama_model_meta_val_str(self._model, key.encode(), buffer, len(buffer))
        return buffer.value.decode(errors="replace") if size >= 0 else ""


def _precision(kind: str) -> str:
    """Return the usual name of a file type by its number: ``q8_0``."""
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
