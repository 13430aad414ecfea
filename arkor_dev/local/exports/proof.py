"""Whether a model that was written answers as the one that was trained: both are asked the same.

Teacher forcing gives, at each learned place of some texts, the probabilities of every token; the greedy
answers show what a person would read. Both models compute in the same number format, so that all that
differs is what was written.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import torch

from arkor_dev.local.modeling.example import IGNORED, Example
from arkor_dev.local.training.objective import rectangle

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Progress = Callable[[int, int], None]

ANSWER_TOKENS: Final = 16
"""Tokens of each greedy answer."""
TOGETHER: Final = 8
"""Texts that are read, and greedy answers that are made, at once."""
ROOM: Final = 2**28
"""Bytes that the probabilities of one model may take; of longer texts the beginnings are compared."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What counts as the same model: nats a token between the two, and how many sure choices agree.

    The divergence (Kullback and Leibler, 1951) is a mean over the places; ``learned`` allows it as that share
    of the base's, where it is more. The choices are a share of the places where the trained model is
    :data:`SURE`.
    """

    divergence: float
    sure: float
    learned: float = 0.0

    def allowed(self, of_base: float) -> float:
        """The divergence that counts as the same, where the base's from the trained model is ``of_base``."""
        return max(self.divergence, self.learned * of_base)


SURE: Final = 0.5
"""Probability of a token from which on it is no toss-up: those are decided by the last bit."""
BOUNDS: Final = {
    "adapter": Bounds(1e-5, 0.999),
    "merged": Bounds(2e-3, 0.97),
    "f16": Bounds(1e-3, 0.97),
    "q8_0": Bounds(0.02, 0.95, 0.05),
    "q6_k": Bounds(0.03, 0.95, 0.05),
    "q5_k_m": Bounds(0.1, 0.9, 0.2),
    "q4_k_m": Bounds(0.2, 0.85, 0.3),
    "q4_0": Bounds(0.3, 0.8, 0.5),
}
"""By format, and of GGUF by the number format of its weights. An adapter is the same numbers again; merged
weights are rounded to the base's number format. docs/exports.md has the errors that the others come from."""


@dataclass(frozen=True, slots=True)
class Said:
    """What one model says: log probabilities at the learned places, a tensor a text; answers, as tokens."""

    likely: list[Any]
    answers: list[list[int]] = field(default_factory=list)

    def loss(self, targets: Sequence[Any]) -> float:
        """Mean cross entropy a token of the texts' own next tokens, ``targets``."""
        each = [
            -likely.gather(1, wanted[:, None]) for likely, wanted in zip(self.likely, targets, strict=True)
        ]
        return float(torch.cat(each).mean())


