"""Answers from one loaded base model and any number of its adapters. Imported by the inference worker only.

transformers' own ``generate`` does the work, so that every architecture's peculiarities are its business; it
calls back after each token, and there the text goes out, a stop comes in, and the model is shared.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import OrderedDict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch
from peft import PeftModel
from transformers import StoppingCriteria, StoppingCriteriaList
from transformers.generation.streamers import BaseStreamer

from arkor_dev.local.modeling.base_model import Base, load_base
from arkor_dev.local.modeling.chat_template import end_ids, render
from arkor_dev.local.workers.errors import JobFailure

from .answer_speed import Way, convert, quickest
from .model_sharing import FairLock, Stage
from .strength import WHOLE, Dial

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

ADAPTERS: Final = 4
UNPACKED: Final = "\0unpacked"
"""Behind a base's folder, where its weights are to lie as adapters can read them."""
UNSAID: Final = {
    "reason": "cancelled",
    "promptTokens": 0,
    "completionTokens": 0,
    "firstTokenSeconds": 0.0,
    "seconds": 0.0,
}


def refuse_pickled_adapter(folder: Path) -> None:
    """:class:`JobFailure` for an adapter whose weights are no safetensors: PEFT would unpickle them."""
    if not (folder / "adapter_model.safetensors").is_file():
        raise JobFailure(
            f"The adapter in {folder} has no adapter_model.safetensors; a pickled one can run any program "
            "when it is loaded, and is refused: convert it to safetensors where you trust it"
        )


def reads_weights(folder: Path) -> bool:
    """Whether an adapter reads the base's weights, or copies layers of it: then they cannot lie packed."""
    try:
        settings = json.loads((folder / "adapter_config.json").read_text())
        return bool(settings.get("use_dora") or settings.get("modules_to_save"))
    except (OSError, ValueError, AttributeError):
        return False


@dataclass(frozen=True, slots=True)
class Worn:
    """As what the model answers: an adapter by its name within the model, and how much of it; or the base."""

    adapter: str | None = None
    strength: float = WHOLE


class Incremental:
    """Token ids to text as they come, holding back a character that is not whole yet."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._ids: list[int] = []
        self._start = 0
        self._read = 0

    def push(self, token: int) -> str:
        """The text that ``token`` completes, decoded with a few before it: some spaces depend on them."""
        self._ids.append(token)
        known = self._decode(self._ids[self._start : self._read])
        text = self._decode(self._ids[self._start :])
        if len(text) <= len(known) or text.endswith("\ufffd"):
            return ""
        self._start, self._read = self._read, len(self._ids)
        return text[len(known) :]

    def _decode(self, ids: list[int]) -> str:
        text: str = self._tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text


class _Pen(BaseStreamer, StoppingCriteria):  # type: ignore[misc]
    """One answer's hand in ``generate``: sends text out, hears a stop, shares the model."""

    def __init__(
        self, engine: Engine, worn: Worn, stop: threading.Event, write: Callable[[str], None]
    ) -> None:
        self._engine = engine
        self._worn = worn
        self._stop = stop
        self._write = write
        self._text = Incremental(engine.base.tokenizer)
        self._prompt_seen = False
        self.tokens = 0
        self.first: float | None = None

    def put(self, value: Any) -> None:
        if not self._prompt_seen:
            self._prompt_seen = True
            return
        self.tokens += 1
        if self.first is None:
            self.first = time.monotonic()
        text = self._text.push(int(value.reshape(-1)[0]))
        if text:
            self._write(text)

    def end(self) -> None:
        pass

    def __call__(self, input_ids: Any, scores: Any, **kwargs: Any) -> Any:
        if not self._stop.is_set() and self._engine.lock.share():
            self._engine.wear(self._worn)
        return torch.full(
            (input_ids.shape[0],), self._stop.is_set(), dtype=torch.bool, device=input_ids.device
        )


