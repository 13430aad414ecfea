"""The transformers engine: one loaded base model and any number of adapters, with transformers and PEFT.

Imported by the inference worker only. For ``generation.loop`` it loads models, builds prompts, reads them in
chunks and adds tokens to the conversations of a batch. Models with another kind of cache are left to
transformers' own ``generate`` (``generate_fallback``).
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from peft import PeftModel
from torch.nn.functional import normalize

from arkor_dev.contract.units import format_bytes
from arkor_dev.local.modeling.adapter_abilities import copied_layers, reads_weights
from arkor_dev.local.modeling.adapter_config import lora_config
from arkor_dev.local.modeling.auto_class import is_encoder
from arkor_dev.local.modeling.base_model import Base, load_base, load_dequantized, pick_device, unwrapped
from arkor_dev.local.modeling.chat_template import end_ids
from arkor_dev.local.modeling.classes import is_classifier, read_temperature
from arkor_dev.local.modeling.embedder import DOCUMENT, Embedder
from arkor_dev.local.modeling.gate import encoder_in
from arkor_dev.local.modeling.gpu_count import FOUR_BIT_BYTES, enough_gpus, weights_of
from arkor_dev.local.modeling.head import without_head
from arkor_dev.local.modeling.kv_cache import Forward, Layers, cache_of, layers_of
from arkor_dev.local.workers.errors import JobFailure, OutOfMemory, out_of_memory
from arkor_dev.local.workers.machine import memory

from .adapter_scale import FULL_STRENGTH, ActiveAdapter, AdapterScale
from .answer_speed import CORES, ComputePlan, convert, fastest_plan, half_of_cores
from .batch import Batch, BatchRow
from .classifier_head import MOST_TOKENS, ClassifierHead, batches, check_lengths
from .generate_fallback import StepwiseGenerate
from .generation.prompt import prompt_of
from .generation.sampling import SampledToken
from .merged_weights import MergedWeights
from .messages import ClassifiedTexts, EmbeddedTexts, Reranked
from .prompt_cache import PromptCache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase

    from arkor_dev.local.inference.messages import AnswerRequest

ADAPTERS: Final = 4
UNPACKED: Final = "\0unpacked"
"""Suffix in a base's key if its weights must stay readable for adapters."""
FOUR_BIT: Final = "\0nf4"
"""Suffix if the answering adapter was trained on 4-bit weights."""
WITH_TRAINING: Final = "\0beside"
"""Suffix while a job is training, which may leave too little of the GPU: the base is loaded again later."""
HEADED: Final = "\0headed"
"""Suffix if an encoder's adapter has a head: its layers have the names of transformers' classifiers."""
SCORED: Final = "\0scored"
"""Suffix if prompts are scored: no faster dtype, so that the figures agree with those of other programs."""
LOADED_FACTOR: Final = 1.2
"""Memory of a loaded model with the keys and values of conversations, as a multiple of its weights."""
TRAINING_SHARE: Final = 0.25
"""Share of the GPU's memory that a training job keeps in reserve, as its batches vary in length."""
PIECE: Final = 64
"""Prompt tokens read at once on a CPU: between chunks, stops are noticed and other answers advance."""
DEVICE_PIECE: Final = 1024
SCORED_PIECE: Final = 256
"""Chunk size for scoring, which keeps logits over the whole vocabulary for each token."""


def refuse_pickled_adapter(folder: Path) -> None:
    """Raise JobFailure for an adapter whose weights are not safetensors: PEFT would unpickle them."""
    if not (folder / "adapter_model.safetensors").is_file():
        raise JobFailure(
            f"The adapter in {folder} has no adapter_model.safetensors; a pickled one can run any program "
            "when it is loaded, and is refused: convert it to safetensors where you trust it"
        )


