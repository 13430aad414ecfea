"""What a training method is: which rows it learns from, its loss, and the figures it reports."""

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
    """A number that a method reports beside its loss.

    ``name`` is its field in ``training.log``, in camel case; that of the held-out rows begins with ``eval``:
    ``rewardMargin``, ``evalRewardMargin``. ``label`` names it on the chart, ``unit`` follows its values.
    """

    name: str
    label: str
    unit: str = ""


class Method(ABC):
    """A way of learning from rows. The module has no torch; :meth:`objective` imports it."""

    label: ClassVar[str]
    """The method's name for a person."""
    forms: ClassVar[Mapping[str, Form]] = FORMS
    """The forms of rows that it takes, by name."""
    measure: ClassVar[Figure] = Figure("loss", "Loss", "nats per token")
    """How the verdict names the loss by which held-out rows are compared."""
    figures: ClassVar[tuple[Figure, ...]] = ()
    """What its objective reports besides the loss."""

    @property
    def name(self) -> str:
        """The name of its module, which ``method`` in arkor.toml selects."""
        return type(self).__module__.rpartition(".")[2]

    def check(self, settings: JobSettings) -> None:  # noqa: B027 - most methods go with every setting
        """Raise :class:`JobFailure` for settings that the method does not go with; before rows are read."""

    @abstractmethod
    def renderings(self, tokenizer: Any, row: Row, encoding: Encoding) -> tuple[list[Rendering], list[int]]:
        """Return the texts that a row is learned from, and the indices of answers that none of them teaches.

        The Data page shows these; :meth:`encode` must learn from the same.
        """

    @abstractmethod
    def encode(self, tokenizer: Any, row: Row, encoding: Encoding) -> tuple[list[Example], bool]:
        """Return the row's examples, and whether one of them was cut to ``encoding.longest`` tokens.

        Raises :class:`JobFailure` with the row's location where nothing is left to learn from.
        """

    def encode_all(
        self, tokenizer: Any, rows: Sequence[Row], encoding: Encoding, progress: Callable[[int], None]
    ) -> tuple[list[Example], int]:
        """Return every row's examples, and how many rows were cut; ``progress`` hears of each hundred."""
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
        """Return what measures ``model`` on batches of examples; some ``examples`` are given to try it on."""
