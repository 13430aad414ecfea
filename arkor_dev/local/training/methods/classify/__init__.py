"""Classification: a new head on a text's hidden states learns its label, beside the adapter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from arkor_dev.contract.rules import above_zero, quoted
from arkor_dev.contract.settings.classification import BALANCED, UNWEIGHTED, as_list
from arkor_dev.local.modeling.chat_template import Rendering
from arkor_dev.local.modeling.classes import Classes
from arkor_dev.local.modeling.example import IGNORED, Example
from arkor_dev.local.training.figure import MethodFigure
from arkor_dev.local.training.methods.interface import Method
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from torch.nn import Module
    from transformers import PreTrainedTokenizerBase

    from arkor_dev.data.rows import Row
    from arkor_dev.local.training.job_settings import EffectiveSettings
    from arkor_dev.local.training.plan import Plan
    from arkor_dev.local.training.rows.encoding import Encoding

    from .loss import ClassifierLoss


WEIGHT: Final = above_zero(1_000_000)
SHOWN_LABELS: Final = 10


class Classification(Method):
    """Learns labels of texts, as transformers' ``AutoModelForSequenceClassification`` does."""

    measure = MethodFigure("loss", "Cross entropy", "nats per row")
    figures = (MethodFigure("accuracy", "Accuracy"),)
    learns = "texts"
    answers = False
    encoders = True

    def check(self, settings: EffectiveSettings) -> None:
        """Raise JobFailure for full fine-tuning, whose result would be another kind of model."""
        if settings.get("fullFineTuning"):
            raise JobFailure("classify trains an adapter with a head: remove full_fine_tuning")
        if settings.evaluations:
            raise JobFailure(
                "[[evaluation]] sets score answers, and a classifier gives none: remove them, or set "
                "eval_dataset to labeled rows"
            )
        _weights_in(settings)

    def classes(self, train: Sequence[Row], held_out: Sequence[Row], settings: EffectiveSettings) -> Classes:
        """Return the labels of the rows. The few that a dry run reads may all have the same.

        Weights by label are completed, in the order of the classes. Raises :class:`JobFailure` for a weight
        of a label that no row has, which is ignored in a dry run.
        """
        dry = settings.get("dryRun")
        found = Classes.of(train, held_out, least=1 if dry else 2)
        if weights := _weights_in(settings):
            unknown = weights.keys() - {name.strip() for name in found.names}
            if unknown and not dry:
                known = ", ".join(map(quoted, found.names[:SHOWN_LABELS]))
                raise JobFailure(
                    f"class_weight has the label {quoted(min(unknown))}, and no row has it: write it as in "
                    f"the data ({known}{', …' * (len(found.names) > SHOWN_LABELS)})"
                )
            completed = [f"{name}={weights.get(name.strip(), 1):g}" for name in found.names]
            settings.override("classWeight", completed)
        return found

    def renderings(
        self, tokenizer: PreTrainedTokenizerBase, row: Row, encoding: Encoding
    ) -> tuple[list[Rendering], list[int]]:
        """Return the text, none of whose own tokens is learned."""
        return [Rendering(row.text or "", [])], []

    def encode(
        self, tokenizer: PreTrainedTokenizerBase, row: Row, encoding: Encoding
    ) -> tuple[list[Example], bool]:
        """Return the text's tokens, followed by one whose label is the class, as the last token predicts it.

        That one is never read; a text is truncated to leave room for it. If rows may have several labels, the
        example's ``classes`` are those.
        """
        assert encoding.classes
        # The tokenizer itself truncates, so that an encoder's text keeps the token at its end.
        whole: list[int] = tokenizer(row.text)["input_ids"]
        ids = tokenizer(row.text, truncation=True, max_length=encoding.longest - 1)["input_ids"]
        if not ids:
            raise JobFailure(f"{row.where}: the tokenizer drops the whole text: remove the row")
        numbers = encoding.classes.numbers(row)
        several = numbers if encoding.classes.multiple else None
        labels = [*[IGNORED] * len(ids), 0 if several is not None else numbers[0]]
        return [Example([*ids, ids[-1]], labels, row.where, classes=several)], len(ids) < len(whole)

    def objective(
        self, model: Module, device: str, dtype: torch.dtype, examples: Sequence[Example], plan: Plan
    ) -> ClassifierLoss:
        """Return the head's cross entropy, with the plan's class weights and label smoothing."""
        from .loss import ClassifierLoss

        return ClassifierLoss(model, device, dtype, examples, plan)


def _weights_in(settings: EffectiveSettings) -> dict[str, float]:
    """Return the weights that the settings have by label, without spaces around it.

    Raises :class:`JobFailure` for an unusable one.
    """
    weights: dict[str, float] = {}
    for entry in as_list(settings.get("classWeight")):
        if entry in (UNWEIGHTED, BALANCED):
            continue
        label, equals, number = entry.rpartition("=")
        label = label.strip()
        try:
            weight = float(number)
        except ValueError:
            equals, weight = "", 0.0
        if not equals or not label or not WEIGHT.fits(weight):
            raise JobFailure(
                f"class_weight: {quoted(entry)} is not a label with a weight above 0, 1,000,000 at most, "
                'such as "urgent=5"'
            )
        if label in weights:
            raise JobFailure(f"class_weight has the label {quoted(label)} twice: remove one of the two")
        weights[label] = weight
    return weights


METHOD = Classification()