class TransformersEngine:
    """The loaded base, its adapters, and the conversations that are being read and answered."""

    def __init__(self) -> None:
        self.ends: list[int] = []
        self.repetition = 1.0
        self.facts: dict[str, str] = {}
        self._base_key: str | None = None
        self._unpacked: set[str] = set()
        self._heads: dict[str, ClassifierHead] = {}
        self._base: Base | None = None
        self._forward: Forward | None = None
        self._adapters: OrderedDict[str, int] = OrderedDict()
        self._scales: dict[str, AdapterScale] = {}
        self._merged: dict[str, MergedWeights] = {}
        self._active: ActiveAdapter | None = None
        self._plan: ComputePlan | None = None
        self._batches: dict[ActiveAdapter, Batch] = {}
        self._prompt_cache = PromptCache()

    @property
    def base(self) -> Base:
        assert self._base
        return self._base

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        return self.base.tokenizer

    def base_key_of(self, ask: AnswerRequest) -> str:
        """Return a key for the way in which the base must be loaded. Unpacked weights serve every request, so
        they are kept for later ones.
        """
        if ask.adapter is not None and reads_weights(Path(ask.adapter)):
            self._unpacked.add(ask.base)
        key = f"{ask.base}{UNPACKED if ask.base in self._unpacked else ''}"
        key += FOUR_BIT if ask.four_bit else ""
        key += SCORED if _is_scored(ask) else ""
        if ask.adapter is not None and is_classifier(Path(ask.adapter)) and encoder_in(Path(ask.base)):
            key += HEADED
        return key + WITH_TRAINING if ask.training and torch.cuda.is_available() else key

    def begin(self, ask: AnswerRequest, base_key: str, progress: Callable[[str], None]) -> BatchRow:
        """Load what is needed and build the prompt; the adapter stays in use until `end`."""
        active = self._load(ask, base_key, progress)
        if self._forward is None:
            raise JobFailure(
                f"{ask.name} is an encoder, which writes no text: choose a language model, or train this one "
                'with method = "embed", "classify" or "rerank"'
            )
        prompt = prompt_of(self.tokenizer, ask, self.base.context)
        row = BatchRow(active, prompt, self.base.context - len(prompt))
        if ask.echo and ask.sampling.logprobs is not None:
            row.scores, row.alternatives = [SampledToken(prompt[0])], ask.sampling.logprobs
        if self._forward.plain:
            cached_layers = [] if row.scores else self._prompt_cache.find(active, prompt)
            row.cached = cached_layers[0][0].shape[-2] if cached_layers else 0
            row.tokens, row.cache = prompt[: row.cached], cache_of(cached_layers)
        else:
            row.fallback = StepwiseGenerate(self.base.model, prompt, row.max_new_tokens)
        if active.adapter is not None:
            self._adapters[active.adapter] += 1
        return row

    def read(self, row: BatchRow) -> NDArray[np.float32] | None:
        """Read a chunk of the prompt; once all of it is read, the row joins its group."""
        self._activate(row.group)
        if row.fallback:
            if row.scores:
                self._score_at_once(row)
            return row.fallback.first()
        assert self._forward
        start, scored = len(row.tokens), row.scores is not None
        size = PIECE if self.base.device == "cpu" else SCORED_PIECE if scored else DEVICE_PIECE
        piece = row.prompt[start : start + size]
        with torch.inference_mode():
            try:
                logits = self._forward([piece], [start], row.cache, every=scored)
                if row.scores:
                    row.scores += _scores(
                        logits[0], row.prompt[start + 1 : start + size + 1], row.alternatives
                    )
                    logits = logits[:, -1]
            except BaseException:
                row.cache = None  # interrupted: some layers have read it, others have not
                raise
            row.tokens = row.prompt[: start + len(piece)]
            if len(row.tokens) < len(row.prompt):
                return None
            self._batches.setdefault(row.group, Batch(self._forward)).add(row)
            return _figures(logits[0])

    def classify(
        self, ask: AnswerRequest, base_key: str, progress: Callable[[str], None], stopped: Callable[[], bool]
    ) -> tuple[ClassifiedTexts, int]:
        """Return the labels of the request's texts by the head of its adapter; see `generation.interface`.

        Raises JobFailure for a text that is longer than the model reads, or too many tokens.
        """
        active = self._load(ask, base_key, progress)
        assert ask.adapter is not None
        assert active.adapter is not None
        head = self._heads[active.adapter]
        # Read for each request: the next evaluation determines another one.
        temperature = read_temperature(Path(ask.adapter))
        rows: list[list[int]] = self.tokenizer(ask.texts, add_special_tokens=True)["input_ids"]
        check_lengths(rows, self.base.context)
        probabilities: list[list[float]] = [[] for _ in rows]
        for places, hidden, lengths in self._hidden_states(rows, stopped):
            for place, logs in zip(places, head.probabilities(hidden, lengths, temperature), strict=True):
                probabilities[place] = logs
        return ClassifiedTexts(list(head.names), probabilities, head.multiple), sum(map(len, rows))

    def embed(
        self, ask: AnswerRequest, base_key: str, progress: Callable[[str], None], stopped: Callable[[], bool]
    ) -> tuple[EmbeddedTexts, int]:
        """Return the embeddings of the request's texts by its adapter; see `generation.interface`.

        Raises JobFailure for a text that is longer than the model reads, or too many tokens.
        """
        assert ask.adapter is not None
        embedder = Embedder.read(Path(ask.adapter))
        self._load(ask, base_key, progress)
        texts = [embedder.prompted(text, ask.input_type or DOCUMENT) for text in ask.texts or ()]
        rows: list[list[int]] = self.tokenizer(texts, add_special_tokens=True, **self._truncated(ask))[
            "input_ids"
        ]
        check_lengths(rows, self.base.context)
        vectors = [""] * len(rows)
        for places, hidden, lengths in self._hidden_states(rows, stopped):
            pooled = normalize(embedder.pooled(hidden.float(), lengths)[:, : ask.dimensions], dim=-1)
            for place, vector in zip(places, pooled.cpu().numpy().astype("<f4"), strict=True):
                vectors[place] = base64.b64encode(vector.tobytes()).decode()
        return EmbeddedTexts(vectors), sum(map(len, rows))

    def rerank(
        self, ask: AnswerRequest, base_key: str, progress: Callable[[str], None], stopped: Callable[[], bool]
    ) -> tuple[Reranked, int]:
        """Return the relevance of the request's texts to its query; see `generation.interface`.

        Raises JobFailure for a pair that is longer than the model reads, or too many tokens.
        """
        active = self._load(ask, base_key, progress)
        assert active.adapter is not None
        head, texts = self._heads[active.adapter], ask.texts or []
        pairs = self.tokenizer([ask.query] * len(texts), texts, **self._truncated(ask))
        rows: list[list[int]] = pairs["input_ids"]
        check_lengths(rows, self.base.context)
        scores = [0.0] * len(rows)
        types = pairs.get("token_type_ids")
        for places, hidden, lengths in self._hidden_states(rows, stopped, types):
            relevance = head.logits(hidden, lengths)[:, 0].sigmoid()
            for place, score in zip(places, relevance.tolist(), strict=True):
                scores[place] = score
        return Reranked(scores), sum(map(len, rows))

    def _truncated(self, ask: AnswerRequest) -> dict[str, int]:
        """Return the tokenizer's arguments for the ``truncation`` of ``ask``."""
        if not ask.truncation:
            return {}
        return {"truncation": True, "max_length": min(self.base.context, MOST_TOKENS)}

    def _hidden_states(
        self,
        rows: Sequence[Sequence[int]],
        stopped: Callable[[], bool],
        types: Sequence[Sequence[int]] | None = None,
    ) -> Iterator[tuple[list[int], Tensor, Tensor]]:
        """Yield the last hidden states of tokenized texts in batches, until ``stopped`` is true.

        ``types`` are those of their tokens, for an encoder that tells two texts apart.

        Each batch has its texts' numbers, the states ``[texts, longest, size]``, and the lengths ``[texts]``.
        """
        model, device = unwrapped(self.base.model).base_model, self.base.model.device
        with torch.inference_mode(), self._fused():
            for places in batches(rows):
                if stopped():
                    return
                lengths = torch.tensor([len(rows[place]) for place in places])
                ids, mask = torch.zeros(2, len(places), int(lengths.max()), dtype=torch.long)
                for index, place in enumerate(places):
                    ids[index, : lengths[index]] = torch.tensor(rows[place])
                    mask[index, : lengths[index]] = 1
                ids = ids.to(device)
                # Without padding no mask is needed, which would cost a short text a fifth of its time.
                mask = None if int(lengths.min()) == ids.shape[1] else mask.to(device)
                extra = {}
                if types is not None and is_encoder(model.config):
                    extra["token_type_ids"] = torch.zeros_like(ids)
                    for index, place in enumerate(places):
                        extra["token_type_ids"][index, : lengths[index]] = torch.tensor(types[place])
                hidden = model(input_ids=ids, attention_mask=mask, use_cache=False, **extra).last_hidden_state
                yield places, hidden, lengths.to(hidden.device)

    def _fused(self) -> AbstractContextManager[None]:
        """Return a context in which the active adapter reads texts with few operations, if it can."""
        active = self._active
        if active is None or active.adapter not in self._merged or active.strength != FULL_STRENGTH:
            return contextlib.nullcontext()
        return self._merged[active.adapter].fused()

    def _score_at_once(self, row: BatchRow) -> None:
        """Score a prompt of a model that cannot read it in chunks."""
        assert row.scores
        with torch.inference_mode():
            ids = torch.tensor([row.prompt], device=self.base.model.device)
            logits = self.base.model(input_ids=ids, use_cache=False).logits
            row.scores += _scores(logits[0], row.prompt[1:], row.alternatives)

    def step(self, rows: list[BatchRow], tokens: list[int]) -> NDArray[np.float32]:
        """Add a token to each row of one group; return the next logits."""
        self._activate(rows[0].group)
        if rows[0].fallback:
            # Such a model computes one answer at a time, so its rows take turns.
            pairs = zip(rows, tokens, strict=True)
            return np.stack([row.fallback.step(token) for row, token in pairs if row.fallback])
        with torch.inference_mode():
            return _figures(self._batches[rows[0].group].step(rows, tokens))

    def end(self, row: BatchRow) -> None:
        """Remove a row, and cache what was read and generated."""
        if row.group.adapter is not None:
            self._adapters[row.group.adapter] -= 1
        if row.fallback:
            row.fallback.close()
            return
        batch = self._batches.get(row.group)
        with torch.inference_mode():
            layers: Layers = []
            if batch and row in batch.rows:
                layers = batch.remove(row)
                if not batch.rows:
                    del self._batches[row.group]
            elif row.cache is not None:
                layers = [(keys.clone(), values.clone()) for keys, values in layers_of(row.cache)]
            self._prompt_cache.store(row.group, row.tokens, layers)

    def _activate(self, active: ActiveAdapter) -> None:
        """Activate ``active`` in the loaded model."""
        model = self.base.model
        if not isinstance(model, PeftModel) or active == self._active:
            return
        self._deactivate()
        if active.adapter is None:
            model.base_model.disable_adapter_layers()
        else:
            model.base_model.enable_adapter_layers()
            model.set_adapter(active.adapter, inference_mode=True)
            self._scales[active.adapter].set(active.strength)
            if active.strength == FULL_STRENGTH and active.adapter in self._merged:
                self._merged[active.adapter].use()
        self._active = active

    def _deactivate(self) -> None:
        """Let the next answer activate its adapter anew."""
        self._active = None
        for merged in self._merged.values():
            merged.leave()

    def _merge(self, adapter: str) -> None:
        """Add a loaded adapter to packed weights, if there is memory for that.

        That is done for one adapter, while neither it nor the one before it has answers under way, since
        these would change in the middle.
        """
        users = (self._adapters[name] for name in (adapter, *self._merged))
        if adapter in self._merged or not (self._plan and self._plan.packed) or any(users):
            return
        self._deactivate()
        self._merged.clear()
        self._scales[adapter].set(FULL_STRENGTH)
        if MergedWeights.fit(self.base.model, adapter):
            self._merged[adapter] = MergedWeights(self.base.model, adapter)

    def _load(self, ask: AnswerRequest, base_key: str, progress: Callable[[str], None]) -> ActiveAdapter:
        if self._base_key != base_key or not self._intact:
            progress(f"Loading {ask.name}")
            self._base_key, self._base, self._active, self._forward = None, None, None, None
            self._adapters.clear()
            self._heads.clear()
            self._scales.clear()
            self._merged.clear()
            self._batches.clear()
            self._prompt_cache.clear()
            base, why_not_gpu = _load_base(
                Path(ask.base),
                four_bit=FOUR_BIT in base_key,
                with_training=WITH_TRAINING in base_key,
                as_stored=SCORED not in base_key,
                mapped=SCORED not in base_key and UNPACKED not in base_key,
                headed=HEADED in base_key,
            )
            if HEADED in base_key:
                without_head(base.model)
            base.model.eval()
            self._plan = None
            if base.device == "cpu" and SCORED in base_key:
                self._plan = ComputePlan(base.dtype, False, CORES, half_of_cores())
            elif base.device == "cpu":
                self._plan = fastest_plan(base.model, base.dtype)
                streams = base.stream is not None and _too_large(base, self._plan)
                packed = self._plan.packed and UNPACKED not in base_key and not streams
                self._plan = replace(self._plan, packed=packed)
                if base.stream and streams:
                    base.stream.start(self._plan.dtype)
                convert(base.model, self._plan, base.stream.weights if base.stream else ())
                if base.stream:
                    base.stream.release()
            self.ends, self.repetition, writes = [], 1.0, not is_encoder(base.model.config)
            if writes:
                base.model.config.use_cache = True
                self.ends = end_ids(base.tokenizer, base.model)
                self.repetition = base.model.generation_config.repetition_penalty or 1.0
            dtype = self._plan.dtype if self._plan else base.dtype
            self.facts = {"engine": "transformers", "precision": str(dtype).removeprefix("torch.")}
            if base.stream and base.stream.active:
                self.facts["why"] = (
                    "the model is larger than the free memory: its layers are read for each token"
                )
            if why_not_gpu:
                self.facts["why"] = why_not_gpu
            self._forward = Forward(base.model) if writes else None
            self._base, self._base_key = base, base_key
        active, strength = ActiveAdapter(), ask.strength
        # At strength 0, use the base itself instead of adding zeros.
        if ask.adapter is not None and strength > 0:
            # A folder's name is not a valid module name: it may contain dots.
            adapter = hashlib.sha256(ask.adapter.encode()).hexdigest()[:16]
            if adapter not in self._adapters:
                self._add(adapter, ask.adapter)
            self._adapters.move_to_end(adapter)
            if strength == FULL_STRENGTH:
                self._merge(adapter)
            active = ActiveAdapter(adapter, strength)
        self._activate(active)
        if self._plan:
            torch.set_num_threads(self._plan.shared_threads if ask.training else self._plan.threads)
        return active

    @property
    def _intact(self) -> bool:
        """Whether the files that a streamed base is read from are what they were when it was loaded."""
        stream = self._base.stream if self._base else None
        return stream is None or not stream.active or stream.intact

    def _add(self, adapter: str, folder: str) -> None:
        base = self.base
        refuse_pickled_adapter(Path(folder))
        has_adapters = isinstance(base.model, PeftModel)
        config = lora_config(Path(folder), base.model.get_base_model() if has_adapters else base.model)
        if is_classifier(Path(folder)):
            # Its head is kept beside the model: heads of several adapters differ in size, as PEFT's cannot.
            config.modules_to_save = copied_layers(Path(folder)) or None
            self._heads[adapter] = ClassifierHead.read(Path(folder), base.model.device, base.model.config)
        self._deactivate()  # loading an adapter changes which one is active
        try:
            if has_adapters:
                base.model.add_adapter(adapter, config)
                base.model.load_adapter(folder, adapter, is_trainable=False, torch_device=base.device)
            else:
                # Without a device, PEFT would read the weights into a GPU even if the model is elsewhere.
                options = {"config": config, "torch_device": base.device}
                base.model = PeftModel.from_pretrained(base.model, folder, adapter, **options)
        except Exception as error:
            if has_adapters and adapter in base.model.peft_config:
                base.model.delete_adapter(adapter)
            if out_of_memory(error):
                raise
            raise JobFailure(f"The adapter in {folder} does not fit its base model: {error}") from error
        base.model.eval()
        self._adapters[adapter] = 0
        self._scales[adapter] = AdapterScale(base.model, adapter)
        idle = [name for name, users in self._adapters.items() if not users and name != adapter]
        for name in idle[: max(0, len(self._adapters) - ADAPTERS)]:
            base.model.delete_adapter(name)
            self._prompt_cache.forget(name)
            self._merged.pop(name, None)
            self._heads.pop(name, None)
            del self._adapters[name], self._scales[name]


