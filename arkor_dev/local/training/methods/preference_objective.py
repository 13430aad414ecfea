"""Shared parts of methods that learn from preferences: their losses, margins and figures."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

import torch

from arkor_dev.local.training.objective import Objective

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor
    from torch.nn import Module

    from arkor_dev.local.modeling.example import Example
    from arkor_dev.local.training.job_settings import MethodSettings


class PreferenceObjective(Objective):
    """Computes one loss and one margin per example. Methods implement :meth:`measured`."""

    def __init__(self, *model: Module, settings: MethodSettings, noisy: bool) -> None:
        super().__init__(*model, noisy=noisy)
        self.settings = settings
        self._noted: dict[str, list[Tensor]] = {}

    @abstractmethod
    def measured(self, rows: Sequence[Example]) -> tuple[Tensor, Tensor]:
        """Return each example's loss and its margin (positive: as preferred), both ``[rows]``."""

    def log_probabilities(self, sequences: Sequence[Example]) -> tuple[Tensor, Tensor]:
        """Return the summed log-probability of each sequence's learned tokens, and their number."""
        likely = -self.token_losses(sequences)
        counts = [sequence.learned for sequence in sequences]
        sums = torch.stack([part.sum() for part in likely.split(counts)])
        return sums, torch.tensor(counts, device=sums.device)

    def __call__(self, rows: Sequence[Example]) -> tuple[Tensor, float]:
        """Return the summed loss of ``rows``, and their number."""
        return self.measured(rows)[0].sum(), len(rows)

    def row_losses(self, rows: Sequence[Example]) -> list[tuple[float, float]]:
        """Return each example's loss, with weight 1."""
        return [(loss, 1) for loss in self._quietly(rows)[0].tolist()]

    def margins(self, rows: Sequence[Example]) -> list[float]:
        """See :meth:`Objective.margins`."""
        noted, self._noted = self._noted, {}
        margins: list[float] = self._quietly(rows)[1].tolist()
        self._noted = noted
        return margins

    def _quietly(self, rows: Sequence[Example]) -> tuple[Tensor, Tensor]:
        training = self.model.training
        self.model.eval()
        with torch.no_grad():
            losses_and_margins = self.measured(rows)
        self.model.train(training)
        return losses_and_margins

    def note(self, name: str, values: Tensor) -> None:
        """Add ``values`` to a figure's mean."""
        self._noted.setdefault(name, []).append(values.detach().reshape(-1))

    def figures(self) -> dict[str, float]:
        """Return the means over all examples since the last call; a figure without values is left out."""
        noted, self._noted = self._noted, {}
        means = {name: torch.cat(values) for name, values in noted.items()}
        return {name: float(values.mean()) for name, values in means.items() if len(values)}
