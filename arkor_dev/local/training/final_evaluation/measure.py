"""Measures an adapter (or a fully fine-tuned model) and its base with the loss of the training run.

Both run through the same code in the same dtype. An adapter's base is the model with the adapter switched
off; for a changed model the base is loaded again, after the trained one has been released.
"""

from __future__ import annotations

import traceback
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Final

import torch
from peft import PeftModel

from arkor_dev.contract.events import (
    EVALUATION_COMPLETED,
    TRAINING_LOG,
    TRAINING_MESSAGE,
    EvaluationCompleted,
    TrainingMessage,
)
from arkor_dev.contract.settings import by_field
from arkor_dev.contract.settings.conflicts import FROM_BASE
from arkor_dev.contract.settings.evaluation import SETTLED, samples_off
from arkor_dev.data.text_pairs import POSITIVE
from arkor_dev.data.thoughts import split_generated
from arkor_dev.local.cards.writer import rewrite_card
from arkor_dev.local.evaluation import results
from arkor_dev.local.evaluation.answers import NOBODY, Answers, GeneratedAnswer, Stopped, repeats_itself
from arkor_dev.local.evaluation.by_length import by_row, measured
from arkor_dev.local.evaluation.classifier_stage import ClassifierStage
from arkor_dev.local.evaluation.end_marks import MOST, EndMarks, stops
from arkor_dev.local.evaluation.general import (
    ANSWERS,
    COUNTS,
    DRY,
    affordable,
    answerable,
    encoded,
    fewer,
    questions,
)
from arkor_dev.local.evaluation.halves import judging
from arkor_dev.local.evaluation.history import History
from arkor_dev.local.evaluation.so_far import Look, LookSchedule, Watched
from arkor_dev.local.evaluation.stage import PACKED, Stage
from arkor_dev.local.evaluation.thinking import Thinking
from arkor_dev.local.evaluation.words import DIGITS, watched
from arkor_dev.local.jobs.job_folder import checkpoint_steps, final_folder, job_folder, kind_of
from arkor_dev.local.modeling.adapter_config import lora_config
from arkor_dev.local.modeling.auto_class import is_encoder
from arkor_dev.local.modeling.base_model import load_base
from arkor_dev.local.modeling.chat_template import end_ids, render, with_arguments
from arkor_dev.local.modeling.classes import write_temperature
from arkor_dev.local.modeling.head import with_head
from arkor_dev.local.training.adapter import convert_weights, full_model, load_weights, prepare_frozen
from arkor_dev.local.training.greedy import GenerationLimit, answers
from arkor_dev.local.training.methods.classify.baselines import Baselines
from arkor_dev.local.training.objective import Objective
from arkor_dev.local.training.phases import EVALUATING
from arkor_dev.local.training.rows.encoding import Encoding, encode
from arkor_dev.local.workers.errors import JobFailure

from .budget import ForgettingBudget, scaled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from arkor_dev.contract.events import Event, VerdictSoFar
    from arkor_dev.contract.shapes import (
        Evaluation,
        EvaluationMeasure,
        EvaluationStrength,
    )
    from arkor_dev.data.rows import Row
    from arkor_dev.local.evaluation.answers import MeasuredModel
    from arkor_dev.local.evaluation.base_losses import BaseLosses
    from arkor_dev.local.evaluation.stage import Judged, Own
    from arkor_dev.local.execution.messages import SavedModel
    from arkor_dev.local.modeling.example import Example
    from arkor_dev.local.models.catalog import Model
    from arkor_dev.local.training.greedy import GreedyAnswer
    from arkor_dev.local.training.plan import Plan
    from arkor_dev.local.training.preparation import RunPreparation
    from arkor_dev.local.training.run import TrainingLoop


SWITCH: Final = "enable_thinking"
"""The argument of chat templates that switches thinking on and off."""
TAIL: Final = 32
"""Number of tokens at the end of a prompt in which thoughts may begin."""