def _load_base(
    path: Path, *, four_bit: bool, with_training: bool, as_stored: bool, mapped: bool, headed: bool
) -> tuple[Base, str | None]:
    """Load a base onto a device with enough free memory; also return why that is not the GPU.
    ``with_training``: a job is training on the GPU. ``as_stored``: on a CPU, in the file's dtype, and
    with ``mapped`` in the file itself, which other processes share.

    Raises JobFailure if no device has enough.
    """
    device, dtype = pick_device()
    reason = None
    if device == "cuda":
        torch.cuda.empty_cache()
        free, total = torch.cuda.mem_get_info()
        needed = LOADED_FACTOR * weights_of(path)[0] * (FOUR_BIT_BYTES if four_bit else dtype.itemsize)
        if needed > free - (TRAINING_SHARE * total if with_training else 0):
            sizes = [torch.cuda.mem_get_info(gpu)[0] for gpu in range(torch.cuda.device_count())]
            if not with_training and (gpus := enough_gpus(needed, sizes)) > 1:
                return load_base(path, four_bit, gpus=gpus, headed=headed), None
            reason = (
                f"the processor answers: this model takes {format_bytes(needed)}, and of the GPU's memory "
                f"{format_bytes(free)} are free{' while a job trains on it' if with_training else ''}"
            )
    if device == "cuda" and not reason:
        return load_base(path, four_bit, headed=headed), None
    if device != "cpu":
        needed, free_memory = LOADED_FACTOR * weights_of(path)[0] * 4, memory().free
        if reason and free_memory is not None and needed > free_memory:
            raise OutOfMemory(
                f"This model cannot answer now: {reason.partition(': ')[2]}; the processor would need "
                f"{format_bytes(needed)} of memory, and {format_bytes(free_memory)} are free. Ask again when "
                "no job is training, or choose a smaller model"
            )
    if four_bit:
        return load_dequantized(path), reason
    base = load_base(
        path, device="cpu" if reason else None, as_stored=as_stored, mapped=mapped, headed=headed
    )
    if base.stream:
        for weight in base.model.parameters():
            if weight.dim() < 2:  # an adapter may bring other biases, which PEFT writes in place
                weight.data = weight.data.clone()
    return base, reason


