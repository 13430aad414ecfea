"""Interface of a training method: the rows it learns from, its loss, and the figures it reports."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Literal

from arkor_dev.data.methods import record_of
from arkor_dev.local.evaluation.stage import Stage
from arkor_dev.local.training.figure import MethodFigure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import torch
    from torch.nn import Module
    from transformers import PreTrainedTokenizerBase

    from arkor_dev.data.methods.record import MethodRecord
    from arkor_dev.data.rows import Row
    from arkor_dev.local.modeling.chat_template import Rendering
    from arkor_dev.local.modeling.classes import Classes
    from arkor_dev.local.modeling.example import Example
    from arkor_dev.local.training.job_settings import EffectiveSettings
    from arkor_dev.local.training.objective import Objective
    from arkor_dev.local.training.plan import Plan
    from arkor_dev.local.training.rows.encoding import Encoding


class Method(ABC):
    """A training method. Its folder's ``__init__`` does not import torch; only :meth:`objective` does."""

    measure: ClassVar[MethodFigure] = MethodFigure("loss", "Loss", "nats per token")
    """The verdict's name for the loss of held-out rows; as a figure's name, also the first curve."""
    figures: ClassVar[tuple[MethodFigure, ...]] = ()
    """Figures that its objective reports besides the loss."""
    relative: ClassVar[bool] = False
    """Whether the objective's margins are already relative to the start of the run."""
    traceable: ClassVar[bool] = False
    """Whether its loss is a sum over rows, so that an answer can be traced to the rows that taught it."""
    in_batch: ClassVar[bool] = False
    """Whether a row's loss depends on the other rows of its batch, as with in-batch negatives."""

    learns: ClassVar[Literal["tokens", "sampled", "texts"]] = "tokens"
    """What it learns of a row: tokens of its texts, an answer sampled to its prompt, or texts as a whole."""
    answers: ClassVar[bool] = True
    """Whether its model answers in words: otherwise there are no samples and no general questions."""
    encoders: ClassVar[bool] = False
    """Whether it also trains encoders, such as BERT, which write no text."""
    stage: ClassVar[type[Stage]] = Stage
    """How held-out rows are measured, and the model compared with its base."""

    @property
    def name(self) -> str:
        """The name of its folder, which ``method`` in arkor.toml selects."""
        return type(self).__module__.rpartition(".")[2]

    @property
    def record(self) -> MethodRecord:
        """What Studio knows of it, too: its label, and the rows that it learns from."""
        return record_of(self.name)

    def check(self, settings: EffectiveSettings) -> None:  # noqa: B027 - most methods support every setting
        """Raise :class:`JobFailure` for incompatible settings; called before rows are read."""

    def check_rows(self, rows: Sequence[Row], settings: EffectiveSettings) -> None:  # noqa: B027 - most take any
        """Raise :class:`JobFailure` for rows, of training and held out, that do not fit the settings."""

    def classes(
        self, train: Sequence[Row], held_out: Sequence[Row], settings: EffectiveSettings
    ) -> Classes | None:
        """Return the classes that a new head of the model tells apart; None for a method whose model answers
        in words.

        With classes there are no samples and no general questions, and the verdict is about labels. Raises
        :class:`JobFailure` if nothing can be learned from the rows.
        """
        return None

    @abstractmethod
    def renderings(
        self, tokenizer: PreTrainedTokenizerBase, row: Row, encoding: Encoding
    ) -> tuple[list[Rendering], list[int]]:
        """Return the texts that a row is learned from, and the indices of answers that no text teaches.

        The Data page shows these; :meth:`encode` must learn from the same.
        """

    @abstractmethod
    def encode(
        self, tokenizer: PreTrainedTokenizerBase, row: Row, encoding: Encoding
    ) -> tuple[list[Example], bool]:
        """Return the row's examples, and whether one was truncated to ``encoding.longest`` tokens.

        Raises :class:`JobFailure` with the row's location if nothing is left to learn.
        """

    def encode_all(
        self,
        tokenizer: PreTrainedTokenizerBase,
        rows: Sequence[Row],
        encoding: Encoding,
        progress: Callable[[int], None],
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
        self, model: Module, device: str, dtype: torch.dtype, examples: Sequence[Example], plan: Plan
    ) -> Objective:
        """Return the objective for ``model``; ``examples`` are the training rows, or some of them if
        nothing is trained.
        """