def answers_of(
    preparation: RunPreparation,
    run: TrainingLoop,
    general: Sequence[Example],
    cache: BaseLosses,
    limits: tuple[int, int] | None = None,
) -> Answers:
    """Select which of the ``general`` questions to answer; ``limits`` is their number and the token limit.

    By default, as many as can be answered in a small fraction of the run's time. None for a dry run, a job
    without samples, or a model trained on plain text.
    """
    settings = preparation.settings
    quiet = settings.get("dryRun") or samples_off(settings.get("samples"))
    if quiet or not general or all(row.text is not None for row in preparation.train_rows):
        return NOBODY
    plan = run.plan
    count, longest = limits or answerable(run.work(general), plan.steps, plan.evaluate)
    chosen = {example.where for example in fewer(general, count)}
    return _answers(run, [row for row in questions() if row.where in chosen], longest, cache)


def thinking_of(run: TrainingLoop, answered: Answers, cache: BaseLosses) -> Thinking | None:
    """Return the questions of ``answered`` with the model's thinking switch on and off; None without one."""
    if not answered.questions or SWITCH not in str(run.base.tokenizer.chat_template):
        return None
    asked = set(answered.questions)
    rows = [row for row in questions() if row.messages[0]["content"] in asked]
    on, off = (_answers(run, rows, answered.longest, cache, {SWITCH: value}) for value in (True, False))
    if on.prompts == off.prompts:
        return None
    same = {id(each): answered for each in (on, off) if each.prompts == answered.prompts}
    return Thinking(same.get(id(on), on), same.get(id(off), off))


def _answers(
    run: TrainingLoop,
    rows: Sequence[Row],
    longest: int,
    cache: BaseLosses,
    arguments: Mapping[str, bool] | None = None,
) -> Answers:
    """Return the questions of ``rows``, rendered with ``arguments`` of the chat template."""
    tokenizer = with_arguments(run.base.tokenizer, arguments or {})
    try:
        ends = end_ids(tokenizer, run.base.model)
        texts = [render(tokenizer, row.messages[:1], add_generation_prompt=True) for row in rows]
    except JobFailure:  # if the template rejects a question, skip it here, too
        return NOBODY
    prompts = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]

    def figures(prompt: Sequence[int], answer: GreedyAnswer) -> GeneratedAnswer:
        # Special tokens may mark the thoughts, so they are kept.
        before, text = (
            tokenizer.decode(ids, skip_special_tokens=False) for ids in (prompt[-TAIL:], answer.ids)
        )
        split = split_generated(before, text)
        thoughts = len(tokenizer(split.thoughts or "", add_special_tokens=False)["input_ids"])
        repeats, tokens = repeats_itself(answer.ids), len(answer.ids)
        return GeneratedAnswer(answer.text, tokens, answer.truncated, repeats, thoughts, split.ended)

    def write(
        model: MeasuredModel, prompts: Sequence[Sequence[int]], longest: int, stopped: Callable[[], bool]
    ) -> list[GeneratedAnswer] | None:
        watch = GenerationLimit(lambda first, _: longest, stopped)
        generated = answers(model, tokenizer, ends, prompts, watch, longest)
        if watch.interrupted:
            return None
        return [figures(prompt, answer) for prompt, answer in zip(prompts, generated, strict=True)]

    return Answers([row.messages[0]["content"] for row in rows], prompts, longest, write, cache)


def all_questions(run: TrainingLoop) -> tuple[list[Example], tuple[int, ...]]:
    """Encode every general question for the model of ``run``, and list the allowed numbers of them.

    A model that does not answer in words has none.
    """
    if not run.method.answers:
        return [], ()
    base, dry = run.base, run.settings.get("dryRun")
    rows = questions(DRY if dry else None)
    encoding = Encoding(base.context)
    examples = encoded(rows, lambda row: encode(base.tokenizer, row, encoding)[0][0])
    return examples, (len(examples),) if dry else COUNTS


def general_examples(run: TrainingLoop, count: int | None = None) -> tuple[list[Example], int]:
    """Select the general questions for the model of ``run``; return them with their full number.

    Selects ``count`` of them, by default as many as the run can afford, and only a few in a dry run.
    """
    examples, counts = all_questions(run)
    if not examples:
        return [], 0
    plan = run.plan
    count = count or affordable(run.work(examples), counts, plan.steps, plan.evaluate)
    return fewer(examples, count), len(examples)