def _too_large(base: Base, plan: ComputePlan) -> bool:
    """Return whether the layers of a mapped ``base`` must be streamed, and can be."""
    assert base.stream
    free, needed = memory().free, LOADED_FACTOR * base.model.num_parameters() * plan.dtype.itemsize
    return free is not None and needed > free and not base.stream.unsuited


def _is_scored(ask: AnswerRequest) -> bool:
    """Return whether the log probabilities of the prompt's tokens are requested."""
    return ask.echo and ask.sampling.logprobs is not None


def _scores(logits: Tensor, targets: list[int], count: int) -> list[SampledToken]:
    """Return the log probability of each token of ``targets``, given the tokens before it.

    ``logits`` are ``[tokens, vocabulary]``, and ``count`` the number of alternatives.
    """
    if not targets:
        return []
    logs = torch.log_softmax(logits[: len(targets)].float(), dim=-1)
    logprobs = logs.gather(-1, torch.tensor(targets, device=logs.device)[:, None])[:, 0].tolist()
    best = logs.topk(min(count, logs.shape[-1]))
    pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
    return [
        SampledToken(token, logprob, tuple(zip(*likeliest, strict=True)))
        for token, logprob, likeliest in zip(targets, logprobs, pairs, strict=True)
    ]


def _figures(logits: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = logits.float().cpu().numpy()
    return array
