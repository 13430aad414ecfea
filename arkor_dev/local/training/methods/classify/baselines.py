"""Labels the held-out rows without the classifier: by the base's likelihoods, and by word frequencies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.extras import install_command
from arkor_dev.data.labels import labels_of
from arkor_dev.local.modeling.chat_template import render
from arkor_dev.local.modeling.example import IGNORED, Example
from arkor_dev.local.workers.errors import JobFailure

from . import tfidf

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import PreTrainedTokenizerBase

    from arkor_dev.data.rows import Row
    from arkor_dev.local.modeling.classes import Classes

MOST_ASKED: Final = 100
"""Maximum number of held-out rows for which the base chooses."""
MOST_TOKENS: Final = 30_000
"""Maximum number of tokens that the base reads for all of them."""
ZERO_SHOT_MISSING: Final = (
    "Its base is an encoder, which writes no text, so there is no zero-shot choice to compare with."
)
LONGEST: Final = 400
"""Maximum number of tokens of a text in a prompt; of a longer one, the beginning."""


@dataclass(frozen=True, slots=True)
class Baselines:
    """Baselines for the rows ``held_out``, of a classifier trained on ``learned``."""

    tokenizer: PreTrainedTokenizerBase
    learned: Sequence[Row]
    held_out: Sequence[Row]
    classes: Classes
    context: int
    encoder: bool = False
    """Whether the base is one, which writes no text and so cannot choose a label."""

    def choices(self, *, padded: bool) -> dict[int, list[Example]]:
        """Return by a held-out row's number its prompt with each label, as examples in the classes' order.

        These are as many rows, spread evenly, as the limits allow. Empty if the chat template rejects the
        prompt, if a prompt with all labels is too long, if rows may have several labels, or of an encoder.
        """
        if self.classes.multiple or self.encoder:
            return {}
        names = [self._after(name) for name in self.classes.names]
        step = -(-len(self.held_out) // MOST_ASKED) or 1
        try:
            prompts = {
                number: self._prompt(self.held_out[number].text or "")
                for number in range(0, len(self.held_out), step)
            }
        except JobFailure:
            return {}
        longest, labels = max(map(len, names)), sum(map(len, names))
        prompts = {number: ids for number, ids in prompts.items() if len(ids) + longest <= self.context}
        # Without padding, a prompt is read once for all labels.
        times = len(names) if padded else 1
        while sum(times * len(ids) + labels for ids in prompts.values()) > MOST_TOKENS:
            prompts = dict(list(prompts.items())[1::2])
        return {
            number: [Example([*ids, *name], [*[IGNORED] * len(ids), *name]) for name in names]
            for number, ids in prompts.items()
        }

    def tfidf(self) -> list[tuple[int, ...]] | None:
        """Return the classes of each held-out row by TF-IDF with logistic regression; None if the training
        rows have one label.
        """
        learned, held_out = ([row.text or "" for row in rows] for rows in (self.learned, self.held_out))
        labels = [labels_of(row) for row in self.learned]
        if self.classes.multiple:
            several = [[name in own for name in self.classes.names] for own in labels]
            return [
                tuple(place for place, has in enumerate(row) if has)
                for row in tfidf.predict_several(learned, several, held_out)
            ]
        found = tfidf.predict(learned, [name for (name,) in labels], held_out)
        return None if found is None else [(self.classes.names.index(name),) for name in found]

    @property
    def available(self) -> bool:
        """Whether scikit-learn is installed."""
        return tfidf.available()

    @property
    def missing(self) -> str:
        """Sentences on what is not compared: what to install for `tfidf`, and why no base chooses."""
        sentences = [ZERO_SHOT_MISSING] if self.encoder else []
        if not self.available:
            sentences.append(self._uninstalled)
        return " ".join(sentences)

    @property
    def _uninstalled(self) -> str:
        return (
            "Whether this task needs a language model at all, a comparison with TF-IDF and logistic "
            f"regression would say. It needs scikit-learn: {install_command('classify')}"
        )

    def _prompt(self, text: str) -> list[int]:
        """Return the tokens of a prompt that asks for the label of ``text``."""
        tokenizer = self.tokenizer
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        if len(ids) > LONGEST:
            text = tokenizer.decode(ids[:LONGEST])
        names = "\n".join(f"- {name}" for name in self.classes.names)
        asked = f"{text}\n\nWhich of these labels fits the text?\n{names}\n\nAnswer with the label only."
        special = not tokenizer.chat_template  # a chat template writes its own
        if special:
            asked = f"{asked}\n\nLabel:"
        else:
            asked = render(tokenizer, [{"role": "user", "content": asked}], add_generation_prompt=True)
        found: list[int] = tokenizer(asked, add_special_tokens=special)["input_ids"]
        return found

    def _after(self, name: str) -> list[int]:
        """Return the tokens of a label after a prompt, with the end of its line.

        Without the end, a label that another one begins with would never be less likely than that.
        """
        start = "" if self.tokenizer.chat_template else " "
        found: list[int] = self.tokenizer(f"{start}{name}\n", add_special_tokens=False)["input_ids"]
        return found