STRENGTHS: Final = (0.25, 0.5, 0.75)
"""Strengths between the base at 0 and the adapter at 1, whose losses the verdict already has."""
FEW: Final = 64
"""Training rows read when nothing is trained: they only show the model's format."""


@contextmanager
def _rounded(model: MeasuredModel) -> Iterator[MeasuredModel]:
    """Measure the noise floor by `Objective.rounded`."""
    assert isinstance(model, Objective)
    with model.rounded() as rounded:
        yield rounded


class FinalEvaluation:
    """Records a run's evaluations, and measures its result when the run is over."""

    def __init__(self, preparation: RunPreparation, cancelled: Callable[[], bool]) -> None:
        self._preparation, self._cancelled = preparation, cancelled
        self._emit = preparation.emit
        self._job = job_folder(preparation.data, preparation.job_id)
        self._history = History(self._job)
        self._run: TrainingLoop | None = None
        self._stage: Stage | None = None
        self._watched: Watched | None = None
        self._look: Look | None = None
        self._budget: ForgettingBudget | None = None
        self._reported = False

    def follow(self, run: TrainingLoop) -> None:
        """Record each row's loss whenever ``run`` reports an evaluation, and compare it with the base's."""
        self._run = run
        if not self._preparation.settings.get("dryRun") and watchable(run):
            run.compare_with_base = self._compare
        if self._preparation.settings.get("maxHarm") is None:
            self._history.turned_down(None)  # in a job that continues with other settings, it may have been
        else:
            self._budgeted()  # raises what makes it impossible before the training
            run.adjust_result = self._turn_down
        run.emit.observers.append(self._note)
        run.phases.later.append(self._seconds_left)

    def _note(self, event: Event) -> None:
        if event["type"] == TRAINING_LOG and self._run:
            if (learned := event.get("loss")) is not None:
                self._history.learned(learned)
            loss, choosing = self._run.best.last, self._run.best.last_choosing
            if self._run.method.measure.evaluated in event and loss is not None and choosing is not None:
                self._history.add(event["step"], loss, self._run.row_losses, choosing, self._look)
                self._look = None

    def _compare(self) -> VerdictSoFar | None:
        """Compare the rows' losses at the run's step, just evaluated, with the base's.

        Raises :class:`Stopped`.
        """
        preparation, run = self._preparation, self._run
        if run is None:
            return None
        if self._watched is None:
            stage = Stage(
                rows=preparation.eval_rows,
                groups=preparation.eval_groups,
                held_out=run.held_out,
                general=(),
                batch=run.measured_at_once,
                progress=lambda *_: None,
                cancelled=self._cancelled,
                cache=run.base_losses(),
                margin=preparation.settings.get("verdictMargin"),
                remeasuring=_rounded,
            )
            base, margin = stage.held_out_base(_switched_off(run.loss))
            chose = preparation.chooses if preparation.settings.get("earlyStoppingPatience") else ()
            self._watched = Watched(base, preparation.eval_groups, margin, chose)
            self._stage = None  # its estimate still counts the base's rows
        schedule = LookSchedule(run.plan.steps, run.plan.evaluate)
        before = self._history.looks_before(run.step)
        found = self._watched.look(run.step, run.row_losses, schedule, before)
        if found is None:
            return None
        self._look = found[0]
        return found[1]

    def _turn_down(self) -> None:
        """Choose the step and strength of the run's adapter by its harm. Raises :class:`Stopped`."""
        if budget := self._budgeted():
            self._history.turned_down(budget.choose())

    def _budgeted(self) -> ForgettingBudget | None:
        """Return the run's forgetting budget; None without one."""
        preparation, run = self._preparation, self._run
        limit = preparation.settings.get("maxHarm")
        if self._budget is None and run is not None and limit is not None:
            chose = preparation.chooses if preparation.settings.get("earlyStoppingPatience") else ()
            questions, groups = all_questions(run)[0], preparation.eval_groups
            self._budget = ForgettingBudget(
                run, limit, questions, groups, chose, self._cancelled, picking(preparation)
            )
        return self._budget

    def _seconds_left(self) -> float:
        """Estimate the remaining seconds of the choice of a strength, and of the comparison."""
        run = self._run
        budget = self._budgeted()
        seconds = budget.seconds_left if budget else 0.0
        if run is None or not run.held_out:
            return seconds
        if self._stage is None:
            self._stage = stage_of(self._preparation, run, self._cancelled, quiet=True)
            if run.plan.evaluate:  # the last step's evaluation measures the adapter
                self._stage.known = [0.0] * len(run.held_out)
            self._stage.prepare()
        stage, phases = self._stage, run.phases
        seconds += stage.to_read * phases.token
        return seconds + sum(phases.writing(*batch) for batch in stage.to_write)

    def judge(self) -> bool:
        """Compare the result with the base, store and report it; return False if the job was cancelled.

        The trained weights have already been saved, so an error here is only reported. Answers to general
        questions come after the comparison, which is then reported again with them.
        """
        run, preparation = self._run, self._preparation
        if run is None or not run.held_out:
            rewrite_card(preparation.data, preparation.job_id)
            return True
        try:
            self._history.end(run.kept_step)
            stage = self._stage = stage_of(preparation, run, self._cancelled)
            _set_choice(stage, preparation, self._history, None)
            _set_share(stage, preparation, self._history, run.plan, None)
            stage.known = self._history.rows.get(run.kept_step)
            if self._budget:
                stage.known, stage.budget = self._budget.rows, self._history.budget
            stage.prepare()
            run.phases.enter(EVALUATING)
            changed = run.plan.adapter is None or bool(run.initial_weights)
            if changed:
                run.optimizer.zero_grad(set_to_none=True)
                run.optimizer.state.clear()  # frees memory for the base
            base = _fresh(preparation, run) if changed else _switched_off(run.loss)
            self._report(stage.run(run.loss, base, self._report))
        except Stopped:
            return False
        except Exception as error:  # noqa: BLE001 - whatever the error, the adapter is saved
            traceback.print_exc()
            reason = str(error) or type(error).__name__
            failed = "General questions" if self._reported else "It"
            undone = "answered" if self._reported else "compared with its base"
            text = f"{failed} could not be {undone}: {reason}"
            self._emit(TrainingMessage(type=TRAINING_MESSAGE, message=text))
        finally:
            run.loss.close()
        return True

    def _report(self, judged: Judged) -> None:
        """Store the comparison and send it."""
        preparation = self._preparation
        if not _turned_down(judged.evaluation):
            _add_best(judged.evaluation, preparation, self._history)
        results.write(results.result_file(self._job, None), judged._asdict())
        _keep_temperature(judged.evaluation, final_folder(preparation.data, preparation.job_id))
        rewrite_card(preparation.data, preparation.job_id)
        self._emit(EvaluationCompleted(type=EVALUATION_COMPLETED, evaluation=judged.evaluation))
        self._reported = True