class Engine:
    """The loaded base, its adapters, and the right to use them."""

    def __init__(self) -> None:
        self.stage = Stage()
        self.lock = FairLock()
        self._place: str | None = None
        self._unpacked: set[str] = set()
        self._base: Base | None = None
        self._adapters: OrderedDict[str, int] = OrderedDict()
        self._dials: dict[str, Dial] = {}
        self._ends: list[int] = []
        self._way: Way | None = None

    @property
    def base(self) -> Base:
        assert self._base
        return self._base

    def answer(
        self,
        ask: dict[str, Any],
        stop: threading.Event,
        write: Callable[[str], None],
        progress: Callable[[str], None],
    ) -> dict[str, Any]:
        """Generate one answer; ``reason`` (stop, length or cancelled), token counts and seconds.

        ``ask`` has ``base`` and ``name``, ``adapter`` (a folder or None), ``messages``, ``temperature``,
        ``topP``, ``maxTokens``, perhaps ``tools``, ``strength`` (of the adapter, 1 is all of it), and
        ``training`` when a job runs beside it.
        Raises :class:`JobFailure`.
        """
        place = self._place_of(ask)
        self.stage.enter(place)
        try:
            self.lock.take()
            try:
                if stop.is_set():
                    return {**UNSAID}
                worn = self._load(ask, place, progress)
                try:
                    return self._generate(ask, worn, stop, write)
                finally:
                    if worn.adapter is not None:
                        self._adapters[worn.adapter] -= 1
            finally:
                self.lock.give()
        finally:
            self.stage.leave()

    def wear(self, worn: Worn) -> None:
        """Make the model answer as ``worn``; who answers beside it wears its own when its turn comes."""
        model = self.base.model
        if not isinstance(model, PeftModel):
            return
        if worn.adapter is None:
            model.base_model.disable_adapter_layers()
        else:
            model.base_model.enable_adapter_layers()
            model.set_adapter(worn.adapter, inference_mode=True)
            self._dials[worn.adapter].turn(worn.strength)

    def _place_of(self, ask: dict[str, Any]) -> str:
        """The base as it has to be loaded. Unpacked it can do all, so it stays so for the answers after."""
        if ask["adapter"] is not None and reads_weights(Path(ask["adapter"])):
            self._unpacked.add(ask["base"])
        return f"{ask['base']}{UNPACKED if ask['base'] in self._unpacked else ''}"

    def _load(self, ask: dict[str, Any], place: str, progress: Callable[[str], None]) -> Worn:
        """Have the base and the adapter loaded and worn; the adapter is now in use."""
        if self._place != place:
            progress(f"Loading {ask['name']}")
            self._place, self._base = None, None
            self._adapters.clear()
            self._dials.clear()
            base = load_base(Path(ask["base"]))
            base.model.eval()
            self._way = quickest(base.model, base.dtype) if base.device == "cpu" else None
            if self._way:
                self._way = replace(self._way, packed=self._way.packed and not place.endswith(UNPACKED))
                convert(base.model, self._way)
            base.model.config.use_cache = True
            self._ends = end_ids(base.tokenizer, base.model)
            self._base, self._place = base, place
        worn, strength = Worn(), ask.get("strength", WHOLE)
        # Nothing of an adapter is the base itself, not the base and a sum of zeros.
        if ask["adapter"] is not None and strength > 0:
            # A folder is no name for a module: it may have dots.
            adapter = hashlib.sha256(ask["adapter"].encode()).hexdigest()[:16]
            if adapter not in self._adapters:
                self._add(adapter, ask["adapter"])
            self._adapters.move_to_end(adapter)
            self._adapters[adapter] += 1
            worn = Worn(adapter, strength)
        self.wear(worn)
        return worn

    def _add(self, adapter: str, folder: str) -> None:
        base = self.base
        refuse_pickled_adapter(Path(folder))
        try:
            if isinstance(base.model, PeftModel):
                base.model.load_adapter(folder, adapter, is_trainable=False)
            else:
                base.model = PeftModel.from_pretrained(base.model, folder, adapter, is_trainable=False)
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            raise JobFailure(f"The adapter in {folder} does not fit its base model: {error}") from error
        base.model.eval()
        self._adapters[adapter] = 0
        self._dials[adapter] = Dial(base.model, adapter)
        idle = [name for name, users in self._adapters.items() if not users and name != adapter]
        for name in idle[: max(0, len(self._adapters) - ADAPTERS)]:
            base.model.delete_adapter(name)
            del self._adapters[name], self._dials[name]

    def _generate(
        self, ask: dict[str, Any], worn: Worn, stop: threading.Event, write: Callable[[str], None]
    ) -> dict[str, Any]:
        base = self.base
        text = render(base.tokenizer, ask["messages"], cue=True, tools=ask.get("tools"))
        ids = base.tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
        prompt = ids.shape[1]
        room = base.context - prompt
        if room < 1:
            raise JobFailure(
                f"The conversation has {prompt} tokens, and {ask['name']} reads at most {base.context}: "
                "shorten it"
            )
        ids = ids.to(base.device)
        pen = _Pen(self, worn, stop, write)
        if self._way:
            torch.set_num_threads(self._way.shared_threads if ask.get("training") else self._way.threads)
        began = time.monotonic()
        hot = ask["temperature"] > 0
        sampling = {"temperature": ask["temperature"], "top_p": ask["topP"], "top_k": 0} if hot else {}
        base.model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=min(ask["maxTokens"], room),
            do_sample=hot,
            eos_token_id=self._ends,
            pad_token_id=base.tokenizer.pad_token_id,
            streamer=pen,
            stopping_criteria=StoppingCriteriaList([pen]),
            **sampling,
        )
        seconds = time.monotonic() - began
        reason = (
            "cancelled"
            if stop.is_set()
            else "length"
            if pen.tokens >= min(ask["maxTokens"], room)
            else "stop"
        )
        return {
            "reason": reason,
            "promptTokens": prompt,
            "completionTokens": pen.tokens,
            "firstTokenSeconds": round((pen.first or time.monotonic()) - began, 4),
            "seconds": round(seconds, 4),
        }
