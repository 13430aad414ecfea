"""Runs an exported file in llama.cpp and describes its differences from the trained model."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from arkor_dev.local.exports.proof import ANSWER_TOKENS, Outputs
from arkor_dev.local.exports.template_checks import CONVERSATIONS, template_fault
from arkor_dev.local.gguf.limited import ProcessLimits, run
from arkor_dev.local.modeling.chat_template import render
from arkor_dev.local.workers.errors import JobFailure

from .child import LOG_PROBABILITIES
from .messages import ReadByLlama, ReadWithLlama

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from transformers import PreTrainedTokenizerBase

    from arkor_dev.data.rows import RowMessage
    from arkor_dev.local.exports.proof import Questions

    from .messages import VocabularyFacts

    Progress = Callable[[str, float, float | None, str], None]

CHILD: Final = "arkor_dev.local.exports.llama.child"


@dataclass(frozen=True, slots=True)
class LlamaOutputs:
    """A GGUF file's ``outputs`` for the questions, and properties of its ``vocabulary`` (see ``child``)."""

    outputs: Outputs
    vocabulary: VocabularyFacts
    conversations: list[str]


def conversations_of(
    tokenizer: PreTrainedTokenizerBase, prompts: Sequence[Sequence[RowMessage]]
) -> list[str]:
    """Render conversations with the training's chat template; skip those that it rejects."""
    texts = []
    for messages in (*CONVERSATIONS, *prompts):
        try:
            texts.append(render(tokenizer, messages, add_generation_prompt=True))
        except JobFailure:
            continue
    return texts


def evaluate(
    model: Path,
    lora: Path | None,
    questions: Questions,
    conversations: list[str],
    scratch: Path,
    progress: Progress,
    *,
    subject: str,
    answers: bool = True,
) -> LlamaOutputs:
    """Run the GGUF file ``model`` in a child process. Raises :class:`JobFailure` for unusable output."""
    prompts = questions.prompts if answers else []
    limits = ProcessLimits.of(model.stat().st_size)
    request = ReadWithLlama(
        memory=limits.memory,
        model=model,
        lora=lora,
        texts=[{"ids": text.ids, "labels": text.labels} for text in questions.texts],
        prompts=prompts,
        ends=questions.ends,
        answer_tokens=ANSWER_TOKENS,
        conversations=conversations,
        out=scratch,
        subject=subject,
    )
    answer = run(CHILD, request, limits.seconds, progress, f"Testing {subject}", ReadByLlama)
    counts = [len(targets) for targets in questions.targets]
    # The child reads untrusted files, so its output is validated before use.
    log_probabilities = np.load(scratch / LOG_PROBABILITIES, mmap_mode="r", allow_pickle=False)
    if (
        log_probabilities.shape != (sum(counts), questions.vocabulary)
        or log_probabilities.dtype != np.float32
    ):
        raise JobFailure(
            f"The exported file has {answer.vocabulary['size']} tokens, and the trained model's "
            f"vocabulary {questions.vocabulary}"
        )
    by_text = torch.from_numpy(np.array(log_probabilities)).split(counts)
    (scratch / LOG_PROBABILITIES).unlink()
    return LlamaOutputs(Outputs(list(by_text), answer.answers), answer.vocabulary, conversations)


def adds_start(tokenizer: PreTrainedTokenizerBase, conversation: str) -> bool:
    """Return whether programs must add a start token; the tokenizer adds its own to conversations."""
    start = tokenizer.bos_token_id
    texts = tokenizer(conversation, add_special_tokens=False)["input_ids"], tokenizer("x")["input_ids"]
    return start is not None and all(ids[:1] == [start] for ids in texts)


def faults(
    tokenizer: PreTrainedTokenizerBase, exported: LlamaOutputs, prompts: Sequence[Sequence[RowMessage]]
) -> list[str]:
    """Describe each difference between llama.cpp and the training, one sentence each."""
    vocabulary, differences = exported.vocabulary, []
    exported_tokenizer = copy.copy(tokenizer)
    exported_tokenizer.chat_template = vocabulary["template"] or "{{ '' }}"
    if fault := template_fault(tokenizer, exported_tokenizer, [*CONVERSATIONS, *prompts]):
        differences.append(fault)
    for text, tokens in zip(exported.conversations, vocabulary["tokens"], strict=True):
        expected = tokenizer(text, add_special_tokens=False)["input_ids"]
        if tokens != expected:
            differences.append(
                f"llama.cpp makes {len(tokens)} tokens of a conversation of {len(expected)}, or others."
            )
            break
    if (
        exported.conversations
        and (adds := adds_start(tokenizer, exported.conversations[0])) != vocabulary["addsStart"]
    ):
        does, did = ("does not set", "set") if adds else ("sets", "did not set")
        differences.append(f"It {does} a start token before a text, and the training's tokenizer {did} one.")
    if vocabulary["noEnds"]:
        marks = ", ".join(tokenizer.convert_ids_to_tokens(vocabulary["noEnds"]))
        differences.append(
            f"Its answers do not end where the trained model's do: it does not treat {marks} as an end token."
        )
    return differences