def _turned_down(evaluation: Evaluation) -> bool:
    """Return whether the adapter has another strength than at the run's evaluations, or is of a step whose
    harm was chosen, so that these can't be compared with it.
    """
    budget = evaluation.get("budget")
    return budget is not None and (budget["strength"] != 1 or "step" in budget)


def judge_kept(preparation: RunPreparation, model: Model, saved: SavedModel) -> Evaluation:
    """Evaluate ``saved``; store and return the :class:`Evaluation`.

    ``preparation`` has read the job's rows, and ``model`` is the base model located by the backend. Raises
    :class:`JobFailure` without held-out rows.
    """
    folder, step, data = Path(saved.folder), saved.step, saved.data
    if not preparation.eval_rows:
        raise JobFailure("No rows were held out of this job's training, so nothing can be measured")
    learned = preparation.train_rows
    preparation.train_rows = preparation.train_rows[:FEW]
    preparation.load(model)
    preparation.encode()
    run = preparation.make_run()
    if adapter := kind_of(folder) == "adapter":
        run.loss = _base_with_adapter(run, folder)
    else:
        run.loss = _loss_of(preparation, run, folder)
    job = job_folder(preparation.data, preparation.job_id)
    # Use the run's questions, although only a few of its rows were read here.
    before = results.read(results.result_file(job, None))
    answers = results.answers_in(before) or ANSWERS[-1]
    stage = stage_of(preparation, run, lambda: False, results.questions_in(before), answers, learned=learned)
    if data is None:
        if step is None:
            stage.budget = History(job).budget
        _set_choice(stage, preparation, History(job), step)
        _set_share(stage, preparation, History(job), run.plan, step)
    else:
        stage.called = data
        if not saved.general:
            stage.general, stage.stops, stage.answered, stage.thinking = [], [], NOBODY, None
    judged = stage.run(run.loss, _switched_off(run.loss) if adapter else _fresh(preparation, run))
    run.loss.close()
    if step is not None:
        judged.evaluation["step"] = step
    if data is not None:
        judged.evaluation["data"] = data
    elif step is None and not _turned_down(judged.evaluation):
        _add_best(judged.evaluation, preparation, History(job))
    results.write(results.result_file(job, step, data), judged._asdict())
    if saved.general:  # the job has no other rows, and the page shows these
        results.write(results.result_file(job, step), judged._asdict())
    if data is None:
        _keep_temperature(judged.evaluation, folder)
        rewrite_card(preparation.data, preparation.job_id, step)
    return judged.evaluation


