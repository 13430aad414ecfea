"""Measures a job's custom evaluation sets: by the loss of their rows, or by scored answers."""

from __future__ import annotations

import json
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from arkor_dev.data.groups import groups_of
from arkor_dev.data.prompts import PROMPTS
from arkor_dev.data.sources import file_like
from arkor_dev.data.thoughts import split_answer, split_generated
from arkor_dev.local.evaluation.answers import Stopped
from arkor_dev.local.evaluation.by_length import batches_by_length, by_row, measured
from arkor_dev.local.evaluation.own_set_scores import score_part
from arkor_dev.local.evaluation.paired import compare
from arkor_dev.local.evaluation.scorers import scorer_of
from arkor_dev.local.evaluation.stage import PADDED, TOGETHER, Cost, texts_of, tokens_of
from arkor_dev.local.evaluation.tool_call_match import call_fault, call_fields
from arkor_dev.local.evaluation.words import beside_base, part
from arkor_dev.local.jobs.job_folder import scratch_folder
from arkor_dev.local.modeling.chat_template import end_ids
from arkor_dev.local.training.greedy import GenerationLimit, answers
from arkor_dev.local.training.rows.datasets import load_rows
from arkor_dev.local.training.rows.encoding import Encoding
from arkor_dev.local.training.rows.prompts import rendered_prompt
from arkor_dev.local.training.samples.budget import MOST_TOKENS
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from transformers import PreTrainedTokenizerBase

    from arkor_dev.contract.shapes import EvaluationPart, EvaluationSet
    from arkor_dev.data.rows import Row
    from arkor_dev.local.evaluation.answer_scorer import AnsweredRow
    from arkor_dev.local.evaluation.answers import MeasuredModel
    from arkor_dev.local.modeling.example import Example
    from arkor_dev.local.training.preparation import RunPreparation
    from arkor_dev.local.training.run import TrainingLoop

LOSSES: Final = 1000
"""Maximum number of rows measured in a set that is measured by loss."""
ANSWERS: Final = 64
"""Maximum number of rows answered in a set: generating one token takes as long as reading dozens."""
AT_ONCE: Final = 8
PROMPT_TOKENS: Final = 512
"""Maximum number of prompt tokens per batch, padding included; a longer prompt forms its own batch."""


@dataclass
class OwnSet:
    """One evaluation set: its configuration ``settings``, and the ``rows`` measured, of ``of`` in total."""

    settings: EvaluationSet
    rows: list[Row]
    of: int
    run: TrainingLoop
    project: Path
    encoding: Encoding
    _prompts: list[list[int]] = field(default_factory=list)

    @property
    def name(self) -> str:
        return str(self.settings["name"])

    @property
    def is_loss(self) -> bool:
        return bool(self.settings.get("metric", "loss") == "loss")

    @property
    def count(self) -> int:
        return len(self.rows)

    def cost(self) -> Cost:
        """Return the cost of measuring one model; zero if the set cannot be measured."""
        with suppress(JobFailure):
            if self.is_loss:
                return Cost(tokens_of(self.examples()))
            return Cost(0, [(len(batch), MOST_TOKENS) for batch in self.questions()])
        return Cost(0)

    def measure(
        self, model: MeasuredModel, stopped: Callable[[], bool], done: Callable[[int], None]
    ) -> list[float]:
        """Return ``model``'s loss or score on each row; ``done`` receives the number of finished rows.

        Raises Stopped, and JobFailure if measuring is impossible.
        """
        if self.is_loss:
            examples = self.examples()

            def losses(rows: Sequence[Example]) -> list[tuple[float, float]]:
                if stopped():
                    raise Stopped
                done(len(rows))
                return model.row_losses(rows)

            return by_row(examples, measured(losses, examples, TOGETHER, PADDED))
        return self._scores(model, stopped, done)

    def examples(self) -> list[Example]:
        """Return the encoded rows of a set that is measured by its loss."""
        tokenizer = self.run.base.tokenizer
        return self.run.method.encode_all(tokenizer, self.rows, self.encoding, lambda _: None)[0]

    def questions(self) -> list[list[tuple[int, int]]]:
        """Return the batches to answer: the tokens of each prompt and of the wanted answer."""
        tokenizer = self.run.base.tokenizer
        prompts = [_prompt(tokenizer, row) for row in self.rows]
        wanted = [texts_of(row)[1] or json.dumps(call_fields(row)["calls"]) for row in self.rows]
        references = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in wanted]
        return [
            [(len(prompts[index]), len(references[index]) + 1) for index in places]
            for places in batches_by_length([len(prompt) for prompt in prompts], AT_ONCE, PROMPT_TOKENS)
        ]

    def part(self, base: list[float], adapter: list[float], margin: float) -> EvaluationPart:
        """Return the contract's figures; ``margin`` is the smallest loss difference that matters."""
        groups = groups_of(self.rows).ids
        if not self.is_loss:
            return score_part(self.settings, base, adapter, groups, self.of)
        compared = compare(base, adapter, groups, margin)
        fields = part(self.name, compared, beside_base(self.name, compared, self.of), self.of)
        return {**fields, "metric": "loss"}

    def _scores(
        self, model: MeasuredModel, stopped: Callable[[], bool], done: Callable[[int], None]
    ) -> list[float]:
        tokenizer = self.run.base.tokenizer
        ends = end_ids(tokenizer, self.run.base.model)
        rendered = [rendered_prompt(tokenizer, row) for row in self.rows]
        prompts = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in rendered]
        texts: list[str] = [""] * len(prompts)
        for places in batches_by_length([len(prompt) for prompt in prompts], AT_ONCE, PROMPT_TOKENS):
            watch = GenerationLimit(lambda first, _: MOST_TOKENS, stopped)
            batch = [prompts[index] for index in places]
            generated = answers(model, tokenizer, ends, batch, watch, MOST_TOKENS)
            if watch.interrupted:
                raise Stopped
            for index, answer in zip(places, generated, strict=True):
                texts[index] = split_generated(rendered[index], answer.text).answer
            done(len(places))
        rows: list[AnsweredRow] = []
        for row, text in zip(self.rows, texts, strict=True):
            question, reference = texts_of(row)
            reference = split_answer(reference).answer
            columns = dict(row.extra.get("columns", {}))
            answered: AnsweredRow = {
                "question": question,
                "wanted": reference,
                "answer": text,
                "columns": columns,
                **call_fields(row),
            }
            rows.append(answered)
        run = self.run
        with closing(scorer_of(self.settings, self.project, run.data, run.job_id, stopped)) as score:
            return score(rows)


