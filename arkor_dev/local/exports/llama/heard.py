"""Asks llama.cpp the verification's questions and lists differences from training."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from arkor_dev.local.exports.proof import ANSWER_TOKENS, Said
from arkor_dev.local.exports.template_checks import CONVERSATIONS, template_fault
from arkor_dev.local.gguf.limited import Limits, run
from arkor_dev.local.modeling.chat_template import render
from arkor_dev.local.workers.errors import JobFailure

from .asking import LIKELY

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from arkor_dev.local.exports.proof import Questions

    Progress = Callable[[str, float, float | None, str], None]

CHILD: Final = "arkor_dev.local.exports.llama.asking"


@dataclass(frozen=True, slots=True)
class Heard:
    """A file's answers ``said`` to the questions, and its ``vocabulary`` as reported by ``asking``."""

    said: Said
    vocabulary: dict[str, Any]
    conversations: list[str]


def conversations_of(tokenizer: Any, asked: Sequence[Sequence[Any]]) -> list[str]:
    """Render conversations with the training's chat template; skip those that it rejects."""
    found = []
    for messages in (*CONVERSATIONS, *asked):
        try:
            found.append(render(tokenizer, messages, cue=True))
        except JobFailure:
            continue
    return found


def hear(
    model: Path,
    lora: Path | None,
    questions: Questions,
    conversations: list[str],
    scratch: Path,
    progress: Progress,
    *,
    whom: str,
    answers: bool = True,
) -> Heard:
    """Ask ``model``, a GGUF file, in a child process. Raises :class:`JobFailure` for an unusable answer."""
    prompts = questions.prompts if answers else []
    order = {
        "model": str(model),
        "lora": None if lora is None else str(lora),
        "texts": [{"ids": text.ids, "labels": text.labels} for text in questions.texts],
        "prompts": prompts,
        "ends": questions.ends,
        "answerTokens": ANSWER_TOKENS,
        "conversations": conversations,
        "out": str(scratch),
        "whom": whom,
    }
    heard = run(CHILD, order, Limits.of(model.stat().st_size), progress, f"Testing {whom}")
    places = [len(targets) for targets in questions.targets]
    # The child reads foreign files, so its output is validated before use.
    likely = np.load(scratch / LIKELY, mmap_mode="r", allow_pickle=False)
    if likely.shape != (sum(places), questions.vocabulary) or likely.dtype != np.float32:
        raise JobFailure(
            f"The exported file has {heard['vocabulary']['size']} tokens, and the trained model's "
            f"vocabulary {questions.vocabulary}"
        )
    each = torch.from_numpy(np.array(likely)).split(places)
    (scratch / LIKELY).unlink()
    return Heard(Said(list(each), heard["answers"]), heard["vocabulary"], conversations)


def adds_start(tokenizer: Any, conversation: str) -> bool:
    """Return whether programs must add a start token: conversations have one that the tokenizer adds
    itself.
    """
    start = tokenizer.bos_token_id
    texts = tokenizer(conversation, add_special_tokens=False)["input_ids"], tokenizer("x")["input_ids"]
    return start is not None and all(ids[:1] == [start] for ids in texts)


def faults(tokenizer: Any, heard: Heard, asked: Sequence[Sequence[Any]]) -> list[str]:
    """Describe each difference between llama.cpp and the training in a sentence."""
    told, found = heard.vocabulary, []
    theirs = copy.copy(tokenizer)
    theirs.chat_template = told["template"] or "{{ '' }}"
    if fault := template_fault(tokenizer, theirs, [*CONVERSATIONS, *asked]):
        found.append(fault)
    for text, tokens in zip(heard.conversations, told["tokens"], strict=True):
        wanted = tokenizer(text, add_special_tokens=False)["input_ids"]
        if tokens != wanted:
            found.append(
                f"llama.cpp makes {len(tokens)} tokens of a conversation of {len(wanted)}, or others."
            )
            break
    if heard.conversations and (wants := adds_start(tokenizer, heard.conversations[0])) != told["addsStart"]:
        does, did = ("does not set", "set") if wants else ("sets", "did not set")
        found.append(f"It {does} a start token before a text, and the training's tokenizer {did} one.")
    if told["noEnds"]:
        marks = ", ".join(tokenizer.convert_ids_to_tokens(told["noEnds"]))
        found.append(
            f"Its answers do not end where the trained model's do: it does not treat {marks} as an end token."
        )
    return found