def _keep_temperature(evaluation: Evaluation, folder: Path) -> None:
    """Store the temperature of a classifier's probabilities beside it in ``folder``."""
    if found := evaluation.get("heldOut", {}).get("classified", {}).get("calibration"):
        write_temperature(folder, found["temperature"])


def measure_strengths(preparation: RunPreparation, model: Model, saved: SavedModel) -> Evaluation:
    """Measure the final adapter in ``saved`` at each of `STRENGTHS`, on the rows that its
    verdict was measured on; store the losses and return the contract's :class:`Evaluation`.

    Other arguments are as in `judge_kept`. Raises :class:`JobFailure` if the verdict no longer exists.
    """
    file = results.result_file(job_folder(preparation.data, preparation.job_id), None)
    before = results.result(job_folder(preparation.data, preparation.job_id), None, None)
    if before is None or not preparation.eval_rows:
        raise JobFailure("The job's verdict can't be read, so there is nothing to compare with")
    preparation.train_rows = preparation.train_rows[:FEW]
    preparation.load(model)
    preparation.encode()
    run = preparation.make_run()
    run.loss = _base_with_adapter(run, Path(saved.folder))
    general = general_examples(run, results.questions_in(before))[0]
    chose = results.chose_in(before.get("scores"), len(preparation.eval_rows))
    strengths: list[EvaluationStrength] = []
    for number, strength in enumerate(STRENGTHS, 1):
        with scaled(run.loss.model, strength):
            losses = measured(run.loss.row_losses, run.held_out, run.measured_at_once)
            task = judging(chose, by_row(run.held_out, losses))
            losses_of_general = measured(run.loss.cross_entropy, general, run.measured_at_once, PACKED)
        general_losses = [loss / count for loss, count in losses_of_general]
        means = [round(fmean(part), DIGITS) for part in (task, general_losses)]
        strengths.append({"strength": strength, "heldOut": means[0], "general": means[1]})
        preparation.progress("Measuring strengths", number, len(STRENGTHS), "strengths")
    run.loss.close()
    before["evaluation"]["strengths"] = strengths
    results.write(file, before)
    return before["evaluation"]


def _set_choice(stage: Stage, preparation: RunPreparation, history: History, step: int | None) -> None:
    """Let only rows judge that took no part in choosing the final adapter, or the checkpoint of ``step``."""
    stops_early = bool(preparation.settings.get("earlyStoppingPatience"))
    stage.choice = history.choice(preparation.chooses, step, stops_early=stops_early)
    stage.chose = preparation.chooses if stage.choice else ()


def _set_share(
    stage: Stage, preparation: RunPreparation, history: History, plan: Plan, step: int | None
) -> None:
    """Allow for the evaluations that could have ended the run, or chosen the checkpoint of ``step``.

    Whoever chose a checkpoint may have seen losses and intervals of all rows, so half of them would not be
    enough to judge it by (`scripts/bench verdict`); with its interval in the sequence, all of them may.
    """
    at = history.final if step is None else step
    look, get = history.looks.get(at), preparation.settings.get
    if look is None or (step is None and get("stopWhen") != SETTLED):
        return
    schedule = LookSchedule(plan.steps, plan.evaluate)
    number = schedule.number(at)
    stage.share = look.share
    stage.watched = {
        "number": number,
        "planned": schedule.count,
        "sentence": watched(number, schedule.count, ended=step is None),
    }
    if step is not None and not get("earlyStoppingPatience"):
        stage.choice, stage.chose, stage.compared_by = None, (), stage.chose


