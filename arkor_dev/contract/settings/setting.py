"""Definition of a trainer's setting; the modules beside this one declare them by group."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal, TypedDict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from arkor_dev.contract.rules import Rule

Style = Literal["text", "count", "steps", "tokens", "interval", "rate", "share", "flag", "list"]
"""How the page formats a value: ``steps`` as "5 steps", ``interval`` likewise with 0 as "never", ``share`` in
%.
"""

Group = Literal["usual", "schedule", "adapter", "data", "reward", "evaluation", "precision", "advanced"]
GROUPS: Final[dict[Group, str]] = {
    "usual": "Common settings",
    "schedule": "Learning rate and optimizer",
    "adapter": "Adapter",
    "data": "Data and loss",
    "reward": "Rewards and sampled answers",
    "evaluation": "Evaluation and checkpoints",
    "precision": "Precision and memory",
    "advanced": "Advanced",
}
"""The groups of the form, in reading order, by their headings."""

Value = str | float | bool | list[str] | list[int] | list[float]

EVERYWHERE: Final = "every backend"
LOCAL: Final = "the local backend"
MANAGED: Final = "the managed backend"


class Variant(TypedDict, total=False):
    """What is different for a training method."""

    rule: Rule
    default: Value
    help: str
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """``key`` is the spelling in arkor.toml (``lora.r``: in a table), ``field`` that in a job's config.

    ``aliases`` are the different names in transformers, PEFT and TRL. ``default`` applies to a job that does
    not set it; None if it depends on the job, and ``default_words`` then says how. ``example`` is shown if
    there is no fixed default. ``where`` names the backends and devices that support it, ``methods`` the
    training methods, unless all do. ``variants`` has what differs by training method (``rule``, ``default``,
    ``help``). ``measured_by`` are the methods whose measure of held-out rows depends on it, so that a sweep
    cannot compare trials with different values. On the wire, ``passes`` accepts another backend's form that
    the rule does not know; training uses the nearest value. ``adjustable``: it can change while a job
    continues.
    """

    key: str
    field: str
    label: str
    help: str
    rule: Rule
    style: Style
    group: Group
    aliases: tuple[str, ...] = ()
    unit: str = ""
    default: Value | None = None
    default_words: str = ""
    example: Value | None = None
    where: str = EVERYWHERE
    methods: tuple[str, ...] = ()
    variants: Mapping[str, Variant] = dataclasses.field(default_factory=dict)
    measured_by: tuple[str, ...] = ()
    required: bool = False
    adjustable: bool = False
    passes: Callable[[object], bool] = lambda _: False

    def of(self, method: object) -> Setting:
        """Return the setting with the rule, default and help of a training method."""
        own = self.variants.get(method) if isinstance(method, str) else None
        return replace(self, variants={}, **own) if own else self

    def fits(self, value: object) -> bool:
        """Return whether any training method allows ``value``."""
        return self.rule.fits(value) or any(self.of(method).rule.fits(value) for method in self.variants)

    @property
    def table(self) -> str:
        """Its table in arkor.toml; empty for the ``[[trainer]]`` itself."""
        return self.key.rpartition(".")[0]

    @property
    def name(self) -> str:
        """The key inside that table."""
        return self.key.rpartition(".")[2]

    @property
    def names(self) -> tuple[str, ...]:
        """The key and its aliases, within that table."""
        return tuple(key.rpartition(".")[2] for key in (self.key, *self.aliases))

    @property
    def sample_value(self) -> Value:
        """A value to show: the default, else the example."""
        value = self.example if self.default is None else self.default
        assert value is not None, f"{self.key} has neither a default nor an example"
        return value
