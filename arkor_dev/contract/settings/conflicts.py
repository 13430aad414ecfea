"""Settings that do not go together, each pair said once; ``arkor.toml`` and the wire are checked by the same.

A setting that would have no effect beside another is refused too: who sets it believes that it counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from . import by_field

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

ADAM: Final = ("adamw", "adamw_torch", "adamw_torch_fused")
BETAS: Final = (*ADAM, "lion")
EPSILON: Final = ADAM
"""The optimizers that look at the betas, and at epsilon."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """``field`` is set and ``forbidden`` is true of the config: ``text`` is what to say.

    In ``text``, ``{field}`` stands for a setting as the reader spells it.
    """

    field: str
    text: str
    forbidden: Callable[[Mapping[str, Any]], bool]


def _value(config: Mapping[str, Any], field: str) -> Any:
    """What the job says, else the table's default."""
    said = config.get(field)
    return by_field()[field].default if said is None else said


def _both(first: str, second: str, what: str) -> Conflict:
    text = f"{{{second}}} and {{{first}}} are both set. Keep the one that should decide {what}"
    return Conflict(second, text, lambda config: config.get(first) is not None)


def _only_with(field: str, other: str, allowed: tuple[str, ...]) -> Conflict:
    words = " or ".join(f'"{value}"' for value in allowed)
    return Conflict(
        field,
        f"{{{field}}} has a meaning only where {{{other}}} is {words}. Set that, or leave {{{field}}} out",
        lambda config: _value(config, other) not in allowed,
    )


def _optimizer(field: str, allowed: tuple[str, ...]) -> Conflict:
    rule = _only_with(field, "optim", allowed)
    # Any kind of AdamW of another backend becomes ours.
    return Conflict(
        field, rule.text, lambda config: "adamw" not in _value(config, "optim") and rule.forbidden(config)
    )


CONFLICTS: Final = (
    _both("warmupSteps", "warmupRatio", "the warm-up"),
    _only_with("lrNumCycles", "lrSchedulerType", ("cosine_with_restarts",)),
    _only_with("lrPower", "lrSchedulerType", ("polynomial",)),
    _only_with("lrNumDecaySteps", "lrSchedulerType", ("wsd", "warmup_stable_decay")),
    _optimizer("adamBeta1", BETAS),
    _optimizer("adamBeta2", BETAS),
    _optimizer("adamEpsilon", EPSILON),
)


def conflicts(config: Mapping[str, Any], spell: Callable[[str], str]) -> Iterator[tuple[str, str]]:
    """The field and the sentence of each conflict in ``config``, whose values are allowed by themselves.

    ``spell`` writes a field as the person knows it: a key of arkor.toml, or a field of the wire.
    """
    for conflict in CONFLICTS:
        if config.get(conflict.field) is not None and conflict.forbidden(config):
            yield conflict.field, conflict.text.format_map(_Spelled(spell))


class _Spelled(dict[str, str]):
    """Every field as ``spell`` writes it."""

    def __init__(self, spell: Callable[[str], str]) -> None:
        super().__init__()
        self._spell = spell

    def __missing__(self, field: str) -> str:
        return self._spell(field)
