"""How a classifier learns from labeled texts; the name is scikit-learn's.

A weight by label is written ``"label=weight"``, as a setting is a value or a list.
"""

from __future__ import annotations

from typing import Final

from arkor_dev.contract.rules import Rule, text_line

from .setting import LOCAL, Setting

METHOD: Final = "classify"
UNWEIGHTED: Final = "none"
BALANCED: Final = "balanced"

ROWS: Final = (
    Setting(
        key="class_weight",
        field="classWeight",
        label="Class weights",
        help="balanced multiplies the loss of each row by rows / (classes * rows of its class), so that rare "
        'labels count as much as frequent ones; "label=weight" by a number of its own, and labels that are '
        "not listed by 1.",
        rule=Rule(
            "list",
            1,
            1000,
            f'"{UNWEIGHTED}" or "{BALANCED}" alone, or a list of "label=weight"',
            of=text_line(1000),
            alone=(UNWEIGHTED, BALANCED),
        ),
        style="list",
        group="data",
        default=UNWEIGHTED,
        where=LOCAL,
        methods=(METHOD,),
    ),
)


def as_list(chosen: str | list[str]) -> list[str]:
    """Return the entries of ``class_weight``, of which a single one may stand alone."""
    return [chosen] if isinstance(chosen, str) else chosen
