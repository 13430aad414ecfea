"""Verifies that an exported model's outputs equal the trained one's on the same inputs.

Teacher forcing gives the probabilities of all tokens at each learned position of some texts; greedy answers
show what a person would read. Both models compute in the same dtype, so that differences can only come from
the export.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

import torch

from arkor_dev.local.evaluation.by_length import in_batches, lengths_of
from arkor_dev.local.modeling.example import IGNORED, Example
from arkor_dev.local.training.objective import rectangle

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor
    from torch.nn import Module

    from arkor_dev.contract.shapes import ExportProof

    Progress = Callable[[int, int], None]

T = TypeVar("T")
ANSWER_TOKENS: Final = 16
"""Maximum length of a greedy answer, in tokens."""
BATCH_SIZE: Final = 8
"""Batch size for texts and for greedy answers."""
BATCH_TOKENS: Final = 1024
"""Maximum tokens of a batch, padding included: the activations of streamed layers are to take less than two
layers' weights.
"""
OUTPUT_BYTES: Final = 2**28
"""Maximum bytes for one model's probabilities; longer texts are truncated."""


CLOSE: Final = 1e-4
"""Largest difference of a logit, or of a number of a vector of length 1, of two equal models."""


@dataclass(frozen=True, slots=True)
class Tolerances:
    """Limits within which two models count as equal: divergence in nats per token, agreement of confident
    choices.

    The divergence (Kullback and Leibler, 1951) is a mean over positions. ``learned`` raises its limit to this
    share of the base model's divergence. Choices are compared at positions where the trained model's
    probability exceeds :data:`SURE`.
    """

    divergence: float
    sure: float
    learned: float = 0.0

    def allowed(self, of_base: float) -> float:
        """Return the allowed divergence; ``of_base`` is that of the base from the trained model."""
        return max(self.divergence, self.learned * of_base)


SURE: Final = 0.5
"""Probability above which rounding does not change the first choice."""
BOUNDS: Final = {
    "adapter": Tolerances(1e-5, 0.999),
    "merged": Tolerances(2e-3, 0.97),
    "f16": Tolerances(1e-3, 0.97),
    "q8_0": Tolerances(0.02, 0.95, 0.05),
    "q6_k": Tolerances(0.03, 0.95, 0.05),
    "q5_k_m": Tolerances(0.1, 0.9, 0.2),
    "q4_k_m": Tolerances(0.2, 0.85, 0.3),
    "q4_0": Tolerances(0.3, 0.8, 0.5),
}
"""Limits by format, and for GGUF by quantization. An adapter keeps its exact numbers; merged weights are
rounded to the base's dtype. docs/exports.md explains the error sources of the others.
"""


@dataclass(frozen=True, slots=True)
class Outputs:
    """A model's outputs: log probabilities at learned positions, one tensor per text; answer tokens."""

    log_probabilities: list[Tensor]
    answers: list[list[int]] = field(default_factory=list)

    def loss(self, targets: Sequence[Tensor]) -> float:
        """Return the mean cross entropy per token on the texts' own next tokens, ``targets``."""
        losses = [
            -by_token.gather(1, targets_of_text[:, None])
            for by_token, targets_of_text in zip(self.log_probabilities, targets, strict=True)
        ]
        return float(torch.cat(losses).mean())