@dataclass
class Questions:
    """What both models are asked: ``texts`` to read and ``prompts`` to answer, as the trained one has them.

    ``ends`` are the tokens that end an answer. Texts are cut to what fits into :data:`ROOM`.
    """

    texts: list[Example]
    prompts: list[list[int]]
    ends: list[int]
    pad: int
    vocabulary: int

    def __post_init__(self) -> None:
        places = max(1, ROOM // (4 * self.vocabulary))
        kept = []
        for text in self.texts:
            learned = [place for place, label in enumerate(text.labels) if place and label != IGNORED]
            if not learned or places < 1:
                continue
            end = learned[:places][-1] + 1
            kept.append(Example(text.ids[:end], text.labels[:end], text.where))
            places -= len(learned[:places])
        self.texts = kept

    @property
    def targets(self) -> list[Any]:
        """Of each text the tokens that are to be foretold."""
        return [torch.tensor([label for label in text.labels[1:] if label != IGNORED]) for text in self.texts]

    def ask(self, model: Any, progress: Progress, *, answers: bool = True) -> Said:
        """Let ``model`` read every text and, with ``answers``, answer every prompt."""
        total = len(self.texts) + (len(self.prompts) if answers else 0)
        likely: list[Any] = []
        said: list[list[int]] = []
        with torch.inference_mode():
            for texts in self.groups():
                progress(len(likely), total)
                likely += self._read(model, texts)
            for start in range(0, len(self.prompts) if answers else 0, TOGETHER):
                progress(len(self.texts) + start, total)
                said += self._answers(model, self.prompts[start : start + TOGETHER])
        progress(total, total)
        return Said(likely, said)

    def groups(self) -> list[list[Example]]:
        """The texts in order, at least one and as many at once as :data:`TOGETHER` and :data:`ROOM` allow."""
        groups: list[list[Example]] = []
        longest = 0
        for text in self.texts:
            longest = max(longest, len(text.ids))
            together = len(groups[-1]) + 1 if groups else 0
            if groups and together <= TOGETHER and 4 * self.vocabulary * together * longest <= ROOM:
                groups[-1].append(text)
            else:
                groups.append([text])
                longest = len(text.ids)
        return groups

    def _read(self, model: Any, texts: Sequence[Example]) -> list[Any]:
        """The log probabilities at the learned places of each text."""
        ids, seen, labels = rectangle(texts)
        told = {"input_ids": ids.to(model.device), "attention_mask": seen.to(model.device)}
        logits = model(**told).logits[:, :-1]
        learned = (labels[:, 1:] != IGNORED).to(logits.device)
        return [
            places[which].float().log_softmax(-1).cpu() for places, which in zip(logits, learned, strict=True)
        ]

    def _answers(self, model: Any, prompts: Sequence[list[int]]) -> list[list[int]]:
        longest = max(map(len, prompts))
        ids = [[self.pad] * (longest - len(prompt)) + prompt for prompt in prompts]
        seen = [[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts]
        made = model.generate(
            input_ids=torch.tensor(ids, device=model.device),
            attention_mask=torch.tensor(seen, device=model.device),
            max_new_tokens=ANSWER_TOKENS,
            do_sample=False,
            eos_token_id=self.ends,
            pad_token_id=self.pad,
        )[:, longest:].tolist()
        return [self._ended(answer) for answer in made]

    def _ended(self, answer: list[int]) -> list[int]:
        """An answer up to its end mark, which is of it."""
        end = next((place for place, token in enumerate(answer) if token in self.ends), len(answer) - 1)
        return answer[: end + 1]


def divergence(trained: Said, other: Said) -> float:
    """Mean divergence of ``other``'s probabilities from the trained model's, in nats a place."""
    each = [
        (ours.exp() * (ours - theirs)).sum(-1)
        for ours, theirs in zip(trained.likely, other.likely, strict=True)
    ]
    return max(0.0, float(torch.cat(each).mean()))


def first_choices(trained: Said, other: Said) -> float:
    """The share of places at which both hold the same token for the likeliest."""
    same = [
        ours.argmax(-1) == theirs.argmax(-1)
        for ours, theirs in zip(trained.likely, other.likely, strict=True)
    ]
    return float(torch.cat(same).float().mean())


def sure_choices(trained: Said, other: Said) -> float:
    """Of the places where the trained model is sure the share where the other has the same first choice."""
    same = []
    for ours, theirs in zip(trained.likely, other.likely, strict=True):
        best, choice = ours.max(-1)
        same.append((choice == theirs.argmax(-1))[best >= math.log(SURE)])
    found = torch.cat(same).float()
    return float(found.mean()) if len(found) else 1.0


def agreeing(trained: Said, other: Said) -> tuple[int, int]:
    """Tokens of the greedy answers that are the same up to the first difference, of how many."""
    same = 0
    for ours, theirs in zip(trained.answers, other.answers, strict=True):
        # One that ends earlier differs there.
        same += next(
            (place for place, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b),
            min(len(ours), len(theirs)),
        )
    return same, sum(map(len, trained.answers))


def proof(
    bounds: Bounds,
    questions: Questions,
    base: Said,
    trained: Said,
    exported: Said,
    faults: Sequence[str] = (),
) -> dict[str, Any]:
    """The contract's ``ExportProof``: the figures side by side, and what they come to in a sentence.

    ``bounds`` are those of what was written, ``faults`` sentences on what is wrong besides: each makes it
    another model.
    """
    targets = questions.targets
    losses = {
        name: round(said.loss(targets), 4)
        for name, said in (("base", base), ("trained", trained), ("exported", exported))
    }
    same, total = agreeing(trained, exported)
    apart, of_base = divergence(trained, exported), divergence(trained, base)
    first, sure = first_choices(trained, exported), sure_choices(trained, exported)
    allowed = bounds.allowed(of_base)
    # A value that is no number is no agreement.
    good = apart <= allowed and sure >= bounds.sure and all(map(math.isfinite, losses.values()))
    verdict = "same" if good and not faults else "differs"
    figures = (
        f"loss {losses['exported']:.2f} on {len(questions.texts)} texts "
        f"(trained {losses['trained']:.2f}, base {losses['base']:.2f})"
    )
    # Greedy answers part where two tokens are about as likely: their count would look like a fault.
    if verdict == "same":
        sentence = f"Same as the trained model: {figures}."
    elif good:
        sentence = f"Not usable as it is, although the weights are those of the trained model: {figures}."
    else:
        sentence = (
            f"Not the trained model: {apart:.2g} nats per token away from it ({allowed:.2g} allowed), the "
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
        "divergence": float(f"{apart:.3g}"),
        "divergenceOfBase": float(f"{of_base:.3g}"),
        "loss": losses,
        "allowed": {"divergence": float(f"{allowed:.3g}"), "sureChoices": bounds.sure},
    }
