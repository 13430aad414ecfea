"""Incompatible settings, each pair declared once; checked in ``arkor.toml``, on the wire and in the form.

A setting without effect beside another is refused, too: its author expects an effect.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from . import SETTINGS, by_field
from .reward import OF_ENVIRONMENT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from .setting import Setting

ADAM: Final = ("adamw", "adamw_torch", "adamw_torch_fused")
BETAS: Final = (*ADAM, "lion")
EPSILON: Final = ADAM
"""Optimizers that use the betas and epsilon."""
FROM_BASE: Final = ("pissa", "olora")
"""Adapters initialised from parts of the base's weights, which are subtracted from them."""

NOT_STREAMED: Final = {
    "fullFineTuning": "trains them",
    "useDora": "reads all of them before the first step",
}
"""Settings that need a model's weights in memory, and why."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """A conflict of ``field``, if set, with ``other``. Its default doesn't count as set; empty, false and
    zero count only beside a default that is not.

    The latter must be one of ``allowed``, or none of ``refused``, or unset if both are empty; or else the
    setting ``unless`` must be set. With an ``order``, both are numbers, and the conflict is that the field is
    ``below`` or ``above`` the other. In ``text``, ``{field}`` is a setting's name as the reader spells it.
    """

    field: str
    other: str
    text: str
    allowed: tuple[object, ...] = ()
    refused: tuple[object, ...] = ()
    unless: str | None = None
    order: Literal["below", "above"] | None = None

    def applies(self, config: Mapping[str, object]) -> bool:
        value = config.get(self.field)
        if value is None:
            return False  # as are most fields of a config
        rows = by_field()
        row, default = rows[self.other], rows[self.field].of(config.get("method")).default
        if value == default or not (value or default):
            return False
        if self.unless and config.get(self.unless):
            return False
        other_value = config.get(self.other)
        if not self.allowed and not self.refused and not self.order:
            return other_value is not None
        if other_value is None:
            other_value = row.default
        elif not row.rule.fits(other_value):
            return False  # another backend's form, unknown here
        if self.order:
            if not isinstance(value, int | float) or not isinstance(other_value, int | float):
                return False
            if not rows[self.field].fits(value):
                return False
            return value < other_value if self.order == "below" else value > other_value
        if isinstance(other_value, list) and len(other_value) == 1:
            other_value = other_value[0]
        return other_value not in self.allowed if self.allowed else other_value in self.refused


def _both(first: str, second: str) -> Conflict:
    return Conflict(second, first, f"{{{second}}} and {{{first}}} are both set. Remove one of the two")


def _without(field: str, other: str, requirement: str) -> Conflict:
    text = (
        f"{{{field}}} requires {requirement}, but {{{other}}} is 0. Set that above 0, or remove {{{field}}}"
    )
    return Conflict(field, other, text, refused=(0,))


def _adapters(field: str) -> Conflict:
    text = f"{{{field}}} needs an adapter, but {{fullFineTuning}} trains without one. Remove one of the two"
    return Conflict(field, "fullFineTuning", text, refused=(True,))


def _in_answers(field: str) -> Conflict:
    text = (
        f"{{{field}}} chooses among the tokens of answers, {{trainOnResponsesOnly}} = false learns all "
        "tokens. Remove one of the two"
    )
    return Conflict(field, "trainOnResponsesOnly", text, refused=(False,))


def _weighed(field: str, other: str) -> Conflict:
    text = (
        f"{{{field}}} counts beside {{{other}}}, which is 0: with nothing to weigh against, it has no "
        "effect. Remove one of the two"
    )
    return Conflict(field, other, text, refused=(0,))


def _only_with(field: str, other: str, *allowed: str) -> Conflict:
    words = " or ".join(f'"{value}"' for value in allowed)
    text = f"{{{field}}} applies only when {{{other}}} is {words}. Set that, or remove {{{field}}}"
    return Conflict(field, other, text, allowed=allowed)


def _warm_up(field: str) -> Conflict:
    text = (
        f'{{{field}}} has no effect when {{lrSchedulerType}} is "constant", which has no warm-up, as in '
        f'transformers. Set "constant_with_warmup", or remove {{{field}}}'
    )
    return Conflict(field, "lrSchedulerType", text, refused=("constant",))


def of_methods(rows: Iterable[Setting]) -> Iterator[Conflict]:
    """Yield the conflict of each setting that only some training methods have."""
    for row in rows:
        if row.methods:
            yield _only_with(row.field, "method", *row.methods)


def _not_streamed(field: str, why: str) -> Conflict:
    text = f"{{offload}} leaves the weights in their files, but {{{field}}} {why}. Remove one of the two"
    return Conflict(field, "offload", text, refused=("layers",))


CONFLICTS: Final = (
    Conflict(
        "earlyStoppingThreshold",
        "earlyStoppingPatience",
        "{earlyStoppingThreshold} applies only with {earlyStoppingPatience}. Set that too",
        refused=(None,),
    ),
    *(
        Conflict(
            field,
            "environment",
            f"{{{field}}} applies only with {{environment}}. Set that, or remove {{{field}}}",
            refused=(None,),
        )
        for field in OF_ENVIRONMENT
    ),
    Conflict(
        "softPunishCache",
        "environment",
        "{softPunishCache} counts the tokens of one answer, {environment} has several. Remove one of the two",
    ),
    _both("warmupSteps", "warmupRatio"),
    *(_warm_up(field) for field in ("warmupSteps", "warmupRatio")),
    _both("numberFormat", "bf16"),
    _both("numberFormat", "fp16"),
    Conflict("fp16", "bf16", "{bf16} and {fp16} are both true. Choose one", refused=(True,)),
    _without("earlyStoppingPatience", "evalSteps", "evaluations"),
    _without("stopWhen", "evalSteps", "evaluations"),
    _adapters("stopWhen"),
    Conflict(
        "stopWhen",
        "initLoraWeights",
        "{stopWhen} compares with the base, but {initLoraWeights} changes it. Remove one of the two",
        refused=FROM_BASE,
    ),
    _adapters("maxHarm"),
    Conflict(
        "maxHarm",
        "initLoraWeights",
        "{maxHarm} turns the adapter down, but pissa and olora in {initLoraWeights} change the base as well. "
        "Remove one of the two",
        refused=FROM_BASE,
    ),
    Conflict(
        "maxHarm",
        "useDora",
        "{maxHarm} turns the adapter down, but one with {useDora} works only at full strength. Remove one of "
        "the two",
        refused=(True,),
    ),
    Conflict(
        "loraModulesToSave",
        "maxHarm",
        "{maxHarm} turns the adapter down, but layers in {loraModulesToSave} have no strength. Remove one of "
        "the two",
    ),
    _without("saveTotalLimit", "saveSteps", "checkpoints"),
    _only_with("lrNumCycles", "lrSchedulerType", "cosine_with_restarts"),
    _only_with("lrPower", "lrSchedulerType", "polynomial"),
    _only_with("lrNumDecaySteps", "lrSchedulerType", "wsd"),
    _only_with("adamBeta1", "optim", *BETAS),
    _only_with("adamBeta2", "optim", *BETAS),
    _only_with("adamEpsilon", "optim", *EPSILON),
    *(_adapters(row.field) for row in SETTINGS if row.table == "lora"),
    *of_methods(SETTINGS),
    Conflict(
        "loadIn4bit",
        "fullFineTuning",
        "{fullFineTuning} needs unquantized weights, which {loadIn4bit} doesn't load. Choose one",
        refused=(True,),
    ),
    *(_not_streamed(field, why) for field, why in NOT_STREAMED.items()),
    Conflict(
        "replayDataset",
        "replay",
        "{replayDataset} requires {replay} or {baseKl} above 0. Set one of them, or remove {replayDataset}",
        refused=(0,),
        unless="baseKl",
    ),
    Conflict(
        "baseKl",
        "fullFineTuning",
        "{baseKl} compares with the base under the adapter, which {fullFineTuning} changes. Use replay "
        "instead, or remove one of the two",
        refused=(True,),
    ),
    Conflict(
        "baseKl",
        "initLoraWeights",
        "{baseKl} compares with the base under the adapter, which pissa and olora in {initLoraWeights} "
        "change. Use replay instead, or remove one of the two",
        refused=FROM_BASE,
    ),
    Conflict(
        "completionOnlyLoss",
        "trainOnResponsesOnly",
        "{completionOnlyLoss} limits the loss to the last answer, {trainOnResponsesOnly} = false extends it "
        "to all tokens. Choose one",
        refused=(False,),
    ),
    *(_in_answers(field) for field in ("thoughtWeight", "answerWeight", "trainOnEmptyThoughts")),
    _weighed("thoughtWeight", "answerWeight"),
    _weighed("answerWeight", "thoughtWeight"),
    Conflict(
        "trainOnEmptyThoughts",
        "thoughtWeight",
        "{trainOnEmptyThoughts} = false has no effect if {thoughtWeight} is 0: no thoughts are learned. "
        "Remove one of the two",
        refused=(0,),
    ),
    Conflict(
        "epsilonHigh",
        "epsilon",
        "{epsilonHigh} must not be below {epsilon}. Raise it, or remove it",
        order="below",
    ),
    Conflict(
        "softPunishCache",
        "maxCompletionLength",
        "{softPunishCache} must not be above {maxCompletionLength}. Lower it, or allow longer answers",
        order="above",
    ),
    Conflict(
        "useDora",
        "initLoraWeights",
        "{useDora} can't be combined with pissa or olora in {initLoraWeights}. Choose one",
        refused=FROM_BASE,
    ),
    Conflict(
        "loadIn4bit",
        "initLoraWeights",
        "pissa and olora in {initLoraWeights} need unquantized weights. Remove {loadIn4bit}",
        refused=FROM_BASE,
    ),
)


def conflicts(config: Mapping[str, object], spell: Callable[[str], str]) -> Iterator[tuple[str, str]]:
    """Yield the field and the sentence of each conflict in ``config``, whose individual values are valid.

    ``spell`` formats a field's name: a key of arkor.toml, or a wire field.
    """
    for conflict in CONFLICTS:
        if conflict.applies(config):
            fields = (conflict.field, conflict.other, conflict.unless)
            names = {field: spell(field) for field in fields if field}
            yield conflict.field, conflict.text.format(**names)