@dataclass
class Questions:
    """The inputs of both models: ``texts`` to score and ``prompts`` to answer, tokenized as in training.

    ``ends`` are the tokens that end an answer. Texts are truncated to fit into `OUTPUT_BYTES`.
    """

    texts: list[Example]
    prompts: list[list[int]]
    ends: list[int]
    pad: int
    vocabulary: int

    def __post_init__(self) -> None:
        positions = max(1, OUTPUT_BYTES // (4 * self.vocabulary))
        texts = []
        for text in self.texts:
            learned = [
                position for position, label in enumerate(text.labels) if position and label != IGNORED
            ]
            if not learned or positions < 1:
                continue
            end = learned[:positions][-1] + 1
            texts.append(Example(text.ids[:end], text.labels[:end], text.where))
            positions -= len(learned[:positions])
        self.texts = texts

    @property
    def targets(self) -> list[Tensor]:
        """Return each text's target tokens."""
        return [torch.tensor([label for label in text.labels[1:] if label != IGNORED]) for text in self.texts]

    def ask(self, model: Module, progress: Progress, *, answers: bool = True) -> Outputs:
        """Let ``model`` score every text and, with ``answers``, answer every prompt."""
        prompts = self.prompts if answers else []
        done, total = 0, len(self.texts) + len(prompts)

        def begun(batch: list[T]) -> list[T]:
            nonlocal done
            progress(done, total)
            done += len(batch)
            return batch

        longest_batch = min(BATCH_TOKENS, OUTPUT_BYTES // (4 * self.vocabulary))
        with torch.inference_mode():
            log_probabilities = in_batches(
                lambda texts: self._read(model, begun(texts)),
                self.texts,
                lengths_of(self.texts),
                BATCH_SIZE,
                longest_batch,
            )
            answered = in_batches(
                lambda asked: self._answers(model, begun(asked)),
                prompts,
                list(map(len, prompts)),
                BATCH_SIZE,
                BATCH_TOKENS,
            )
        progress(total, total)
        return Outputs(log_probabilities, answered)

    def _read(self, model: Module, texts: Sequence[Example]) -> list[Tensor]:
        """Return the log probabilities at the learned positions of each text."""
        ids, attention_mask, labels = rectangle(texts)
        inputs = {"input_ids": ids.to(model.device), "attention_mask": attention_mask.to(model.device)}
        logits = model(**inputs).logits[:, :-1]
        learned = (labels[:, 1:] != IGNORED).to(logits.device)
        return [
            by_position[positions].float().log_softmax(-1).cpu()
            for by_position, positions in zip(logits, learned, strict=True)
        ]

    def _answers(self, model: Module, prompts: Sequence[list[int]]) -> list[list[int]]:
        longest = max(map(len, prompts))
        ids = [[self.pad] * (longest - len(prompt)) + prompt for prompt in prompts]
        attention_mask = [[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts]
        answers = model.generate(
            input_ids=torch.tensor(ids, device=model.device),
            attention_mask=torch.tensor(attention_mask, device=model.device),
            max_new_tokens=ANSWER_TOKENS,
            do_sample=False,
            eos_token_id=self.ends,
            pad_token_id=self.pad,
        )[:, longest:].tolist()
        return [self._ended(answer) for answer in answers]

    def _ended(self, answer: list[int]) -> list[int]:
        """Truncate an answer after its first end token."""
        end = next((index for index, token in enumerate(answer) if token in self.ends), len(answer) - 1)
        return answer[: end + 1]


def difference(trained: Tensor, other: Tensor) -> float:
    """Return the largest difference of a number of two models' outputs, each ``[texts, …]``."""
    return float((trained - other).abs().max())


def outputs_proof(
    count: int, distance: float, of_base: float, figures: str, allowed: float = CLOSE
) -> ExportProof:
    """Return the proof of outputs for ``count`` texts, such as logits or vectors.

    ``distance`` is that of the exported model from the trained one, ``of_base`` that of the base. ``figures``
    is a sentence with these three as placeholders.
    """
    same = distance <= allowed  # NaN must not count as agreement
    figures = figures.format(count=count, distance=f"{distance:.2g}", of_base=f"{of_base:.2g}")
    return {
        "verdict": "same" if same else "differs",
        "sentence": f"Same as the trained model: {figures}."
        if same
        else f"Not the trained model: {figures} ({allowed:g} allowed).",
        "faults": [],
        "texts": count,
        "distance": float(f"{distance:.3g}"),
        "distanceOfBase": float(f"{of_base:.3g}"),
        "allowed": {"distance": allowed},
    }


def divergence(trained: Outputs, other: Outputs) -> float:
    """Return the mean divergence of ``other`` from the trained model, in nats per position."""
    by_text = [
        (expected.exp() * (expected - actual)).sum(-1)
        for expected, actual in zip(trained.log_probabilities, other.log_probabilities, strict=True)
    ]
    return max(0.0, float(torch.cat(by_text).mean()))


def first_choices(trained: Outputs, other: Outputs) -> float:
    """Return the share of positions with the same most likely token."""
    same = [
        expected.argmax(-1) == actual.argmax(-1)
        for expected, actual in zip(trained.log_probabilities, other.log_probabilities, strict=True)
    ]
    return float(torch.cat(same).float().mean())


def sure_choices(trained: Outputs, other: Outputs) -> float:
    """Return the share of agreeing first choices among positions where the trained model is confident."""
    same = []
    for expected, actual in zip(trained.log_probabilities, other.log_probabilities, strict=True):
        best, choice = expected.max(-1)
        same.append((choice == actual.argmax(-1))[best >= math.log(SURE)])
    agreement = torch.cat(same).float()
    return float(agreement.mean()) if len(agreement) else 1.0


def agreement(trained: Outputs, other: Outputs) -> tuple[int, int]:
    """Count equal tokens of greedy answers up to the first difference; return this count and the total."""
    same = 0
    for expected, actual in zip(trained.answers, other.answers, strict=True):
        # An answer that ends earlier differs at that position.
        same += next(
            (index for index, (a, b) in enumerate(zip(expected, actual, strict=False)) if a != b),
            min(len(expected), len(actual)),
        )
    return same, sum(map(len, trained.answers))


def proof(
    bounds: Tolerances,
    questions: Questions,
    base: Outputs,
    trained: Outputs,
    exported: Outputs,
    faults: Sequence[str] = (),
) -> ExportProof:
    """Return both models' figures, and the verdict in a sentence.

    ``bounds`` are the format's limits. Each of ``faults``, sentences about other problems, makes the verdict
    a failure.
    """
    targets = questions.targets
    losses = {
        name: round(outputs.loss(targets), 4)
        for name, outputs in (("base", base), ("trained", trained), ("exported", exported))
    }
    same, total = agreement(trained, exported)
    distance, of_base = divergence(trained, exported), divergence(trained, base)
    first, sure = first_choices(trained, exported), sure_choices(trained, exported)
    allowed = bounds.allowed(of_base)
    # NaN must not count as agreement.
    good = distance <= allowed and sure >= bounds.sure and all(map(math.isfinite, losses.values()))
    verdict = "same" if good and not faults else "differs"
    figures = (
        f"loss {losses['exported']:.2f} on {len(questions.texts)} texts "
        f"(trained {losses['trained']:.2f}, base {losses['base']:.2f})"
    )
    # Greedy answers diverge at near ties between two tokens: counting that would falsely suggest an error.
    if verdict == "same":
        sentence = f"Same as the trained model: {figures}."
    elif good:
        sentence = f"Not usable as it is, although its weights match the trained model: {figures}."
    elif not math.isfinite(losses["exported"]):
        sentence = f"Not usable: some of its results are not numbers; {figures}."
    else:
        sentence = (
            f"Not the trained model: {distance:.2g} nats per token away from it ({allowed:.2g} allowed), the "
            f"same choice for {sure:.1%} of the tokens it is sure of ({bounds.sure:.1%} required); {figures}."
        )
    return {
        "verdict": verdict,
        "sentence": sentence,
        "faults": list(faults),
        "prompts": len(questions.prompts),
        "agreeingTokens": same,
        "answerTokens": total,
        "texts": len(questions.texts),
        "tokens": sum(map(len, targets)),
        "firstChoices": round(first, 5),
        "sureChoices": round(sure, 5),
        "divergence": float(f"{distance:.3g}"),
        "divergenceOfBase": float(f"{of_base:.3g}"),
        "loss": losses,
        "allowed": {"divergence": float(f"{allowed:.3g}"), "sureChoices": bounds.sure},
    }
