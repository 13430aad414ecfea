"""Measures an adapter (or a fully fine-tuned model) and its base with the training's own loss.

Both run through the same code in the same dtype. An adapter's base is the model with the adapter switched
off; for a changed model the base is loaded again, after the trained one has been released.
"""

from __future__ import annotations

import traceback
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from peft import PeftModel

from arkor_dev.contract.events import EVALUATION_COMPLETED, TRAINING_LOG, TRAINING_MESSAGE
from arkor_dev.local.cards.writer import write_again
from arkor_dev.local.evaluation import results
from arkor_dev.local.evaluation.answers.asking import NOBODY, Stopped
from arkor_dev.local.evaluation.base_losses import BaseLosses
from arkor_dev.local.evaluation.general import ANSWERS
from arkor_dev.local.evaluation.history import History
from arkor_dev.local.evaluation.stage import Stage
from arkor_dev.local.jobs.job_folder import checkpoint_steps, job_folder, kind_of
from arkor_dev.local.modeling.adapter_config import lora_config
from arkor_dev.local.modeling.base_model import load_base
from arkor_dev.local.training.adapter import hold_in, whole
from arkor_dev.local.training.objective import Objective
from arkor_dev.local.training.phases import EVALUATING
from arkor_dev.local.workers.errors import JobFailure

from .answers import answers_of
from .cost import general_examples

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from arkor_dev.local.evaluation.stage import Own
    from arkor_dev.local.training.preparation import Preparation
    from arkor_dev.local.training.run import Run

FEW: Final = 64
"""Training rows read without training: they only show the model's format."""


class Judging:
    """Collects a run's evaluations, and measures its result at the end."""

    def __init__(self, preparation: Preparation, cancelled: Callable[[], bool]) -> None:
        self._preparation, self._cancelled = preparation, cancelled
        self._emit = preparation.emit
        self._job = job_folder(preparation.data, preparation.job_id)
        self._history = History(self._job)
        self._run: Run | None = None
        self._stage: Stage | None = None

    def follow(self, run: Run) -> None:
        """Record the row losses of each evaluation of ``run`` as it is reported."""
        self._run = run
        run.emit.observers.append(self._note)
        run.phases.later.append(self._seconds_left)

    def _note(self, name: str, fields: Mapping[str, Any]) -> None:
        if name == TRAINING_LOG and self._run:
            if "loss" in fields:
                self._history.learned(fields["loss"])
            if "evalLoss" in fields:
                self._history.add(fields["step"], fields["evalLoss"], self._run.row_losses)

    def _seconds_left(self) -> float:
        """Estimate the remaining seconds of the comparison."""
        run = self._run
        if run is None or not run.held_out:
            return 0.0
        if self._stage is None:
            self._stage = _stage(self._preparation, run, self._cancelled, quiet=True)
            if run.plan.evaluate:  # the last step's evaluation measures the adapter
                self._stage.known = [0.0] * len(run.held_out)
            self._stage.prepare()
        stage, phases = self._stage, run.phases
        return stage.to_read * phases.token + sum(phases.writing(*batch) for batch in stage.to_write)

    def judge(self) -> bool:
        """Compare, store and report; return False if the job was cancelled.

        The result is saved by now, so an error here is reported without losing it.
        """
        run, preparation = self._run, self._preparation
        if run is None or not run.held_out:
            write_again(preparation.data, preparation.job_id)
            return True
        try:
            self._history.end(run.kept_step)
            stage = self._stage = _stage(preparation, run, self._cancelled)
            stage.known = self._history.rows.get(run.kept_step)
            stage.prepare()
            run.phases.enter(EVALUATING)
            changed = run.plan.adapter is None or bool(run.begun)
            if changed:
                run.optimizer.zero_grad(set_to_none=True)
                run.optimizer.state.clear()  # memory for the base
            base = _fresh(preparation, run) if changed else _switched_off(run.loss)
            judged = stage.run(run.loss, base)
            judged.evaluation.update(_best(preparation, self._history, judged.evaluation["margin"]))
            results.write(results.result_file(self._job, None), judged._asdict())
            write_again(preparation.data, preparation.job_id)
            self._emit(EVALUATION_COMPLETED, evaluation=judged.evaluation)
        except Stopped:
            return False
        except Exception as error:  # noqa: BLE001 - whatever it was, the adapter is there
            traceback.print_exc()
            reason = str(error) or type(error).__name__
            self._emit(TRAINING_MESSAGE, message=f"It could not be compared with its base: {reason}")
        return True