def picking(preparation: RunPreparation) -> Sequence[bool]:
    """Return which held-out rows may choose among the steps of a run with ``maxHarm``; none if they are too
    few to choose and judge, or if evaluations end the run, whose verdict then allows for all of them.
    """
    settled = preparation.settings.get("stopWhen") == SETTLED
    return () if settled or all(preparation.chooses) else preparation.chooses


def watchable(run: TrainingLoop) -> bool:
    """Return whether a run's evaluations can be compared with its base: a loss is what its method is judged
    by, and its adapter can be switched off.
    """
    by_loss = run.method.name in by_field()["stopWhen"].methods
    return by_loss and run.plan.adapter is not None and run.plan.adapter.init not in FROM_BASE


def _add_best(evaluation: Evaluation, preparation: RunPreparation, history: History) -> None:
    """Add how the step with the lowest loss compares with the final one."""
    saved = checkpoint_steps(preparation.data, preparation.job_id)
    measure = preparation.method.measure
    higher = measure.label if measure.higher else ""
    margin = evaluation["margin"]
    history.add_best(evaluation, preparation.eval_groups, saved, margin, higher, preparation.chooses)
    if preparation.settings.get("earlyStoppingPatience"):
        evaluation.pop("bestSentence", None)  # that none is better than the best one is no finding


def stage_of(
    preparation: RunPreparation,
    run: TrainingLoop,
    cancelled: Callable[[], bool],
    count: int | None = None,
    answered: tuple[int, int] | None = None,
    *,
    quiet: bool = False,
    learned: Sequence[Row] | None = None,
) -> Stage:
    """Set up all measurements, with ``count`` general questions, of which ``answered`` are answered.

    ``quiet``, for estimates, reports no unreadable sets. ``learned`` are the rows that the result was trained
    on, by default those of ``preparation``.
    """

    def failed(name: str, why: str) -> None:
        if not quiet:
            text = f"The evaluation {name} could not be made: {why}"
            preparation.emit(TrainingMessage(type=TRAINING_MESSAGE, message=text))

    def progress(label: str, done: float, total: float | None, unit: str) -> None:
        preparation.progress(label, done, total, unit)
        run.phases.update()

    make: Callable[..., Stage] = run.method.stage
    if run.classes and make is Stage:
        make = partial(
            ClassifierStage,
            names=run.classes.names,
            majority=run.classes.majority_of(preparation.train_rows if learned is None else learned),
            multiple=run.classes.multiple,
            labeler=None if quiet else labeler_of(preparation, run, learned),
        )
    if preparation.corpus:
        texts = [row.extra[POSITIVE] for row in preparation.corpus_rows]
        make = partial(make, corpus=preparation.corpus, texts=texts)
    if make is not run.method.stage or not run.method.answers:
        return make(
            rows=preparation.eval_rows,
            groups=preparation.eval_groups,
            held_out=run.held_out,
            general=(),
            batch=run.measured_at_once,
            progress=progress,
            cancelled=cancelled,
            margin=preparation.settings.get("verdictMargin"),
            dry=bool(preparation.settings.get("dryRun")),
            split=preparation.split,
        )
    if preparation.settings.get("maxHarm") is not None:
        count = len(all_questions(run)[0])  # those by which the strength is chosen
    general, questions = general_examples(run, count)
    own: Sequence[Own] = ()
    if preparation.config.get("evaluations"):
        from .own_sets import sets_of

        own = sets_of(preparation, run, failed)
    losses = run.base_losses()
    asked = answers_of(preparation, run, general, losses, answered)
    ended, marks = stopping(preparation, run, general)
    measured_by = run.method.measure
    measure: EvaluationMeasure = {"label": measured_by.label, "unit": measured_by.unit}
    if measured_by.higher:
        measure["higher"] = True
    return Stage(
        rows=preparation.eval_rows,
        groups=preparation.eval_groups,
        held_out=run.held_out,
        general=general,
        batch=run.measured_at_once,
        progress=progress,
        cancelled=cancelled,
        cache=losses,
        questions=questions,
        margin=preparation.settings.get("verdictMargin"),
        measure=measure,
        written=[(count, longest) for _, count, longest in run.loss.writes(run.held_out, learning=False)],
        rewards=run.loss.trained_for,
        acts=bool(preparation.settings.get("environment")),
        preference=run.method.record.preference,
        relative=run.method.relative,
        remeasuring=_rounded,
        packed=not run.loss.padded,
        own=own,
        answered=asked,
        thinking=thinking_of(run, asked, losses),
        failed=failed,
        dry=bool(preparation.settings.get("dryRun")),
        split=preparation.split,
        stops=ended,
        marks=marks,
    )


