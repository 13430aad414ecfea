"""Settings that do not go together, each pair said once; ``arkor.toml``, the wire and the form are checked.

A setting that would have no effect beside another is refused too: who sets it believes that it counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from . import SETTINGS, by_field

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

ADAM: Final = ("adamw", "adamw_torch", "adamw_torch_fused")
BETAS: Final = (*ADAM, "lion")
EPSILON: Final = ADAM
"""The optimizers that look at the betas, and at epsilon."""
FROM_BASE: Final = ("pissa", "olora")
"""The adapters that begin at parts of the base's weights, which are taken out of them."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """``field``, where it says anything (nothing, no and zero do not, nor does the default), and ``other``.

    That must be one of ``allowed``, or none of ``refused``, or not set at all where both are empty. In
    ``text``, ``{field}`` stands for a setting as the reader spells it.
    """

    field: str
    other: str
    text: str
    allowed: tuple[object, ...] = ()
    refused: tuple[object, ...] = ()

    def arises(self, config: Mapping[str, Any]) -> bool:
        """Whether ``config`` has it."""
        said, row = config.get(self.field), by_field()[self.other]
        if not said or said == by_field()[self.field].default:
            return False
        beside = config.get(self.other)
        if not self.allowed and not self.refused:
            return beside is not None
        if beside is None:
            beside = row.default
        elif not row.rule.fits(beside):
            return False  # another backend's form, of which nothing is known here
        if isinstance(beside, list) and len(beside) == 1:
            beside = beside[0]
        return beside not in self.allowed if self.allowed else beside in self.refused


def _both(first: str, second: str, what: str) -> Conflict:
    text = f"{{{second}}} and {{{first}}} are both set. Keep the one that should decide {what}"
    return Conflict(second, first, text)


def _without(field: str, other: str, what: str) -> Conflict:
    text = f"{{{field}}} needs {what}, and {{{other}}} is 0. Set that above 0, or leave {{{field}}} out"
    return Conflict(field, other, text, refused=(0,))


def _adapters(field: str) -> Conflict:
    text = f"{{{field}}} is about an adapter, and {{fullFineTuning}} has none. Leave one of them out"
    return Conflict(field, "fullFineTuning", text, refused=(True,))


def _only_with(field: str, other: str, *allowed: str) -> Conflict:
    words = " or ".join(f'"{value}"' for value in allowed)
    text = f"{{{field}}} has a meaning only where {{{other}}} is {words}. Set that, or leave {{{field}}} out"
    return Conflict(field, other, text, allowed=allowed)


CONFLICTS: Final = (
    Conflict(
        "earlyStoppingThreshold",
        "earlyStoppingPatience",
        "{earlyStoppingThreshold} has a meaning only beside {earlyStoppingPatience}. Set that as well",
        refused=(None,),
    ),
    _both("warmupSteps", "warmupRatio", "the warm-up"),
    _both("numberFormat", "bf16", "the number format"),
    _both("numberFormat", "fp16", "the number format"),
    Conflict("fp16", "bf16", "{bf16} and {fp16} are both true. Choose one of the two", refused=(True,)),
    _without("earlyStoppingPatience", "evalSteps", "evaluations"),
    _without("saveTotalLimit", "saveSteps", "checkpoints"),
    _only_with("lrNumCycles", "lrSchedulerType", "cosine_with_restarts"),
    _only_with("lrPower", "lrSchedulerType", "polynomial"),
    _only_with("lrNumDecaySteps", "lrSchedulerType", "wsd"),
    _only_with("adamBeta1", "optim", *BETAS),
    _only_with("adamBeta2", "optim", *BETAS),
    _only_with("adamEpsilon", "optim", *EPSILON),
    *(_adapters(row.field) for row in SETTINGS if row.table == "lora"),
    Conflict(
        "loadIn4bit",
        "fullFineTuning",
        "{fullFineTuning} needs the weights in full, not as {loadIn4bit} loads them. Choose one of the two",
        refused=(True,),
    ),
    Conflict(
        "completionOnlyLoss",
        "trainOnResponsesOnly",
        "{completionOnlyLoss} learns less than all answers, and {trainOnResponsesOnly} = false all there is. "
        "Choose one of the two",
        refused=(False,),
    ),
    Conflict(
        "useDora",
        "initLoraWeights",
        "{useDora} does not go with pissa and olora in {initLoraWeights}. Choose one of the two",
        refused=FROM_BASE,
    ),
    Conflict(
        "loadIn4bit",
        "initLoraWeights",
        "pissa and olora in {initLoraWeights} need the base's weights in full. Leave {loadIn4bit} out",
        refused=FROM_BASE,
    ),
)


def conflicts(config: Mapping[str, Any], spell: Callable[[str], str]) -> Iterator[tuple[str, str]]:
    """The field and the sentence of each conflict in ``config``, whose values are allowed by themselves.

    ``spell`` writes a field as the person knows it: a key of arkor.toml, or a field of the wire.
    """
    for conflict in CONFLICTS:
        if conflict.arises(config):
            names = {field: spell(field) for field in (conflict.field, conflict.other)}
            yield conflict.field, conflict.text.format(**names)
