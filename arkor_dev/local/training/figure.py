"""A figure that a training method reports."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MethodFigure:
    """A figure that a method reports beside its loss.

    ``name`` is its field in ``training.log``, in camel case; held-out figures begin with ``eval``:
    ``rewardMargin``, ``evalRewardMargin``. ``label`` names it on the chart, ``unit`` follows its values.
    ``higher`` marks a measure of which more is better; the objective's losses are its negative.
    """

    name: str
    label: str
    unit: str = ""
    higher: bool = False

    @property
    def evaluated(self) -> str:
        """The field of ``training.log`` that holds an evaluation's value, for a measure."""
        return f"eval{self.name[0].upper()}{self.name[1:]}" if self.higher else "evalLoss"
