"""Formats comparisons for the contract, and as sentences with figures."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from arkor_dev.contract.rules import counted

from .minimums import ROWS
from .paired import Comparison

if TYPE_CHECKING:
    from arkor_dev.contract.shapes import EvaluationBudget, EvaluationMeasure, EvaluationPart

    from .budget import Harm, StrengthChoice
    from .preferred import Preferred


ChosenBy = Literal["early", "budget", "checkpoint"]
HELD_OUT: Final = "held-out rows"
GENERAL: Final = "general questions"
ADAPTERS_ONLY: Final = (
    "This compares two adapters, not their settings: another seed alone may reverse it. To compare settings, "
    "repeat each job with 3 seeds."
)
DIGITS: Final = 5
"""Number of decimals in stored figures."""


def part(name: str, compared: Comparison, sentence: str, of: int = 0) -> EvaluationPart:
    """Return the figures of one set; ``name`` is ``HELD_OUT``, ``GENERAL`` or a file's name.

    ``sentence`` is the sentence about it; ``of`` is the total number of rows if only some were measured.
    """
    difference = {"mean": compared.mean, "low": compared.low, "high": compared.high}
    base, adapter = compared.measured
    fields: EvaluationPart = {
        "name": name,
        "rows": compared.rows,
        "base": round(base, DIGITS),
        "adapter": round(adapter, DIGITS),
        "difference": {key: round(value, DIGITS) for key, value in difference.items()},  # type: ignore[typeddict-item]
        "confidence": compared.confidence,
        "verdict": compared.verdict,
        "sentence": sentence,
    }
    if compared.groups < compared.minimum:
        fields["tooFew"] = True
    if of > compared.rows:
        fields["of"] = of
    if compared.verdict == "unclear" and (needed := compared.rows_to_settle):
        fields["rowsToSettle"] = needed
    return fields


def beside_base(
    name: str, compared: Comparison, of: int = 0, length: str | None = None, *, dry: bool = False
) -> str:
    """Describe how the adapter compares with its base on the rows ``name``, with figures.

    ``length`` describes its answers' relative length; ``of`` as in :func:`part`. After a dry run (``dry``),
    the number of rows that would settle it is omitted.
    """
    subject = {HELD_OUT: "Your task", GENERAL: "General questions"}.get(name, name)
    kind = {HELD_OUT: "held-out row", GENERAL: "question"}.get(name, "row")
    rows = f"{compared.rows:,} of {counted(of, kind)}" if of > compared.rows else counted_rows(compared, kind)
    start = f"{subject}: {verdict_words(compared)}, {_losses(compared, ' for the base')} on {rows}"
    more = f"; its answers are {length}" if length else ""
    return f"{start}{interval(compared)}{more}.{'' if dry else caution(compared) + settled(compared)}"


def success_rates(name: str, compared: Comparison, *, acts: bool, dry: bool = False) -> str:
    """Describe rewards that are 0 or 1 by how often each model got one; ``name`` and ``dry`` as in
    :func:`beside_base`. ``acts``: they reward episodes of an environment, and else answers.
    """
    subject = "Your task" if name == HELD_OUT else name
    figures = f"{_successes(name, compared, acts=acts)} for the base{interval(compared, 2)}"
    start = f"{subject}: {verdict_words(compared)}, {figures}"
    return f"{start}.{'' if dry else caution(compared) + settled(compared)}"


def _successes(name: str, compared: Comparison, *, acts: bool) -> str:
    before, right = (round(mean * compared.rows) for mean in compared.measured)
    subject, kind = ("reached the goal in", "episode") if acts else ("reward 1 for", "answer")
    held_out = "held-out " if name == HELD_OUT else ""
    return f"{subject} {right:,} of {counted_rows(compared, held_out + kind)} vs. {before:,}"


def success_measure(measure: EvaluationMeasure, *, acts: bool) -> EvaluationMeasure:
    """Return the name of rewards that are 0 or 1, whose mean is ``measure``."""
    return {**measure, "label": "Reached the goal" if acts else "Reward 1", "rate": True}


def beside_adapter(
    name: str, compared: Comparison, other: str, *, rates: bool = False, acts: bool = False
) -> str:
    """Describe how an adapter compares with the one of the job ``other``, which takes the base's role.

    ``rates``: they are those of rewards that are 0 or 1; ``acts`` as in :func:`success_rates`.
    """
    words = {
        "better": f"Better than {other}",
        "worse": f"Worse than {other}",
        "same": f"No difference that matters from {other}",
        "unclear": f"No clear difference from {other}",
    }[compared.verdict]
    rows = counted_rows(compared, "held-out row" if name == HELD_OUT else "row")
    rows += "" if name == HELD_OUT else f" of {name}"
    measured = f"{_losses(compared)} on {rows}{interval(compared)}"
    if rates:
        measured = f"{_successes(name, compared, acts=acts)}{interval(compared, 2)}"
    return f"{words}: {measured}.{caution(compared)}{settled(compared)} {ADAPTERS_ONLY}"


def verdict_words(compared: Comparison) -> str:
    """Return ``better``, ``worse``, or why it is neither."""
    if compared.groups < compared.minimum:
        return "too few rows to tell"
    if compared.verdict == "unclear":
        return "no clear difference"
    if compared.verdict == "same":
        least = f" (less than {compared.margin:.2g})" if compared.margin else ""
        return f"no difference that matters{least}"
    return compared.verdict


def interval(compared: Comparison, decimals: int | None = None) -> str:
    """Format the interval, after a semicolon; if the result is worse, as the amount by which it is worse.

    Empty with too few rows for a verdict: a bootstrap of so few rows has ends far beyond any loss.
    """
    if compared.groups < compared.minimum:
        return ""
    ends = (compared.low, compared.high)
    if compared.verdict == "worse":
        ends = (-compared.high, -compared.low)
    low, high = (_number(end, compared, decimals) for end in ends)
    return f"; {compared.confidence} % interval of the difference {low} to {high}"


class Ends(NamedTuple):
    """The best step of a run and its final one: evaluation losses over all held-out tokens.

    ``trained`` has the training losses up to both; None if unknown. ``higher`` as in :class:`Comparison`.
    """

    best: int
    final: int
    lowest: float
    last: float
    trained: tuple[float, float] | None = None
    higher: str = ""


def best_of(ends: Ends, compared: Comparison | None, count: int, saved: bool = True) -> str:
    """Say which of ``count`` evaluations was best, and whether the final adapter is equally good.

    ``compared`` compares the final adapter (as base) with that of the best step, on rows that did not choose
    it; None if that step's row losses are unknown. ``saved``: the best step has a checkpoint.
    """
    step = ends.best
    if step == ends.final:
        return f"None of {count} evaluations was better than the final adapter's." if count > 1 else ""
    if compared and compared.verdict == "better":
        gone = "" if saved else f" No checkpoint was saved at step {step}: save_every sets the interval."
        return (
            f"Step {step} was better than the final adapter: {_losses(compared)} on "
            f"{counted_rows(compared, 'held-out row')} that did not choose it{interval(compared)}. "
            f"{_after(ends)}{gone}"
        )
    seen = f"an evaluation loss of {ends.lowest:.3f}, the final one {ends.last:.3f}"
    if ends.higher:
        seen = f"a {ends.higher.lower()} of {-ends.lowest:.3f}, the final one {-ends.last:.3f}"
    if compared and compared.groups < compared.minimum:
        return (
            f"The adapter of step {step} had {seen}. {counted(compared.groups, compared.noun)} "
            f"{'is' if compared.groups == 1 else 'are'} too few to both choose a step and compare it: that "
            f"takes {compared.minimum}."
        )
    words = {
        "same": "The final adapter is as good as",
        "worse": "The final adapter is better than",
    }.get(compared.verdict if compared else "", "No clear difference between the final adapter and")
    return f"{words} that of step {step}, the best of {count} on the rows that choose, which had {seen}."


def chosen(evaluations: int, chose: int, rows: int, by: ChosenBy) -> str:
    """Say by how many of the held-out ``rows`` an adapter was chosen from ``evaluations``, and judged.

    ``by``: early stopping, or a forgetting budget, which has steps; or it is a checkpoint.
    """
    which = f"{chose:,} of the {rows:,} held-out rows" if chose < rows else f"all {rows:,} held-out rows"
    how = {
        "early": f"Early stopping chose this adapter from {evaluations} evaluations, by its loss on {which}",
        "budget": f"The step of this adapter was chosen from {evaluations}, by its loss on {which}",
        "checkpoint": (
            f"This checkpoint is one of {evaluations} that were evaluated, and {which} are for choosing one"
        ),
    }[by]
    if chose < rows:
        return f"{how}. Only the other {rows - chose:,} judge it."
    return f"{how}, so none is left to judge it: hold out at least {2 * ROWS} independent rows (eval_split)."


def so_far_sentence(compared: Comparison, state: str, since: int) -> str:
    """Say what an evaluation shows of a run: its ``state`` (`.so_far`), and ``since`` which step."""
    words = f"{verdict_words(compared)}, {_losses(compared, ' for the base')}{interval(compared)}."
    if state == "better":
        return f"Better, settled at step {since}: {words.removeprefix('better, ')}"
    return f"Hopeless, settled at step {since}: {words}" if state == "hopeless" else f"Not yet: {words}"


def watched(number: int, planned: int, *, ended: bool) -> str:
    """Say how a verdict allows for other evaluations: they could have ``ended`` the run, or their losses
    have been seen by whoever chose this checkpoint.
    """
    start = "The run could end at each of" if ended else "This checkpoint may have been chosen from"
    return (
        f"{start} {counted(planned, 'planned evaluation')}, and it is number {number}. The interval on the "
        "held-out rows is one of a sequence, which allows for that."
    )


def budget_sentence(
    choice: StrengthChoice,
    limit: float,
    budget: EvaluationBudget,
    cost: Comparison | None,
    *,
    few: bool = False,
) -> str:
    """Say which adapter keeps the harm in general below ``limit``, and what it costs at the task.

    ``cost`` compares its losses with those of the last step at full strength; None if it is that. ``few``:
    there were too few held-out rows to choose an earlier step.
    """
    strength, more = _percent(choice.chosen), ""
    at = f"at step {budget['step']} with" if "step" in budget else "at"
    below = f"the harm in general is below {limit:g} nats per token with 95 % confidence"
    if not choice.within:
        start = (
            f"Over the forgetting budget: even at {strength} strength, the lowest that is tried and the "
            f"result, the harm in general may reach {limit:g} nats per token "
            f"({_harm(choice.chosen, budget)})"
        )
    elif choice.refused is None:
        start = f"Forgetting budget: {at} full strength, {below} ({_harm(choice.chosen, budget)})"
    else:
        start = f"Forgetting budget: {at} {strength} strength, {below} ({_harm(choice.chosen, budget)})"
        more = f" At {_percent(choice.refused)} it may not be (at most {choice.refused.most:.3f})."
    if choice.within:
        more += " This holds for short questions like these, unless rare ones carry most of the harm."
    if cost:
        low, high = (_number(end, cost, 2) for end in (cost.low, cost.high))
        ends = f"{low} to {high}" if cost.groups >= cost.minimum else ""
        price = f"{cost.mean:.2f} nats" if cost.mean > 0 else "nothing"
        more += (
            f" At your task that costs {price}{f' ({ends})' if ends else ''}, compared with "
            f"{'the last step at ' if 'step' in budget else ''}full strength."
        )
    if few and choice.chosen.strength < 1:
        more += (
            f" An earlier step may keep more of the gain: with {2 * ROWS} independent held-out rows, one can "
            "be chosen."
        )
    if (divergence := budget.get("divergence")) is not None:
        more += f" On held-out answers it diverges from its base by {divergence:.2f} nats per token (KL)."
    return f"{start}.{more}"


def _percent(harm: Harm) -> str:
    return f"{100 * harm.strength:.0f} %"


def _harm(harm: Harm, budget: EvaluationBudget) -> str:
    most = f"at most {_signed(harm.most, 3)}" if math.isfinite(harm.most) else "too few to bound it"
    return f"{_signed(harm.mean, 3)}, {most}, on {counted(budget['questions'], 'question')}"


def _after(ends: Ends) -> str:
    """Describe the losses after the best step: it is overfitting if the training loss kept falling."""
    if ends.higher:
        fell = f"the held-out {ends.higher.lower()} fell from {-ends.lowest:.3f} to {-ends.last:.3f}"
        return f"From step {ends.best} on {fell}."
    rose = f"the held-out loss rose from {ends.lowest:.3f} to {ends.last:.3f}"
    if ends.trained is None:
        return f"From step {ends.best} on {rose}."
    before, after = ends.trained
    change = f"from {before:.3f} to {after:.3f}"
    if after < before:
        return (
            f"The run overfitted: from step {ends.best} on {rose}, while the training loss fell "
            f"{change}. It memorized its rows."
        )
    return f"From step {ends.best} on {rose}, and so did the training loss, {change}: a lower rate may help."


def caution(compared: Comparison) -> str:
    """Return, after a space, what may be wrong with a ``better`` or ``worse`` on few rows; empty if nothing.

    One or two rows may carry it, or rare rows that are not among these may overturn it.
    """
    if compared.verdict not in ("better", "worse"):
        return ""
    if compared.carried:
        pronoun = "it" if compared.carried == 1 else "them"
        return (
            f" {_carries(compared)}: without {pronoun} the difference is {_number(compared.rest, compared)}."
        )
    if (difference := compared.overturned_by) is None:
        return ""
    opposite = "worse" if compared.verdict == "better" else "better"
    toward = difference if opposite == "better" else -difference
    change = f"{opposite} by {toward:.2g}" if toward > 0 else f"{compared.verdict} by less than {-toward:.2g}"
    unlike = f"Rows of a kind that these {compared.groups} lack may be up to {100 * compared.unlike:.0f} %"
    return f" {unlike} of all: it would not hold if those got {change}."


def _carries(compared: Comparison) -> str:
    """Say that one row or two rows carry the result."""
    verb = "carries" if compared.carried == 1 else "carry"
    return f"{counted(compared.carried, compared.noun)} {verb} it"


def settled(compared: Comparison) -> str:
    """Return, after a space, how many rows would settle an unclear result; empty for a clear one."""
    if compared.verdict != "unclear":
        return ""
    needed = compared.rows_to_settle
    if compared.groups < compared.minimum:
        return f" A verdict needs at least {needed:,} rows."
    if needed is None:
        return " They are so close that even many more rows may not settle it."
    return f" About {_rough(needed):,} rows would settle it."


def _losses(compared: Comparison, base: str = "") -> str:
    other, adapter = (_number(value, compared) for value in compared.measured)
    return f"{measure_words(compared)} {adapter} vs. {other}{base}"


def measure_words(compared: Comparison) -> str:
    """Return what was measured, in the middle of a sentence: ``loss``, ``accuracy``, ``nDCG@10``."""
    name = compared.higher or "loss"
    return name if name[1:2].isupper() else name.lower()


def _number(value: float, compared: Comparison, decimals: int | None = None) -> str:
    """Format with two decimals, or enough to show a non-empty interval."""
    width = compared.high - compared.low
    if decimals is None:
        decimals = 2 if width <= 0 else min(4, max(2, 1 - math.floor(math.log10(width))))
    return _signed(value, decimals)


def _signed(value: float, decimals: int) -> str:
    """Format a number; one that is rounded to zero has no sign."""
    text = f"{value:.{decimals}f}"
    return text.removeprefix("-") if not text.strip("-0.") else text


def _rough(count: int) -> int:
    """Round an estimate to two digits."""
    digits = max(0, len(str(count)) - 2)
    return int(math.ceil(count / 10**digits) * 10**digits)


def counted_rows(compared: Comparison, kind: str) -> str:
    """Format the number of rows, and the number of groups if rows are grouped."""
    rows = counted(compared.rows, kind)
    return rows if compared.groups == compared.rows else f"{rows} in {counted(compared.groups, 'group')}"


TASK: Final = "at your task"
_GENERAL: Final = {
    "better": "better in general",
    "worse": "worse in general",
    "same": "as good in general",
    "unclear": "no clear difference in general",
}


def overall(
    task: Comparison | Preferred, general: Comparison | None = None, on: str = TASK
) -> tuple[str, str]:
    """Return the verdict (``better``, ``mixed``, ``same``, ``unclear`` or ``worse``) and its sentence.

    ``mixed`` is better at the task and worse in general. Worse in general without being better at the task is
    ``worse``. The sentence gives both mean losses before and after. ``on`` describes the rows of ``task``.
    """
    verdict = task.verdict
    if general and general.verdict == "worse":
        verdict = "mixed" if verdict == "better" else "worse"
    harmed = general is not None and general.verdict == "worse"
    first, course = _task(task, on, _course(task) if harmed else ""), ""
    if not general:
        return verdict, f"{first}."
    if harmed:
        course = f" ({_course(general)})"
    both = task.verdict, general.verdict
    if both == ("same", "same"):
        return verdict, f"{first}, and none in general."
    if both in (("better", "better"), ("worse", "worse")):
        return verdict, f"{first} and in general{course}."
    return verdict, f"{first}, {_GENERAL[general.verdict]}{course}."


def _course(compared: Comparison | Preferred) -> str:
    """Return the means of base and adapter, if they differ significantly; empty for preferences."""
    if not isinstance(compared, Comparison) or compared.verdict not in ("better", "worse"):
        return ""
    return " → ".join(_number(value, compared) for value in compared.measured)


def _task(compared: Comparison | Preferred, on: str, course: str = "") -> str:
    """Describe the task's result, with its ``course``, and with the number of rows if that is small, or if
    rare rows could overturn it.
    """
    count = counted(compared.groups, compared.noun)
    if compared.groups < compared.minimum:
        kind = "rows" if "row" in compared.noun else f"{compared.noun}s"
        return f"Too few {kind} to judge it {on} (only {compared.groups})"
    words = {
        "better": f"Better {on}",
        "worse": f"Worse {on}",
        "same": f"No difference that matters {on}",
        "unclear": f"No clear difference {on}",
    }[compared.verdict]
    few, carried = compared.few, ""
    if isinstance(compared, Comparison) and compared.verdict in ("better", "worse"):
        few = few or compared.overturned_by is not None
        carried = _carries(compared) if compared.carried else ""
    details = ", ".join(filter(None, (course, f"only {count}" if few else "", carried)))
    return f"{words} ({details})" if details else words
