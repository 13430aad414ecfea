"""Answers by llama.cpp, for the same loop: one base model as GGUF, and any number of its LoRA adapters.

Imported by its worker only. Prompts are made by the same tokenizer and chat template as the other engine's,
so both read the same tokens; and the loop chooses tokens, so seeds, penalties and stops mean the same.
"""

from __future__ import annotations

import json
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.contract.regular_files import read_small
from arkor_dev.local.inference.adapter_scale import FULL_STRENGTH, ActiveAdapter
from arkor_dev.local.inference.generation.prompt import prompt_of
from arkor_dev.local.inference.limits import TOGETHER
from arkor_dev.local.modeling.chat_template import end_ids
from arkor_dev.local.modeling.tokenizer import load_context, load_tokenizer
from arkor_dev.local.workers.errors import JobFailure
from arkor_dev.local.workers.resources import available_cores

from .conversations import Conversations
from .native import BATCH, ROOM_BYTES, MemoryFullError, Native

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

ADAPTERS: Final = 4
KEPT: Final = 8
"""Conversations that are over and remembered, at most."""
USUAL: Final = 1536
"""Tokens of a conversation that there is room for from the start, for as many as answer together."""
LEAST_PIECE: Final = 16
PIECE_SECONDS: Final = 0.05
"""How long reading a piece of a prompt may take: a stop is heard, and others answer, in between."""
CORES: Final = available_cores()
THREADS_MARGIN: Final = 1.5
"""How many times quicker all cores have to be than half of them."""
MEASURED: Final = 4
CONFIG_LIMIT: Final = 1 << 24
FULL: Final = (
    "llama.cpp has no room for this conversation beside the others that are being answered: "
    "wait for them, or ask for fewer tokens"
)


@dataclass(eq=False)
class Row:
    """One conversation: its prompt, and the tokens of it and of the answer that are in memory."""

    group: ActiveAdapter
    prompt: list[int]
    room: int
    sequence: int
    cached: int
    reserved: int
    """Tokens that it may come to."""
    tokens: list[int] = field(default_factory=list)
    whole: bool = True


