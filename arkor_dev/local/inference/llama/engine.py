"""The llama.cpp engine of the same loop: one base model as GGUF, and any number of LoRA adapters.

Imported by its worker only. Prompts use the same tokenizer and chat template as the other engine, so both
read the same tokens; the loop chooses tokens, so seeds, penalties and stops mean the same.
"""

from __future__ import annotations

import json
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.regular_files import read_small
from arkor_dev.local.inference.adapter_scale import ActiveAdapter
from arkor_dev.local.inference.generation.interface import MAX_CONCURRENT
from arkor_dev.local.inference.generation.prompt import prompt_of
from arkor_dev.local.modeling.chat_template import end_ids
from arkor_dev.local.modeling.tokenizer import load_context, load_tokenizer
from arkor_dev.local.workers.errors import JobFailure
from arkor_dev.local.workers.resources import available_cores

from .conversations import Conversations
from .native import BATCH, MEMORY_BYTES, MemoryFullError, Native

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray
    from transformers import PreTrainedTokenizerBase

    from arkor_dev.local.inference.messages import AnswerRequest, ClassifiedTexts, EmbeddedTexts, Reranked

ADAPTERS: Final = 4
MOST_CACHED: Final = 8
"""Maximum number of finished conversations that stay cached."""
INITIAL_TOKENS: Final = 1536
"""Initial memory for each concurrent conversation, in tokens."""
LEAST_PIECE: Final = 16
PIECE_SECONDS: Final = 0.05
"""Target seconds per chunk of a prompt: between chunks, stops are noticed, other answers advance."""
CORES: Final = available_cores()
THREADS_MARGIN: Final = 1.5
"""Minimum speedup of all cores over half of them."""
MEASURED: Final = 4
CONFIG_LIMIT: Final = 1 << 24
OUT_OF_MEMORY: Final = (
    "llama.cpp has no memory left for this conversation while others are being answered: wait "
    "for them, or request fewer tokens"
)


@dataclass(eq=False)
class LlamaRow:
    """One conversation: its prompt, and which tokens of prompt and answer are in memory."""

    group: ActiveAdapter
    prompt: list[int]
    max_new_tokens: int
    sequence: int
    cached: int
    reserved: int
    """Maximum number of tokens that the conversation may reach."""
    tokens: list[int] = field(default_factory=list)
    complete: bool = True
    scores: None = None


