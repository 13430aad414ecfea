"""The events of a run: the metadata it starts with, and the observers in the worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from arkor_dev.local.checkpoints.origin import facts_of

from .methods.interface import Method

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .methods.interface import Figure

    Observer = Callable[[str, Mapping[str, Any]], None]
    """Receives events by name and fields."""


def metadata_of(run: Any) -> dict[str, Any]:
    """Return the facts of a ``training.run.Run`` that has created its model."""
    figures = [*run.method.figures, *run.loss.more_figures()]
    return {
        "totalSteps": run.plan.steps,
        "epochs": round(run.plan.steps / run.plan.per_epoch, 4),
        "device": run.base.device,
        "dtype": run.choice.name,
        "dtypeReason": run.choice.reason,
        "trainRows": run.rows["train"],
        "evalRows": run.rows["heldOut"],
        "trainableParameters": sum(weight.numel() for weight in run.trainable),
        "model": run.base_name,
        "settings": dict(run.settings),
        **({"figures": [_figure_fields(figure) for figure in figures]} if figures else {}),
        **({"measure": _figure_fields(run.method.measure)} if run.method.measure != Method.measure else {}),
        **({"modelNote": run.base_note} if run.base_note else {}),
        **facts_of(run.origin()),
    }


def _figure_fields(figure: Figure) -> dict[str, str]:
    return {"name": figure.name, "label": figure.label, "unit": figure.unit}


class RunEvents:
    """Sends events when called. ``send(name, fields)`` passes one to the backend.

    ``observers`` are called in order after each event is sent. An observer that sends events itself must be
    the last, so that the others see events in the order sent.
    """

    def __init__(self, send: Observer, *observers: Observer) -> None:
        self._send = send
        self.observers = list(observers)

    def __call__(self, name: str, **fields: Any) -> None:
        self._send(name, fields)
        for observe in self.observers:
            observe(name, fields)
