"""The Python API for code that does not await: `AsyncStudio` with its event loop in a thread."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import queue
import threading
from typing import TYPE_CHECKING, Any, Self, TypeVar

from .async_studio import AsyncAdapter, AsyncRun, AsyncStudio, live_run

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Coroutine, Iterable, Iterator, Mapping
    from pathlib import Path

    from arkor_dev.contract.dataset_shapes import DataCheck
    from arkor_dev.contract.shapes import Evaluation, EvaluationPart

    from .live import LiveRun
    from .metrics import Metrics, Point

_T = TypeVar("_T")


class _Loop:
    """An event loop in its own thread: a notebook's main thread already has one."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="arkor-dev", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Run a coroutine and return its result; cancel it if the caller is interrupted."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def iterate(self, items: AsyncIterable[_T]) -> Iterator[_T]:
        """Yield the items of an asynchronous iterator, which a single task reads from beginning to end."""
        received: queue.SimpleQueue[tuple[bool, Any]] = queue.SimpleQueue()

        async def read() -> None:
            try:
                async for item in items:
                    received.put((True, item))
            finally:
                received.put((False, None))

        reading = asyncio.run_coroutine_threadsafe(read(), self._loop)
        try:
            while (received_item := received.get())[0]:
                yield received_item[1]
            reading.result()
        finally:
            reading.cancel()

    def stop(self) -> None:
        """End the loop and its thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)
            self._loop.close()


class Studio:
    """A project, given by its folder: start runs, follow them, and use what they have learned.

    >>> with Studio("my-bot", local=True) as studio:
    ...     run = studio.train(learning_rate=1e-3)
    ...     for point in run:
    ...         print(point.step, point.loss)
    ...     print(run.wait().verdict["sentence"])

    ``local`` says whether to use this machine or the managed backend; without it, whichever the project was
    last opened with. Ctrl-C while waiting for a run pauses it, if this process started it.
    """

    def __init__(self, project: str | Path = ".", *, local: bool | None = None) -> None:
        inner = AsyncStudio(project, local=local)
        self._loop = _Loop()
        try:
            self._inner = self._loop.run(inner.open())
        except BaseException:
            self._loop.stop()
            raise
        self.data = Data(self._loop, self._inner)
        atexit.register(self.close)

    def close(self) -> None:
        """Leave the backend; one that was started here pauses its jobs and ends."""
        atexit.unregister(self.close)
        try:
            self._loop.run(self._inner.close())
        finally:
            self._loop.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return repr(self._inner).removeprefix("Async")

    def train(
        self,
        trainer: str | None = None,
        *,
        model: str | None = None,
        dataset: Any = None,
        eval_dataset: Any = None,
        parent: str | None = None,
        name: str | None = None,
        dry_run: bool = False,
        **settings: Any,
    ) -> Run:
        """Start a run, and return it as soon as it is in the queue; see `AsyncStudio.train`."""
        run = self._loop.run(
            self._inner.train(
                trainer, model=model, dataset=dataset, eval_dataset=eval_dataset, parent=parent, name=name,
                dry_run=dry_run, **settings,
            )
        )  # fmt: skip
        return Run(self._loop, run, started_here=True)

    def jobs(self, *, status: str | None = None, tag: str | None = None) -> list[Run]:
        """Return the project's runs, newest first, those of a ``status`` or with a ``tag`` if given."""
        return [Run(self._loop, run) for run in self._loop.run(self._inner.jobs(status=status, tag=tag))]

    def job(self, name: str = "latest") -> Run:
        """Return a run by its id, a prefix of it, its name, or ``latest``. Raises BadRequestError."""
        return Run(self._loop, self._loop.run(self._inner.job(name)))

    def compare(self, run: Run, other: Run) -> EvaluationPart:
        """Compare two runs' adapters on the same held-out rows; see `AsyncStudio.compare`."""
        return self._loop.run(self._inner.compare(run.inner, other.inner))


class Data:
    """The project's data sets."""

    def __init__(self, loop: _Loop, studio: AsyncStudio) -> None:
        self._loop = loop
        self._inner = studio

    def check(self, source: str | None = None, *, trainer: str | None = None) -> DataCheck:
        """Check a file, or the data of a trainer of arkor.toml (None: the first); see `AsyncData.check`."""
        return self._loop.run(self._inner.data.check(source, trainer=trainer))


