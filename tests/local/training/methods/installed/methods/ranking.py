"""A training method of the tests alone: a good answer is to be likelier than a bad one, by its mean token.

Its loss is a reward model's on the answers' mean log probabilities: ``-log sigmoid(BETA * (good - bad))``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from arkor_dev.local.training.figure import MethodFigure
from arkor_dev.local.training.methods.interface import Method
from arkor_dev.local.training.objective import Objective
from arkor_dev.local.training.rows.encoding import encode, rendered

BETA = 2.0


class RankingLoss(Objective):
    def __init__(self, *model: Any, noisy: bool) -> None:
        super().__init__(*model, noisy=noisy)
        self._margins: list[Any] = []

    def _losses(self, rows: Any) -> Any:
        sequences = [sequence for row in rows for sequence in row.sequences]
        logits, targets = self.logits(sequences)
        likely = logits.float().log_softmax(-1).gather(1, targets[:, None]).squeeze(1)
        means = [part.mean() for part in likely.split([sequence.learned for sequence in sequences])]
        margins = torch.stack(means[::2]) - torch.stack(means[1::2])
        self._margins.append(margins.detach())
        return torch.nn.functional.softplus(-BETA * margins)

    def __call__(self, rows: Any) -> tuple[Any, float]:
        return self._losses(rows).sum(), len(rows)

    def row_losses(self, rows: Any) -> list[tuple[float, float]]:
        training = self.model.training
        self.model.eval()
        with torch.no_grad():
            losses = self._losses(rows).tolist()
        self.model.train(training)
        return [(loss, 1) for loss in losses]

    def figures(self) -> dict[str, float]:
        margins, self._margins = torch.cat(self._margins), []
        return {"margin": float(margins.mean()), "accuracy": float((margins > 0).float().mean())}


class Ranking(Method):
    measure = MethodFigure("loss", "Ranking loss", "nats")
    figures = (MethodFigure("margin", "Margin", "nats"), MethodFigure("accuracy", "Accuracy"))

    def _both(self, row: Any) -> Any:
        return row, replace(row, messages=[row.messages[0], {**row.messages[1], "content": row.extra["bad"]}])

    def renderings(self, tokenizer: Any, row: Any, encoding: Any) -> Any:
        good, bad = (rendered(tokenizer, each, encoding)[0] for each in self._both(row))
        return good + bad, []

    def encode(self, tokenizer: Any, row: Any, encoding: Any) -> Any:
        ((good,), cut), ((bad,), cut_too) = (encode(tokenizer, each, encoding) for each in self._both(row))
        return [replace(good, others=(bad,), counts=1)], cut or cut_too

    def objective(self, model: Any, device: str, dtype: Any, examples: Any, plan: Any) -> RankingLoss:
        return RankingLoss(model, device, dtype, examples, noisy=plan.noise > 0)


METHOD = Ranking()