def judge_kept(preparation: Preparation, model: Mapping[str, Any], saved: Mapping[str, Any]) -> Any:
    """Evaluate ``saved``, ``{folder, step, data}``; store and return the contract's :class:`Evaluation`.

    ``preparation`` has read its rows, and ``model`` is the base found by the backend. ``step`` is a
    checkpoint's, None for the final model; ``data`` is the file of the rows, None for the held-out ones.
    Raises :class:`JobFailure` without held-out rows.
    """
    folder, step, data = Path(saved["folder"]), saved["step"], saved["data"]
    if not preparation.eval_rows:
        raise JobFailure("No rows were held out of this job's training, so nothing can be measured")
    preparation.train_rows = preparation.train_rows[:FEW]
    preparation.load(model)
    preparation.encode()
    run = preparation.make_run(lambda: False)
    if adapter := kind_of(folder) == "adapter":
        run.loss = _wearing(run, folder)
    else:
        run.loss = _loss_of(preparation, run, folder)
    job = job_folder(preparation.data, preparation.job_id)
    # Ask what the run was asked, though only a few of its rows were read here.
    before = results.read(results.result_file(job, None))
    asked = results.answers_in(before) or ANSWERS[-1]
    stage = _stage(preparation, run, lambda: False, results.questions_in(before), asked)
    if data is not None:
        stage.called, stage.general, stage.answered = data, [], NOBODY
    judged = stage.run(run.loss, _switched_off(run.loss) if adapter else _fresh(preparation, run))
    if step is not None:
        judged.evaluation["step"] = step
    if data is not None:
        judged.evaluation["data"] = data
    elif step is None:
        judged.evaluation.update(_best(preparation, History(job), judged.evaluation["margin"]))
    results.write(results.result_file(job, step, data), judged._asdict())
    if data is None:
        write_again(preparation.data, preparation.job_id, step)
    return judged.evaluation


def _best(preparation: Preparation, history: History, margin: float) -> dict[str, Any]:
    saved = checkpoint_steps(preparation.data, preparation.job_id)
    return history.verdict(preparation.eval_groups, saved, margin)


def base_losses(run: Run) -> BaseLosses:
    """Return the cache for the base of ``run``, which has begun."""
    origin = run.origin()
    if not origin.get("model"):  # its files could not be read completely
        return BaseLosses(run.data, {})
    told = {key: origin.get(key) for key in ("model", "format", "device", "processor", "threads", "versions")}
    padded, whole_model = bool(run.loss.padded), run.plan.adapter is None
    return BaseLosses(
        run.data,
        {
            **told,
            "method": run.method.name,
            "fourBit": run.four_bit,
            "padded": padded,
            "whole": whole_model,
        },
    )


def _stage(
    preparation: Preparation,
    run: Run,
    cancelled: Callable[[], bool],
    count: int | None = None,
    asked: tuple[int, int] | None = None,
    *,
    quiet: bool = False,
) -> Stage:
    """Set up all measurements, with ``count`` general questions, of which ``asked`` are answered.

    ``quiet``, for estimates, reports no unreadable sets.
    """

    def failed(name: str, why: str) -> None:
        if not quiet:
            preparation.emit(TRAINING_MESSAGE, message=f"The evaluation {name} could not be made: {why}")

    def progress(*now: Any) -> None:
        preparation.progress(*now)
        run.phases.update()

    general, questions = general_examples(run, count)
    own: Sequence[Own] = ()
    if preparation.config.get("evaluations"):
        from .own_sets import sets_of

        own = sets_of(preparation, run, failed)
    losses = base_losses(run)
    return Stage(
        rows=preparation.eval_rows,
        groups=preparation.eval_groups,
        held_out=run.held_out,
        general=general,
        batch=run.plan.batch_size,
        progress=progress,
        cancelled=cancelled,
        kept=losses,
        questions=questions,
        margin=preparation.settings.get("verdictMargin"),
        remeasuring=Objective.rounded,
        own=own,
        answered=answers_of(preparation, run, general, losses, asked),
        failed=failed,
        dry=bool(preparation.settings.get("dryRun")),
        split=preparation.split,
    )


def _wearing(run: Run, folder: Path) -> Objective:
    """Load the base of ``run``, not yet begun, with the adapter in ``folder``, as in its training."""
    base = run.base
    if base.device == "cpu":
        hold_in(base.model, run.choice.dtype)
    config = lora_config(folder, base.model)
    worn = PeftModel.from_pretrained(base.model, str(folder), config=config, is_trainable=True)
    for weight in worn.parameters():
        if weight.requires_grad:
            weight.data = weight.data.float()
    return run.method.objective(worn, base.device, run.choice.dtype, run.train, run.plan)


def _loss_of(preparation: Preparation, run: Run, folder: Path) -> Objective:
    """Load the model in ``folder``, without an adapter, as in the training of ``run``."""
    learning = run.plan.adapter is None
    base = load_base(folder, run.four_bit, preparation.format, learning, as_stored=True)
    if learning:
        whole(base.model, run.base_name)
    elif base.device == "cpu":
        hold_in(base.model, run.choice.dtype)
    return run.method.objective(base.model, base.device, run.choice.dtype, run.train, run.plan)


@contextmanager
def _switched_off(loss: Objective) -> Iterator[Objective]:
    with loss.model.disable_adapter():
        yield loss


@contextmanager
def _fresh(preparation: Preparation, run: Run) -> Iterator[Objective]:
    yield _loss_of(preparation, run, preparation.path)
