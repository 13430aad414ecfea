"""The overall verdict on an adapter, from its task and general ability; the same for every reader."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .paired import FEWEST

if TYPE_CHECKING:
    from .paired import Comparison

TASK: Final = "at your task"
_GENERAL: Final = {
    "better": "better in general",
    "worse": "worse in general",
    "same": "as good in general",
    "unclear": "no clear difference in general",
}


def overall(task: Comparison, general: Comparison | None = None, on: str = TASK) -> tuple[str, str]:
    """Return the verdict (``better``, ``mixed``, ``same``, ``unclear`` or ``worse``) and its sentence.

    ``mixed`` is better at the task and worse in general. Worse in general without being better at the task is
    ``worse``. ``on`` describes the rows of ``task``.
    """
    verdict = task.verdict
    if general and general.verdict == "worse":
        verdict = "mixed" if verdict == "better" else "worse"
    first = _task(task, on)
    if not general:
        return verdict, f"{first}."
    both = task.verdict, general.verdict
    if both == ("same", "same"):
        return verdict, f"{first}, and none in general."
    if both in (("better", "better"), ("worse", "worse")):
        return verdict, f"{first} and in general."
    return verdict, f"{first}, {_GENERAL[general.verdict]}."


def _task(compared: Comparison, on: str) -> str:
    """Describe the task's result, with the number of rows if that is small."""
    kind = "row" if compared.groups == compared.rows else "independent row"
    count = f"{compared.groups} {kind}" + ("" if compared.groups == 1 else "s")
    if compared.groups < FEWEST:
        return f"Too few rows to judge it {on} (only {compared.groups})"
    words = {
        "better": f"Better {on}",
        "worse": f"Worse {on}",
        "same": f"No difference that matters {on}",
        "unclear": f"No clear difference {on}",
    }[compared.verdict]
    return f"{words} (only {count})" if compared.few else words