def _prompt(tokenizer: PreTrainedTokenizerBase, row: Row) -> list[int]:
    """Return the tokens before a row's last answer, with the generation prompt."""
    ids: list[int] = tokenizer(rendered_prompt(tokenizer, row), add_special_tokens=False)["input_ids"]
    return ids


def sets_of(preparation: RunPreparation, run: TrainingLoop, say: Callable[[str, str], None]) -> list[OwnSet]:
    """Return the sets of a job's config; ``say(name, why)`` receives unreadable ones."""
    sets = []
    config, settings = preparation.config, preparation.settings
    own = config.get("evalDatasetSource") or config["datasetSource"]
    scratch = scratch_folder(preparation.data, preparation.job_id)
    for set_settings in config.get("evaluations") or ():
        source = file_like(own, set_settings["path"])
        if set_settings.get("metric", "loss") == "loss" and run.method.measure.higher:
            say(
                set_settings["name"],
                f"method {run.method.name} has no loss of rows: give it another metric",
            )
            continue
        forms = run.method.record.forms
        if set_settings.get("metric", "loss") != "loss":
            # Answers are scored by themselves, so whatever the method learns from, a prompt is enough.
            forms = {**forms, **PROMPTS}
        try:
            all_rows = load_rows(source, preparation.project, scratch, preparation.progress, forms, None)
            rows = _some(all_rows, set_settings, run)
        except JobFailure as failure:
            say(set_settings["name"], str(failure))
            continue
        sets.append(
            OwnSet(
                set_settings,
                rows,
                len(all_rows),
                run,
                preparation.project,
                Encoding.of(settings, preparation.longest),
            )
        )
    return sets


def _some(rows: list[Row], settings: EvaluationSet, run: TrainingLoop) -> list[Row]:
    """Select rows spread over the set; if they are to be answered, only those with room for an answer."""
    most = LOSSES
    if settings.get("metric", "loss") != "loss":
        most, room = ANSWERS, run.base.context - MOST_TOKENS
        chats = [row for row in rows if row.text is None]
        for row in chats if settings["metric"] == "tool_call" else ():
            if fault := call_fault(call_fields(row)):
                raise JobFailure(f"{row.where} {fault}")
        rows = [row for row in chats if len(_prompt(run.base.tokenizer, row)) <= room] if chats else []
        if not rows:
            raise JobFailure("none of its rows is a chat with a short enough question")
    return rows[:: -(-len(rows) // most)]
