"""The process that tokenizes data sets: it answers requests at once, and reads rows in between.

Needs no torch, and hides it from transformers: importing it would triple the time and memory.
"""

from __future__ import annotations

import importlib
import os
import queue
import sys
import threading
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from arkor_dev.local.training.job_settings import EffectiveSettings
from arkor_dev.local.training.methods import method
from arkor_dev.local.training.rows.datasets import fetched
from arkor_dev.local.training.rows.encoding import Encoding
from arkor_dev.local.workers.errors import JobFailure, out_of_memory
from arkor_dev.local.workers.link import Link

from .index import Index
from .messages import AskView, CloseView, ModelReady, OpenView, ViewAnswered, ViewFailed, ViewProgress
from .view import ReadingSettings, View

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from transformers import PreTrainedTokenizerBase

    from arkor_dev.contract.shapes import JobConfig
    from arkor_dev.data.reader import DataFile

SLICE_SECONDS: Final = 0.02
"""Maximum time in seconds that a request waits for rows being read, except for an enormous row."""
NICE: Final = 10
REST: Final = 4
"""Idle time as a multiple of reading time while a job is training."""


@dataclass(slots=True)
class Opened:
    """A requested view. Its files and its model may arrive in either order."""

    config: JobConfig
    view: View | None = None
    model: Path | None = None


@dataclass(frozen=True, slots=True)
class Imported:
    """What a tokenizer needs is imported."""


@dataclass(frozen=True, slots=True)
class FilesFound:
    """The files of the view ``id`` are on this machine."""

    id: str
    files: Sequence[DataFile]


Todo = OpenView | ModelReady | AskView | CloseView | Imported | FilesFound
"""Work from the backend, or from this process's other threads."""


class DatasetWorker:
    """All views of this process."""

    def __init__(self) -> None:
        self._opened: dict[str, Opened] = {}
        self._tokenizers: dict[Path, PreTrainedTokenizerBase] = {}
        self._todo: queue.SimpleQueue[Todo] = queue.SimpleQueue()
        self._training = self._imported = False
        self.link = Link(dict.fromkeys((OpenView, ModelReady, AskView, CloseView), self._todo.put))

    def run(self) -> None:
        """Run until standard input ends."""
        threading.Thread(target=self._import, daemon=True).start()
        due = time.monotonic()
        while True:
            # The most recently opened view is the one on screen.
            number = next((key for key in reversed(self._opened) if self._is_busy(self._opened[key])), "")
            try:
                message = self._todo.get(timeout=max(0, due - time.monotonic()) if number else None)
            except queue.Empty:
                self._guarded(number, lambda view: view.work(SLICE_SECONDS))
                due = time.monotonic() + (REST * SLICE_SECONDS if self._training else 0)
            else:
                self._take(message)

    def _is_busy(self, opened: Opened) -> bool:
        """Return whether a view has work; before its tokenizer is ready it gets one slice, since more would
        delay the import.
        """
        view = opened.view
        return view is not None and view.busy and (self._imported or len(view.index) == 0)

    def _take(self, todo: Todo) -> None:
        match todo:
            case OpenView(number, config):
                self._opened[number] = Opened(config)
                threading.Thread(target=self._find, args=(todo,), daemon=True).start()
            case Imported():
                self._imported = True
                for key in list(self._opened):
                    self._join(key)
            case FilesFound() | ModelReady() | AskView() | CloseView() if opened := self._opened.get(todo.id):
                self._take_for(todo, opened)
            # Otherwise it was closed in the meantime.

    def _take_for(self, todo: FilesFound | ModelReady | AskView | CloseView, opened: Opened) -> None:
        match todo:
            case FilesFound(number, files):
                opened.view = View(Index(files))
                self._join(number)
            case ModelReady(number, path):
                opened.model = Path(path)
                self._join(number)
            case AskView(training=training):
                self._training = training
                self._answer(todo, opened)
            case CloseView(number):
                self._close(number)

    def _import(self) -> None:
        """Import the parts of transformers that a tokenizer needs, while files are being indexed."""
        importlib.import_module("arkor_dev.local.modeling.tokenizer")
        self._todo.put(Imported())

    def _find(self, message: OpenView) -> None:
        """Find a view's files in a separate thread, downloading those that are not in the project."""
        number = message.id

        def progress(label: str, done: float, total: float | None, unit: str) -> None:
            self.link.send(ViewProgress(number, {"label": label, "done": done, "total": total, "unit": unit}))

        source, scratch = message.config["datasetSource"], Path(message.scratch)
        try:
            forms = method(EffectiveSettings(message.config).get("method")).record.forms
            files = fetched(source, Path(message.project), scratch, progress, forms)
        except JobFailure as failure:
            self._fail(number, str(failure))
        else:
            self._todo.put(FilesFound(number, files))

    def _join(self, number: str) -> None:
        """Load a view's tokenizer once its files and model are available."""
        opened = self._opened[number]
        if opened.view is None or opened.model is None or not self._imported or opened.view.reading:
            return
        path, settings = opened.model, EffectiveSettings(opened.config)

        def read(view: View) -> None:
            from arkor_dev.local.modeling.chat_template import template_arguments, with_arguments
            from arkor_dev.local.modeling.tokenizer import (
                default_length,
                likely_device,
                load_context,
                load_tokenizer,
            )

            if path not in self._tokenizers:
                self._tokenizers[path] = load_tokenizer(path)
            _lower_priority()
            context = load_context(path)
            view.read_by(
                ReadingSettings(
                    with_arguments(self._tokenizers[path], template_arguments(opened.config)),
                    method(settings.get("method")),
                    Encoding.of(
                        settings, min(settings.get("maxLength", default_length(likely_device())), context)
                    ),
                    context,
                )
            )

        self._guarded(number, read)

    def _answer(self, question: AskView, opened: Opened) -> None:
        number, view = question.number, opened.view
        if view is None:
            self.link.send(ViewAnswered(number))
            return

        def answer(view: View) -> None:
            try:
                self.link.send(ViewAnswered(number, getattr(view, question.what)(**question.fields)))
            except IndexError:
                self.link.send(ViewAnswered(number, missing=True))

        self._guarded(question.id, answer)

    def _guarded(self, number: str, work: Callable[[View], None]) -> None:
        """Use a view in the block; an exception closes only that view."""
        view = self._opened[number].view
        assert view is not None
        try:
            work(view)
        except JobFailure as failure:
            self._fail(number, str(failure))
        except Exception as error:  # noqa: BLE001 - an error in one view must not stop the others
            traceback.print_exc()
            reason = f"{type(error).__name__}: {error}"
            if out_of_memory(error):
                reason = f"The machine ran out of memory ({reason})"
            self._fail(number, reason)

    def _fail(self, number: str, reason: str) -> None:
        self.link.send(ViewFailed(number, reason))
        self._todo.put(CloseView(number))

    def _close(self, number: str) -> None:
        opened = self._opened.pop(number)
        if opened.view:
            opened.view.close()
        used = {view.model for view in self._opened.values()}
        for path in set(self._tokenizers) - used:
            del self._tokenizers[path]


def _lower_priority() -> None:
    """Lower this process's priority: reading ahead must not slow down chat, training or the page."""
    if hasattr(os, "setpriority"):
        os.setpriority(os.PRIO_PROCESS, 0, max(NICE, os.getpriority(os.PRIO_PROCESS, 0)))


if __name__ == "__main__":
    sys.modules["torch"] = None  # type: ignore[assignment] # what Python has for a module that is not to be found
    DatasetWorker().run()
