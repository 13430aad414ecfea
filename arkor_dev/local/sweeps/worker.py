"""A short-lived process that calls Optuna, judges a sweep, or reads its data: only workers do such work."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from arkor_dev.local.workers.link import serve_one

from . import judging, sampler
from .held_out import held_out

if TYPE_CHECKING:
    from arkor_dev.local.workers.link import Link


def _answer(message: dict[str, Any], _: Link) -> dict[str, Any]:
    if message["do"] == "hold out":
        return {"found": {"heldOut": held_out(message["config"], Path(message["project"]))}}
    trials = [(settings, loss) for settings, loss in message["trials"]]
    if message["do"] == "ask":
        settings = sampler.ask(message["space"], message["config"], trials, message["seed"])
        return {"found": {"settings": settings}}
    answer: dict[str, Any] = {"importances": sampler.importances(message["space"], trials, message["seed"])}
    if message["start"]:
        answer["verdict"] = judging.judged(message["start"], message["winner"], message["measure"])
    return {"found": answer}


if __name__ == "__main__":
    serve_one(_answer, lambda error: f"{type(error).__name__}: {error}")