class LlamaEngine:
    """The loaded base, its adapters, and the conversations that are being read and answered."""

    def __init__(self) -> None:
        self.tokenizer: PreTrainedTokenizerBase = None
        self.ends: list[int] = []
        self.repetition = 1.0
        self.facts: dict[str, str] = {}
        self._base_key: str | None = None
        self._native: Native | None = None
        self._context = 0
        self._adapters: OrderedDict[str, int] = OrderedDict()
        self._open: list[LlamaRow] = []
        self._threads = self._shared_threads = max(1, CORES // 2)
        self._piece_size = LEAST_PIECE

    @property
    def native(self) -> Native:
        assert self._native
        return self._native

    def base_key_of(self, ask: AnswerRequest) -> str:
        """Return a key for the way in which the base must be loaded."""
        return str(ask.gguf)

    def begin(self, ask: AnswerRequest, base_key: str, progress: Callable[[str], None]) -> LlamaRow:
        """Load what is needed and build the prompt; the adapter stays in use until `end`."""
        active = self._load(ask, base_key, progress)
        self.native.use_threads(self._shared_threads if ask.training else self._threads)
        prompt = prompt_of(self.tokenizer, ask, self._context)
        if max(prompt) >= self.native.size:
            raise JobFailure("The GGUF file has fewer tokens than the model's tokenizer")
        max_new_tokens = self._context - len(prompt)
        reserved = len(prompt) + min(ask.max_tokens, max_new_tokens)
        # Reserve memory for the longest possible answer: llama.cpp cannot grow it while other answers are
        # running.
        self._reserve(reserved)
        sequence, cached = self._conversations.open(active, prompt)
        row = LlamaRow(active, prompt, max_new_tokens, sequence, cached, reserved, prompt[:cached])
        self._open.append(row)
        if active.adapter is not None:
            self._adapters[active.adapter] += 1
        return row

    def read(self, row: LlamaRow) -> NDArray[np.float32] | None:
        """Read a chunk of the prompt; return the first token's logits once all of it is read."""
        self.native.use_adapter(row.group.adapter, row.group.strength)
        start = len(row.tokens)
        piece = row.prompt[start : start + self._piece_size]
        last = start + len(piece) == len(row.prompt)
        started = time.perf_counter()
        logits = self._read([row], [piece], want_logits=last)
        if len(piece) == self._piece_size:
            self._adjust_piece(time.perf_counter() - started)
        return logits[0] if last else None

    def step(self, rows: list[LlamaRow], tokens: list[int]) -> NDArray[np.float32]:
        """Add a token to each row of one group; return the next logits."""
        self.native.use_adapter(rows[0].group.adapter, rows[0].group.strength)
        return self._read(rows, [[token] for token in tokens])

    def classify(self, *_: object) -> tuple[ClassifiedTexts, int]:
        """Raise JobFailure: the router sends such requests to transformers."""
        raise JobFailure("llama.cpp has no heads of classifiers")

    def embed(self, *_: object) -> tuple[EmbeddedTexts, int]:
        """Raise JobFailure: the router sends such requests to transformers."""
        raise JobFailure("llama.cpp has no embedders here")

    def rerank(self, *_: object) -> tuple[Reranked, int]:
        """Raise JobFailure: the router sends such requests to transformers."""
        raise JobFailure("llama.cpp has no heads of rerankers")

    def end(self, row: LlamaRow) -> None:
        """Remove a row, and cache what was read and generated."""
        self._open.remove(row)
        if row.group.adapter is not None:
            self._adapters[row.group.adapter] -= 1
        self._conversations.close(row.group, row.tokens, row.sequence, complete=row.complete)

    def _read(
        self, rows: list[LlamaRow], pieces: list[list[int]], *, want_logits: bool = True
    ) -> NDArray[np.float32]:
        batch = [(row.sequence, len(row.tokens), piece) for row, piece in zip(rows, pieces, strict=True)]
        try:
            while True:
                try:
                    logits = self.native.read(batch, want_logits=want_logits)
                    break
                except MemoryFullError:
                    if not self._conversations.evict():
                        raise JobFailure(OUT_OF_MEMORY) from None
        except BaseException:
            for row in rows:
                row.complete = False  # interrupted: some layers have read it, others have not
            raise
        for row, piece in zip(rows, pieces, strict=True):
            row.tokens.extend(piece)
        return logits

    def _adjust_piece(self, seconds: float) -> None:
        """Adjust the chunk size so that reading a chunk takes the intended time."""
        intended = int(self._piece_size * PIECE_SECONDS / max(seconds, 1e-6))
        self._piece_size = max(LEAST_PIECE, min(BATCH, self.native.cells, 2 * self._piece_size, intended))

    def _reserve(self, reserved: int) -> None:
        """Make space for a conversation of ``reserved`` tokens. Raises JobFailure without enough memory."""
        native = self.native
        used = sum(row.reserved for row in self._open)
        if used + reserved <= native.cells:
            return
        limit = MEMORY_BYTES // native.cell_bytes
        if reserved > limit:
            raise JobFailure(
                f"llama.cpp has memory here for {limit:,} tokens, and this conversation may reach "
                f"{reserved:,}: request fewer"
            )
        if self._open:
            raise JobFailure(OUT_OF_MEMORY)
        # No answer is running, so the memory can be replaced; cached conversations are read again. If the
        # allocation fails, there is no memory left, and the model must be reloaded.
        base_key, self._base_key = self._base_key, None
        native.allocate(min(limit, 2 * reserved))
        self._conversations = Conversations(native)
        self._base_key = base_key

    def _load(self, ask: AnswerRequest, base_key: str, progress: Callable[[str], None]) -> ActiveAdapter:
        if self._base_key != base_key:
            progress(f"Loading {ask.name}")
            self._base_key = None
            self._adapters.clear()
            if self._native:
                self._native.close()
                self._native = None
            folder = Path(ask.base)
            self.tokenizer, self._context = load_tokenizer(folder), load_context(folder)
            generation = _generation(folder)
            self.ends = end_ids(self.tokenizer, SimpleNamespace(generation_config=generation))
            self.repetition = generation.repetition_penalty or 1.0
            initial = min(self._context, INITIAL_TOKENS)
            self._native = Native(Path(base_key), MAX_CONCURRENT + MOST_CACHED, self._threads)
            limit = max(initial, MEMORY_BYTES // self.native.cell_bytes)
            self.native.allocate(min(limit, MAX_CONCURRENT * initial))
            self._conversations = Conversations(self.native)
            self._measure()
            self.facts = {"engine": "llama.cpp", "precision": self.native.precision}
            self._base_key = base_key
        strength = ask.strength
        # At strength 0, use the base itself instead of adding zeros.
        if ask.lora is None or strength <= 0:
            return ActiveAdapter()
        self._add(ask.lora)
        return ActiveAdapter(ask.lora, strength)

    def _add(self, adapter: str) -> None:
        if adapter not in self._adapters:
            idle = [name for name, users in self._adapters.items() if not users]
            for name in idle[: max(0, len(self._adapters) + 1 - ADAPTERS)]:
                self._conversations.forget(name)
                self.native.remove_adapter(name)
                del self._adapters[name]
            self.native.add_adapter(adapter)
            self._adapters[adapter] = 0
        self._adapters.move_to_end(adapter)

    def _measure(self) -> None:
        """Measure which number of threads is fastest: one thread that shares its core slows all others."""
        native, half = self.native, max(1, CORES // 2)
        token = next(iter(self.ends), 0)

        def seconds(threads: int) -> float:
            native.use_threads(threads)
            times = []
            for position in range(MEASURED):
                started = time.perf_counter()
                native.read([(0, position, [token])])
                times.append(time.perf_counter() - started)
            native.drop(0)
            return min(times)

        by_half = seconds(half)
        self._shared_threads = half
        self._threads = CORES if by_half > THREADS_MARGIN * seconds(CORES) else half


@dataclass
class _GenerationConfig:
    """A model's end tokens and repetition penalty, as determined by transformers; see its class."""

    eos_token_id: int | list[int] | None
    repetition_penalty: float | None


def _generation(folder: Path) -> _GenerationConfig:
    generation_config = folder / "generation_config.json"
    path = generation_config if generation_config.is_file() else folder / "config.json"
    try:
        config = json.loads(read_small(path, CONFIG_LIMIT))
    except (OSError, ValueError, RecursionError):
        config = {}
    if not isinstance(config, dict):
        config = {}
    penalty = config.get("repetition_penalty")
    return _GenerationConfig(
        eos_token_id=config.get("eos_token_id"),
        repetition_penalty=penalty if isinstance(penalty, int | float) else None,
    )
