"""Interface of a training method: the rows it learns from, its loss, and the figures it reports."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from arkor_dev.data.forms import FORMS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from arkor_dev.data.forms import Form
    from arkor_dev.data.rows import Row
    from arkor_dev.local.modeling.chat_template import Rendering
    from arkor_dev.local.modeling.example import Example
    from arkor_dev.local.training.job_settings import JobSettings
    from arkor_dev.local.training.objective import Objective
    from arkor_dev.local.training.plan import Plan
    from arkor_dev.local.training.rows.encoding import Encoding


@dataclass(frozen=True, slots=True)
class Figure:
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


class Method(ABC):
    """A training method. Its module does not import torch; only :meth:`objective` does."""

    label: ClassVar[str]
    """The method's display name."""
    forms: ClassVar[Mapping[str, Form]] = FORMS
    """Accepted forms of rows, by name."""
    measure: ClassVar[Figure] = Figure("loss", "Loss", "nats per token")
    """The verdict's name for the loss of held-out rows; as a figure's name, also the first curve."""
    figures: ClassVar[tuple[Figure, ...]] = ()
    """Figures that its objective reports besides the loss."""
    preference: ClassVar[str] = ""
    """What a row with a preference is, ``pair`` or ``rating``: the verdict then counts how many of them the
    model follows more than it did at the start. Empty for other methods.
    """
    relative: ClassVar[bool] = False
    """Whether the objective's margins are already relative to the start of the run."""

    @property
    def name(self) -> str:
        """The name of its module, which ``method`` in arkor.toml selects."""
        return type(self).__module__.rpartition(".")[2]

    def check(self, settings: JobSettings) -> None:  # noqa: B027 - most methods support every setting
        """Raise :class:`JobFailure` for incompatible settings; called before rows are read."""

    @abstractmethod
    def renderings(self, tokenizer: Any, row: Row, encoding: Encoding) -> tuple[list[Rendering], list[int]]:
        """Return the texts that a row is learned from, and the indices of answers that no text teaches.

        The Data page shows these; :meth:`encode` must learn from the same.
        """

    @abstractmethod
    def encode(self, tokenizer: Any, row: Row, encoding: Encoding) -> tuple[list[Example], bool]:
        """Return the row's examples, and whether one was truncated to ``encoding.longest`` tokens.

        Raises :class:`JobFailure` with the row's location if nothing is left to learn.
        """

    def encode_all(
        self, tokenizer: Any, rows: Sequence[Row], encoding: Encoding, progress: Callable[[int], None]
    ) -> tuple[list[Example], int]:
        """Return every row's examples and how many were truncated; report ``progress`` every 100 rows."""
        examples: list[Example] = []
        cuts = 0
        for number, row in enumerate(rows, 1):
            parts, cut = self.encode(tokenizer, row, encoding)
            examples += parts
            cuts += cut
            if number % 100 == 0:
                progress(number)
        return examples, cuts

    @abstractmethod
    def objective(
        self, model: Any, device: str, dtype: Any, examples: Sequence[Example], plan: Plan
    ) -> Objective:
        """Return the objective for ``model``; ``examples`` are a few rows for trial runs."""