def labeler_of(
    preparation: RunPreparation, run: TrainingLoop, learned: Sequence[Row] | None = None
) -> Baselines | None:
    """Return what makes a classifier's baselines; None for another method. ``learned`` as in `stage_of`."""
    if not run.classes:
        return None
    rows = preparation.train_rows if learned is None else learned
    encoder = is_encoder(run.base.model.config)
    return Baselines(run.base.tokenizer, rows, preparation.eval_rows, run.classes, run.base.context, encoder)


def stopping(
    preparation: RunPreparation, run: TrainingLoop, general: Sequence[Example]
) -> tuple[Sequence[Example], EndMarks]:
    """Return the general questions' reference answers up to their end marks, and how many training rows teach
    an end mark.

    None for a dry run, a model trained on plain text, or a template whose end mark can't be found.
    """
    if not general or preparation.settings.get("dryRun"):
        return [], EndMarks()
    if all(row.text is not None for row in preparation.train_rows):
        return [], EndMarks()
    try:
        ends = end_ids(run.base.tokenizer, run.base.model)
    except JobFailure:
        return [], EndMarks()
    marks = EndMarks.of(run.train, ends, preparation.cut, preparation.longest)
    return list(stops(fewer(general, MOST), ends)), marks


def _base_with_adapter(run: TrainingLoop, folder: Path) -> Objective:
    """Load the base of ``run``, not yet begun, with the adapter in ``folder``, set up as in training."""
    base = run.base
    if base.device == "cpu":
        prepare_frozen(base, run.choice.dtype, streams=run.plan.streams)
    if run.classes:
        with_head(base.model, run.classes)
    config = lora_config(folder, base.model)
    adapted = PeftModel.from_pretrained(base.model, str(folder), config=config, is_trainable=True)
    for weight in adapted.parameters():
        if weight.requires_grad:
            weight.data = weight.data.float()
    loss = run.objective_of(adapted)
    if run.parent and run.method.relative:
        _compare_with(run.parent, loss)
    return loss


def _compare_with(parent: Path, loss: Objective) -> None:
    """Make the adapter in ``parent``, from which the run began, the reference of ``loss``."""
    weights = {name: weight for name, weight in loss.model.named_parameters() if weight.requires_grad}
    current = {name: weight.detach().clone() for name, weight in weights.items()}
    load_weights(weights, parent)
    loss.set_reference()
    with torch.no_grad():
        for name, weight in weights.items():
            weight.copy_(current[name])


def _loss_of(preparation: RunPreparation, run: TrainingLoop, folder: Path) -> Objective:
    """Load the model in ``folder``, without an adapter, set up as for the training of ``run``."""
    learning = run.plan.adapter is None
    base = load_base(folder, run.source.four_bit, preparation.format, learning, as_stored=True)
    if learning:
        full_model(base.model, run.source.name)
    elif base.device == "cpu":
        convert_weights(base.model, run.choice.dtype)
    return run.objective_of(base.model)


@contextmanager
def _switched_off(loss: Objective) -> Iterator[Objective]:
    with loss.model.disable_adapter():
        yield loss


@contextmanager
def _fresh(preparation: RunPreparation, run: TrainingLoop) -> Iterator[Objective]:
    yield _loss_of(preparation, run, preparation.path)