class LlamaEngine:
    """The loaded base, its adapters, and the conversations that are read and answered."""

    def __init__(self) -> None:
        self.tokenizer: Any = None
        self.ends: list[int] = []
        self.repetition = 1.0
        self.facts: dict[str, str] = {}
        self._place: str | None = None
        self._native: Native | None = None
        self._context = 0
        self._adapters: OrderedDict[str, int] = OrderedDict()
        self._open: list[Row] = []
        self._threads = self._shared_threads = max(1, CORES // 2)
        self._piece = LEAST_PIECE

    @property
    def native(self) -> Native:
        assert self._native
        return self._native

    def place_of(self, ask: dict[str, Any]) -> str:
        """The base as it has to be loaded."""
        return str(ask["gguf"])

    def begin(self, ask: dict[str, Any], place: str, progress: Callable[[str], None]) -> Row:
        """Load what has to be loaded and make the prompt; the adapter is in use until ``end``."""
        worn = self._load(ask, place, progress)
        self.native.use_threads(self._shared_threads if ask.get("training") else self._threads)
        prompt = prompt_of(self.tokenizer, ask, self._context)
        if max(prompt) >= self.native.size:
            raise JobFailure("The GGUF file has fewer tokens than the model's tokenizer")
        room = self._context - len(prompt)
        reserved = len(prompt) + min(ask["maxTokens"], room)
        self._make_room(reserved)
        sequence, cached = self._conversations.open(worn, prompt)
        row = Row(worn, prompt, room, sequence, cached, reserved, prompt[:cached])
        self._open.append(row)
        if worn.adapter is not None:
            self._adapters[worn.adapter] += 1
        return row

    def left(self, row: Row) -> int:
        """How many tokens of the prompt are still to be read."""
        return len(row.prompt) - len(row.tokens)

    def read(self, row: Row) -> NDArray[np.float32] | None:
        """Read a piece of the prompt; the first token's logits once it is read."""
        self.native.wear(row.group.adapter, row.group.strength)
        known = len(row.tokens)
        piece = row.prompt[known : known + self._piece]
        last = known + len(piece) == len(row.prompt)
        began = time.perf_counter()
        logits = self._read([row], [piece], told=last)
        if len(piece) == self._piece:
            self._pace(time.perf_counter() - began)
        return logits[0] if last else None

    def step(self, rows: list[Row], tokens: list[int]) -> NDArray[np.float32]:
        """Add a token to each row of one group; the logits behind them."""
        self.native.wear(rows[0].group.adapter, rows[0].group.strength)
        return self._read(rows, [[token] for token in tokens])

    def end(self, row: Row) -> None:
        """Let go of a row, and remember what it has read and said."""
        self._open.remove(row)
        if row.group.adapter is not None:
            self._adapters[row.group.adapter] -= 1
        self._conversations.close(row.group, row.tokens, row.sequence, whole=row.whole)

    def _read(self, rows: list[Row], pieces: list[list[int]], *, told: bool = True) -> NDArray[np.float32]:
        given = [(row.sequence, len(row.tokens), piece) for row, piece in zip(rows, pieces, strict=True)]
        try:
            while True:
                try:
                    logits = self.native.read(given, told=told)
                    break
                except MemoryFullError:
                    if not self._conversations.let_go():
                        raise JobFailure(FULL) from None
        except BaseException:
            for row in rows:
                row.whole = False  # some layers have read it, and some have not
            raise
        for row, piece in zip(rows, pieces, strict=True):
            row.tokens.extend(piece)
        return logits

    def _pace(self, seconds: float) -> None:
        """Read as much at once the next time as takes a stop's time."""
        wanted = int(self._piece * PIECE_SECONDS / max(seconds, 1e-6))
        self._piece = max(LEAST_PIECE, min(BATCH, self.native.cells, 2 * self._piece, wanted))

    def _make_room(self, reserved: int) -> None:
        """Have room for a conversation of so many tokens; :class:`JobFailure` where there is none."""
        native = self.native
        used = sum(row.reserved for row in self._open)
        if used + reserved <= native.cells:
            return
        most = ROOM_BYTES // native.cell_bytes
        if reserved > most:
            raise JobFailure(
                f"llama.cpp has room here for {most:,} tokens, and this conversation may come to "
                f"{reserved:,}: ask for fewer"
            )
        if self._open:
            raise JobFailure(FULL)
        # Nobody is answered, so the memory can be another; what was kept is read again. Where it cannot be
        # had there is none, and the model is loaded anew.
        place, self._place = self._place, None
        native.make_room(min(most, 2 * reserved))
        self._conversations = Conversations(native)
        self._place = place

    def _load(self, ask: dict[str, Any], place: str, progress: Callable[[str], None]) -> ActiveAdapter:
        """Have the base and the adapter loaded."""
        if self._place != place:
            progress(f"Loading {ask['name']}")
            self._place = None
            self._adapters.clear()
            if self._native:
                self._native.close()
                self._native = None
            folder = Path(ask["base"])
            self.tokenizer, self._context = load_tokenizer(folder), load_context(folder)
            told = _generation(folder)
            self.ends = end_ids(self.tokenizer, SimpleNamespace(generation_config=told))
            self.repetition = told.repetition_penalty or 1.0
            usual = min(self._context, USUAL)
            self._native = Native(Path(place), TOGETHER + KEPT, self._threads)
            most = max(usual, ROOM_BYTES // self.native.cell_bytes)
            self.native.make_room(min(most, TOGETHER * usual))
            self._conversations = Conversations(self.native)
            self._measure()
            self.facts = {"engine": "llama.cpp", "precision": self.native.precision}
            self._place = place
        strength = ask.get("strength", FULL_STRENGTH)
        # Nothing of an adapter is the base itself, not the base and a sum of zeros.
        if ask["lora"] is None or strength <= 0:
            return ActiveAdapter()
        self._add(ask["lora"])
        return ActiveAdapter(ask["lora"], strength)

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
        """Find out on how many threads a token comes soonest: one that shares its core holds all back."""
        native, half = self.native, max(1, CORES // 2)
        token = next(iter(self.ends), 0)

        def seconds(threads: int) -> float:
            native.use_threads(threads)
            times = []
            for place in range(MEASURED):
                began = time.perf_counter()
                native.read([(0, place, [token])])
                times.append(time.perf_counter() - began)
            native.drop(0)
            return min(times)

        by_half = seconds(half)
        self._shared_threads = half
        self._threads = CORES if by_half > THREADS_MARGIN * seconds(CORES) else half


def _generation(folder: Path) -> Any:
    """What a model says of its answers' ends and penalty, as transformers finds it."""
    own = folder / "generation_config.json"
    path = own if own.is_file() else folder / "config.json"
    try:
        told = json.loads(read_small(path, CONFIG_LIMIT))
    except (OSError, ValueError, RecursionError):
        told = {}
    if not isinstance(told, dict):
        told = {}
    penalty = told.get("repetition_penalty")
    return SimpleNamespace(
        eos_token_id=told.get("eos_token_id"),
        repetition_penalty=penalty if isinstance(penalty, int | float) else None,
    )
