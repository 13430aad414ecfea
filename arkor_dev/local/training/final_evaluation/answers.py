"""Selects general questions that base and adapter answer, for statistics on their answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from arkor_dev.contract.settings.evaluation import asks_nothing
from arkor_dev.local.evaluation.answers.asking import NOBODY, Answers
from arkor_dev.local.evaluation.answers.figures import Answered, repeats_itself
from arkor_dev.local.evaluation.general import answerable, fewer, questions
from arkor_dev.local.modeling.chat_template import end_ids, render
from arkor_dev.local.training.samples.greedy import Watch, answers
from arkor_dev.local.workers.errors import JobFailure

from .cost import work_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from arkor_dev.local.evaluation.base_losses import BaseLosses
    from arkor_dev.local.modeling.example import Example
    from arkor_dev.local.training.preparation import Preparation
    from arkor_dev.local.training.run import Run


def answers_of(
    preparation: Preparation,
    run: Run,
    general: Sequence[Example],
    kept: BaseLosses,
    asked: tuple[int, int] | None = None,
) -> Answers:
    """Select the ``general`` questions to answer: ``asked`` has their number and token limit.

    By default, as many as take a small part of the run. None for a dry run, a job without samples, or a model
    of plain text.
    """
    settings, tokenizer = preparation.settings, run.base.tokenizer
    quiet = settings.get("dryRun") or asks_nothing(settings.get("samples"))
    if quiet or not general or all(row.text is not None for row in preparation.train_rows):
        return NOBODY
    plan = run.plan
    count, longest = asked or answerable(work_of(run, general), plan.steps, plan.evaluate)
    chosen = {example.where for example in fewer(general, count)}
    rows = [row for row in questions() if row.where in chosen]
    try:
        ends = end_ids(tokenizer, run.base.model)
        texts = [render(tokenizer, row.messages[:1], cue=True) for row in rows]
    except JobFailure:  # if the template rejects a question, skip it here, too
        return NOBODY
    prompts = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]

    def write(
        model: Any, prompts: Sequence[Sequence[int]], longest: int, stopped: Callable[[], bool]
    ) -> list[Answered] | None:
        watch = Watch(lambda first, each: longest, stopped)
        found = answers(model, tokenizer, ends, prompts, watch)
        if watch.interrupted:
            return None
        return [
            Answered(each.text, len(each.ids), each.truncated, repeats_itself(each.ids)) for each in found
        ]

    return Answers([row.messages[0]["content"] for row in rows], prompts, longest, write, kept)
