"""Resolves a base model's name to a folder: the backend's side, with one download per model at a time.

A name is a folder (in the project or elsewhere), the starter model, or a model hub's id. Folders and cached
models are returned immediately. All others are downloaded by a child process (``worker``), whose progress is
sent to every waiting job and chat.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from arkor_dev.local.workers.codec import Message
from arkor_dev.local.workers.errors import JobFailure
from arkor_dev.local.workers.process import Child

from .messages import FetchModel, ModelFetched

if TYPE_CHECKING:
    from collections.abc import Callable

    from arkor_dev.contract.shapes import Progress

    Report = Callable[[Progress], None]

log = logging.getLogger(__name__)

STARTER: Final = "HuggingFaceTB/SmolLM2-135M-Instruct"
STARTER_FOLDER: Final = "smollm2-135m-instruct"
STARTER_NOTE: Final = (
    "SmolLM2-135M-Instruct comes from the package index: its weights were dequantized "
    "from 4 bits, and are slightly less accurate than the Hub's"
)
"""Note about the starter model from the package index, which has its own folder."""
PICKLES: Final = frozenset({".bin", ".pt", ".pth", ".ckpt", ".pkl"})
PICKLED: Final = (
    "its weights are pickled ({}), and loading such a file can run any program. If you "
    "trust them, convert them to safetensors first (transformers' save_pretrained does that), or choose "
    "a model with model.safetensors"
)
HUB_ID: Final = re.compile(r"[\w.-]+(/[\w.-]+)?")


@dataclass(frozen=True)
class Model(Message):
    """A base model on this machine. ``note`` is information for the user about its weights.

    It is also the message that tells a worker where its model is, and the ``second`` one that its training
    method needs, if any.
    """

    name: str
    path: Path
    note: str | None = None
    second: Path | None = None


def portable_name(name: str) -> str:
    """Return the portable name of a base model for adapters, without this machine's folders."""
    if name.startswith(("/", "~")) or ".." in Path(name).parts:
        return Path(name).name
    return name


def is_starter(name: str) -> bool:
    """Return whether ``name`` is the starter model's short name or its hub id, in any case."""
    return name.strip().lower() in {STARTER.lower(), STARTER_FOLDER}


def starter_folder(cache: Path) -> Path:
    return cache / "models" / STARTER_FOLDER


def starter_gguf(cache: Path) -> Path:
    """Return the starter model's GGUF file from the package index, for llama.cpp."""
    return cache / "gguf" / f"{STARTER_FOLDER}-q4_1.gguf"


def pickled_weights(folder: Path) -> str | None:
    """Return the name of a pickled weights file, which is executable code, if there are no other weights."""
    if any(folder.glob("*.safetensors")):
        return None
    return next((path.name for path in sorted(folder.glob("*")) if path.suffix in PICKLES), None)


def load_problem(folder: Path) -> str | None:
    """Return why a model folder cannot be loaded; None if it can."""
    for path in sorted(folder.glob("*")):
        if path.exists() and not (path.is_file() or path.is_dir()):
            return f"{path.name} is not a regular file"
    if not (folder / "config.json").is_file():
        return "it has no config.json"
    pickled = pickled_weights(folder)
    if pickled:
        return PICKLED.format(pickled)
    if not any(folder.glob("*.safetensors")):
        return "it has no weights (*.safetensors)"
    if not any((*folder.glob("tokenizer*"), *folder.glob("*.model"), *folder.glob("vocab.*"))):
        return "it has no tokenizer"
    return None


@dataclass(eq=False)
class _Fetch:
    """A running download and all that wait for it."""

    task: asyncio.Task[Model]
    listeners: list[Report] = field(default_factory=list)
    last: Progress | None = None


class Models:
    """Finds and downloads base models for one project."""

    def __init__(self, project: Path, cache: Path) -> None:
        self._project = project
        self._cache = cache
        self._resolved: dict[str, Model] = {}
        self._fetches: dict[str, _Fetch] = {}

    def find_local(self, name: str) -> Model | None:
        """Return a model that needs no download, or None. Raises JobFailure for a folder without a model."""
        resolved = self._resolved.get(STARTER if is_starter(name) else name)
        if resolved and resolved.path.is_dir():
            return resolved
        if is_starter(name):
            folder = starter_folder(self._cache)
            return Model(STARTER, folder, STARTER_NOTE) if load_problem(folder) is None else None
        folder = self._project / Path(name).expanduser()
        looks_like_path = name.startswith((".", "/", "~")) or not HUB_ID.fullmatch(name)
        if folder.is_dir():
            missing = load_problem(folder)
            if missing is None:
                return Model(name, folder.resolve())
            raise JobFailure(
                f"The folder {name} doesn't hold a model for this backend: {missing}. "
                "Name a folder in Hugging Face's format"
            )
        if looks_like_path:
            raise JobFailure(
                f"Model folder not found: {name}. Check the path, or name the starter model {STARTER_FOLDER}"
            )
        return None

    async def ensure(self, name: str, progress: Report) -> Model:
        """Return the model, downloading it if needed. Raises JobFailure. The download is cancelled with its
        last waiter.
        """
        model = self.find_local(name)
        if model:
            return model
        key = STARTER if is_starter(name) else name
        fetch = self._fetches.get(key)
        if fetch is None:
            fetch = self._fetches[key] = _Fetch(asyncio.create_task(self._fetch(key)))
        fetch.listeners.append(progress)
        if fetch.last:
            progress(fetch.last)
        try:
            return await asyncio.shield(fetch.task)
        finally:
            fetch.listeners.remove(progress)
            if not fetch.listeners:
                fetch.task.cancel()
                self._fetches.pop(key, None)

    async def close(self) -> None:
        """End every download."""
        tasks = [fetch.task for fetch in self._fetches.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _fetch(self, name: str) -> Model:
        async with Child.running("arkor_dev.local.models.worker") as child:
            child.send(FetchModel(name, name == STARTER, self._cache))
            report = functools.partial(self._report, name)
            path = (await child.result(ModelFetched, f"Preparing the model {name}", report)).path
        note = STARTER_NOTE if path == starter_folder(self._cache) else None
        model = self._resolved[name] = Model(name, path, note)
        return model

    def _report(self, name: str, progress: Progress) -> None:
        fetch = self._fetches.get(name)
        if fetch:
            fetch.last = progress
            for listener in list(fetch.listeners):
                listener(progress)