class Run:
    """One run. Iterating over it yields its `Point` objects, from the first to the last, as they arrive."""

    def __init__(self, loop: _Loop, inner: AsyncRun, *, started_here: bool = False) -> None:
        self._loop = loop
        self.inner = inner
        self._started_here = started_here

    @property
    def id(self) -> str:
        """The job's id."""
        return self.inner.id

    @property
    def name(self) -> str:
        """The job's name, unique in the project."""
        return self.inner.name

    def __repr__(self) -> str:
        return repr(self.inner).removeprefix("Async")

    def _repr_html_(self) -> str:
        return self._loop.run(self.inner.html())

    def live(self) -> LiveRun:
        """Return a chart for a notebook that follows the run; see `AsyncRun.live`."""
        chart = live_run(self.inner)  # here: marimo shows only what was made in the cell's own thread

        async def begin() -> None:
            self.inner.feed(chart)

        self._loop.run(begin())
        return chart

    def __iter__(self) -> Iterator[Point]:
        with self._paused_by_an_interrupt():
            yield from self._loop.iterate(self.inner)

    @property
    def details(self) -> dict[str, Any]:
        """The job as the backend describes it. Raises NotFoundError if it was deleted."""
        return self._loop.run(self.inner.details())

    @property
    def status(self) -> str:
        """``queued``, ``running``, ``paused``, ``completed``, ``failed`` or ``cancelled``."""
        return self._loop.run(self.inner.status())

    @property
    def metrics(self) -> Metrics:
        """The figures so far, as columns."""
        return self._loop.run(self.inner.metrics())

    @property
    def loss(self) -> list[float]:
        """The training losses so far, in nats per token; ``metrics`` has their steps."""
        return self.metrics.curve("loss")[1]

    @property
    def eval_loss(self) -> list[float]:
        """The losses on the held-out rows so far."""
        return self.metrics.curve("eval_loss")[1]

    @property
    def samples(self) -> list[dict[str, Any]]:
        """The answers to the sample prompts so far: ``{step, number, prompt, answer, …}``."""
        return self._loop.run(self.inner.samples())

    @property
    def verdict(self) -> dict[str, Any] | None:
        """How the adapter compares with its base; None if it has not been evaluated."""
        return self._loop.run(self.inner.verdict())

    @property
    def adapter(self) -> Adapter:
        """The final adapter."""
        return Adapter(self._loop, self.inner.adapter)

    def checkpoint(self, step: int) -> Adapter:
        """Return the adapter as it was after ``step``."""
        return Adapter(self._loop, self.inner.checkpoint(step))

    def wait(self) -> Self:
        """Wait until the run has ended or was paused by a person. Raises RunFailedError with the reason."""
        with self._paused_by_an_interrupt():
            self._loop.run(self.inner.wait())
        return self

    def evaluate(self, *, step: int | None = None, data: str | None = None) -> Evaluation:
        """Compare the adapter with its base again, on the held-out rows or those of ``data``."""
        return self._loop.run(self.inner.evaluate(step=step, data=data))

    def pause(self) -> Self:
        """Pause after the current step."""
        self._loop.run(self.inner.pause())
        return self

    def resume(self) -> Self:
        """Resume after the step at which it was paused."""
        self._loop.run(self.inner.resume())
        return self

    def extend(self, *, steps: int | None = None, epochs: float | None = None) -> Self:
        """Continue a finished run until ``steps`` or ``epochs`` in all."""
        self._loop.run(self.inner.extend(steps=steps, epochs=epochs))
        return self

    def cancel(self) -> Self:
        """End the run without its result."""
        self._loop.run(self.inner.cancel())
        return self

    @contextlib.contextmanager
    def _paused_by_an_interrupt(self) -> Iterator[None]:
        try:
            yield
        except KeyboardInterrupt:
            if self._started_here:
                with contextlib.suppress(Exception):  # the caller must see the interrupt
                    self.pause()
            raise


class Adapter:
    """A run's result: its final adapter, or that of a checkpoint."""

    def __init__(self, loop: _Loop, inner: AsyncAdapter) -> None:
        self._loop = loop
        self._inner = inner

    def chat(
        self,
        messages: str | Iterable[Mapping[str, Any]],
        *,
        system: str | None = None,
        stream: bool = False,
        **options: Any,
    ) -> Any:
        """Return the answer, or with ``stream`` an iterator of its parts; see `AsyncAdapter.chat`."""
        if stream:
            return self._loop.iterate(self._inner.stream(messages, system=system, **options))
        return self._loop.run(self._inner.chat(messages, system=system, **options))

    def export(
        self,
        form: str = "adapter",
        out: str | Path | None = None,
        *,
        quantization: str | None = None,
        strength: float = 1.0,
        replace: bool = False,
    ) -> Path:
        """Write the result for other programs, and return the folder; see `AsyncAdapter.export`."""
        return self._loop.run(
            self._inner.export(form, out, quantization=quantization, strength=strength, replace=replace)
        )
