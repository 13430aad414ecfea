"""A job's sample prompts: those in its settings, or some of its held-out rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.events import SAMPLE_CREATED, SampleCreated
from arkor_dev.contract.settings.evaluation import samples_off
from arkor_dev.local.evaluation.stage import context_of, texts_of
from arkor_dev.local.modeling.chat_template import end_ids, render
from arkor_dev.local.workers.errors import JobFailure

from .budget import MOST_TOKENS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch.nn import Module
    from transformers import PreTrainedTokenizerBase

    from arkor_dev.contract.json_types import JsonObject
    from arkor_dev.contract.shapes import ChatMessage
    from arkor_dev.data.rows import Row, RowMessage
    from arkor_dev.local.training.preparation import RunPreparation

COUNT: Final = 3
"""Number of held-out rows used if the setting ``samples`` has no prompts."""
LONGEST: Final = 512
"""Maximum length of a prompt in tokens: a longer one takes as long as many short ones."""
TEXT: Final = 1000
"""Maximum length of a text in an event, in characters."""
BEGINNING: Final = 200
"""Maximum number of characters of a plain text that the model is given to continue."""
ACTS: Final = (
    "The sample prompts are not answered: a model that acts in an environment answers with its tools, which "
    "they do not have"
)


@dataclass(frozen=True, slots=True)
class SamplePrompt:
    """``ids`` are its tokens, with the generation prompt; the others are fields of `SampleCreated`."""

    ids: list[int]
    prompt: str
    number: int = 0
    messages: list[ChatMessage] | None = None
    row: int | None = None
    wanted: str | None = None

    def answered(self, step: int, answer: str, *, truncated: bool) -> SampleCreated:
        """Return the event that this prompt was answered after ``step``."""
        event = SampleCreated(
            type=SAMPLE_CREATED, step=step, number=self.number, prompt=self.prompt, answer=answer
        )
        if self.messages is not None:
            event["messages"] = self.messages
        if self.row is not None:
            event["row"] = self.row
        if self.wanted is not None:
            event["wanted"] = self.wanted
        if truncated:
            event["truncated"] = True
        return event


def prompts_of(preparation: RunPreparation) -> tuple[list[SamplePrompt], list[int]]:
    """Return a job's prompts, and the token ids that end an answer.

    A model trained on plain text continues a text; its chat template has not been checked and is not run.
    """
    base, samples = preparation.base, preparation.settings.get("samples")
    tokenizer, plain = base.tokenizer, all(row.text is not None for row in preparation.train_rows)
    room = min(LONGEST, base.context - MOST_TOKENS)
    if samples_off(samples) or not preparation.method.answers:
        return [], []
    if preparation.settings.get("environment"):
        if samples is not None:
            preparation.say(ACTS)
        return [], []
    try:
        ends = _eos(tokenizer, base.model) if plain else end_ids(tokenizer, base.model)
    except JobFailure as failure:
        preparation.say(f"There are no sample answers: {failure}")
        return [], []
    if samples is None:
        rows = [
            (row_number, row)
            for row_number, row in enumerate(preparation.eval_rows, 1)
            if row.text or not plain
        ]
        prompts = list(_held_out(rows, tokenizer, room))
    else:
        texts = [samples] if isinstance(samples, str) else samples
        prompts = list(_written(texts, tokenizer, plain, room, preparation.say))
    return [replace(prompt, number=number) for number, prompt in enumerate(prompts, 1)], ends


def _eos(tokenizer: PreTrainedTokenizerBase, model: Module) -> list[int]:
    configured = model.generation_config.eos_token_id
    tokens = {tokenizer.eos_token_id, *(configured if isinstance(configured, list) else [configured])}
    return sorted(token for token in tokens if token is not None)


def _written(
    texts: Sequence[str],
    tokenizer: PreTrainedTokenizerBase,
    plain: bool,
    room: int,
    say: Callable[[str], None],
) -> Iterator[SamplePrompt]:
    for number, text in enumerate(texts, 1):
        try:
            turns: list[RowMessage] = [{"role": "user", "content": text}]
            ids = _text(tokenizer, text) if plain else _conversation(tokenizer, turns, ())
        except JobFailure as failure:
            say(f"Sample prompt {number} is left out: {failure}")
            continue
        if len(ids) > room:
            say(f"Sample prompt {number} is skipped: it has {len(ids)} tokens, and {room} is the most")
            continue
        yield SamplePrompt(ids, text[:TEXT])


def _held_out(
    rows: Sequence[tuple[int, Row]], tokenizer: PreTrainedTokenizerBase, room: int
) -> Iterator[SamplePrompt]:
    """Yield the first ``COUNT`` short enough questions, spread over the rows."""
    apart = max(1, len(rows) // COUNT)
    spread = [*rows[::apart]][:COUNT]
    seen: set[str] = set()
    for number, row in [*spread, *(numbered for numbered in rows if numbered not in spread)]:
        if len(seen) == COUNT:
            return
        try:
            prompt = _of_row(row, tokenizer)
        except JobFailure:  # a problem with the data, which training has already reported
            continue
        if prompt and 0 < len(prompt.ids) <= room and prompt.prompt not in seen:
            seen.add(prompt.prompt)
            yield replace(prompt, row=number)


def _of_row(row: Row, tokenizer: PreTrainedTokenizerBase) -> SamplePrompt | None:
    """Return the text before a row's last answer, and that answer; None if nothing precedes it."""
    question, reference = texts_of(row)
    if row.text is not None:
        beginning = row.text[: min(len(row.text) // 2, BEGINNING)]
        beginning = beginning.rpartition(" ")[0] or beginning
        return SamplePrompt(
            _text(tokenizer, beginning), beginning, wanted=row.text[len(beginning) :].strip()[:TEXT]
        )
    last = max(index for index, turn in enumerate(row.messages) if turn["role"] == "assistant")
    before = row.messages[:last]
    if not before:
        return None
    return SamplePrompt(
        _conversation(tokenizer, before, row.tools),
        question[:TEXT],
        messages=context_of(row),
        wanted=reference[:TEXT] or None,
    )


def _conversation(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[RowMessage], tools: Sequence[JsonObject]
) -> list[int]:
    text = render(tokenizer, messages, add_generation_prompt=True, tools=tools)
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


def _text(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    ids: list[int] = tokenizer(text, add_special_tokens=True)["input_ids"]
    while ids and ids[-1] == tokenizer.eos_token_id:  # some templates add their end token to everything
        ids = ids[:-1]
    return ids
