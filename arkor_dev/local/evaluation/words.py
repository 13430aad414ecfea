"""Comparisons as the contract has them, and as sentences with their figures."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

from .paired import FEWEST

if TYPE_CHECKING:
    from arkor_dev.contract.run_shapes import EvaluationPart

    from .paired import Comparison

HELD_OUT: Final = "held-out rows"
GENERAL: Final = "general questions"
BASE: Final = "the base"
DIGITS: Final = 5
"""Decimals of the figures that are kept."""


def part(
    name: str, compared: Comparison, of: int = 0, beside: str = BASE, length: str | None = None
) -> EvaluationPart:
    """The contract's figures of one set of rows, ``name`` being ``HELD_OUT``, ``GENERAL`` or a file's name.

    ``of`` is how many there would have been, where these are only some; ``beside`` what the adapter is
    compared with, ``length`` how much longer or shorter it answers, in words.
    """
    difference = {"mean": compared.mean, "low": compared.low, "high": compared.high}
    told: EvaluationPart = {
        "name": name,
        "rows": compared.rows,
        "base": round(compared.base, DIGITS),
        "adapter": round(compared.adapter, DIGITS),
        "difference": {key: round(value, DIGITS) for key, value in difference.items()},  # type: ignore[typeddict-item]
        "verdict": compared.verdict,
        "sentence": general(compared, of, length) if name == GENERAL else held_out(compared, name, beside),
    }
    if of > compared.rows:
        told["of"] = of
    if compared.verdict in ("same", "unknown") and (needed := compared.rows_to_settle):
        told["rowsToSettle"] = needed
    return told


def held_out(compared: Comparison, name: str = HELD_OUT, beside: str = BASE) -> str:
    """Whether the adapter is better on what it has not learned from, or on the rows of the file ``name``."""
    rows, loss = _count(compared.rows, "held-out row"), _losses(compared)
    if name != HELD_OUT:
        rows = f"{_count(compared.rows, 'row')} of {name}"
    match compared.verdict:
        case "better":
            return f"Better than {beside}: loss {loss} on {rows}, {_interval(compared)}."
        case "worse":
            return f"Worse than {beside}: loss {loss} on {rows}, {_interval(compared)}."
        case "same":
            return (
                f"No difference that {_count(compared.rows, 'row')} can show: loss {loss}, "
                f"{_interval(compared)}. {_settled(compared)}"
            )
    are = "is" if compared.rows == 1 else "are"
    few = "" if compared.rows < FEWEST else f" ({_count(compared.groups, 'question')})"
    return f"{rows}{few} {are} too few to tell: loss {loss}. {_settled(compared)}"


def general(compared: Comparison, of: int = 0, length: str | None = None) -> str:
    """Whether it has forgotten, or learned, what has nothing to do with its data; and at which ``length``."""
    rows, by = _count(compared.rows, "question"), _number(abs(compared.mean), compared)
    if of > compared.rows:
        rows = f"{compared.rows:,} of {_count(of, 'question')}"
    figures = f"loss {_losses(compared)} on {rows}, {_interval(compared)}"
    match compared.verdict:
        case "better":
            but = f", but {length}" if length else ""
            return f"It answers general questions {by} better than the base{but}: {figures}."
        case "worse":
            also = f", and {length}" if length else ""
            return f"It answers general questions {by} worse than the base{also}: {figures}."
        case "same":
            but = f", but {length}" if length else ""
            shown = f"as the base does{but}, as far as {rows} can show"
            return f"It answers general questions {shown}: {figures}."
    return f"{rows} are too few to tell how it answers general ones."


class Ends(NamedTuple):
    """The best step of a run and its final one: their evaluation losses, on all held-out tokens.

    ``trained`` are the training losses up to both, None where they are not known.
    """

    best: int
    final: int
    lowest: float
    last: float
    trained: tuple[float, float] | None = None


def best_of(ends: Ends, compared: Comparison | None, count: int, saved: bool = True) -> str:
    """Which of ``count`` evaluations was best, and whether the final adapter is as good.

    ``compared`` has the final adapter as base and that of the best step as adapter; None where the rows of
    then are not known. ``saved``: there is a checkpoint of the best step.
    """
    step = ends.best
    if step == ends.final:
        return f"No evaluation was better than the final adapter's, of {count}." if count > 1 else ""
    lowest, last = f"{ends.lowest:.3f}", f"{ends.last:.3f}"
    if compared and compared.verdict == "better":
        gone = "" if saved else f" No checkpoint was saved at step {step}: save_every decides which are."
        return (
            f"Step {step} was better than the final adapter: loss {_losses(compared)} on the held-out rows, "
            f"{_interval(compared)}. {_after(ends)}{gone}"
        )
    seen = f"step {step} had an evaluation loss of {lowest}, the end one of {last}"
    if compared and compared.verdict == "same":
        return f"The final adapter is as good as the best, as far as the rows can show: {seen}."
    return f"{seen[0].upper()}{seen[1:]}: too few rows to tell whether that is more than chance."


def _after(ends: Ends) -> str:
    """What happened after the best step: overfitting is where the training loss fell on."""
    rose = f"the held-out loss rose from {ends.lowest:.3f} to {ends.last:.3f}"
    if ends.trained is None:
        return f"From step {ends.best} on {rose}."
    before, after = ends.trained
    told = f"from {before:.3f} to {after:.3f}"
    if after < before:
        return (
            f"The run overfitted: from step {ends.best} on {rose}, while the training loss fell {told}. It "
            "learned its rows by heart."
        )
    return f"From step {ends.best} on {rose}, and so did the training loss, {told}: a lower rate may help."


def _settled(compared: Comparison) -> str:
    needed = compared.rows_to_settle
    if needed is None:
        return "The two are so alike that more rows would hardly tell them apart."
    if compared.verdict == "unknown":
        return f"It takes {max(FEWEST, needed):,} rows at least."
    return f"About {_rough(needed):,} rows would settle a difference of this size."


def _losses(compared: Comparison) -> str:
    return f"{_number(compared.adapter, compared)} instead of {_number(compared.base, compared)}"


def _interval(compared: Comparison) -> str:
    """The interval's ends; of what is worse, how much worse."""
    ends = (compared.low, compared.high)
    if compared.verdict == "worse":
        ends = (-compared.high, -compared.low)
    low, high = (_number(end, compared) for end in ends)
    return f"95 % interval of the difference {low} to {high}"


def _number(value: float, compared: Comparison) -> str:
    """With two decimals, or so many that the interval is seen as one."""
    width = compared.high - compared.low
    decimals = 2 if width <= 0 else min(4, max(2, 1 - math.floor(math.log10(width))))
    text = f"{value:.{decimals}f}"
    return text.removeprefix("-") if not text.strip("-0.") else text


def _rough(count: int) -> int:
    """Two digits of a number that is an estimate."""
    digits = max(0, len(str(count)) - 2)
    return int(math.ceil(count / 10**digits) * 10**digits)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")
