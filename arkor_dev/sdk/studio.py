"""The Python API for code that does not await: `AsyncStudio` with its loop in a thread.

Generated from ``async_studio`` by ``scripts/generate.py``. Not edited by hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self, Unpack

from .async_studio import AsyncAdapter, AsyncData, AsyncEndpoint
from .blocking import Blocking, BlockingRun, BlockingStudio

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from arkor_dev.contract.dataset_shapes import DataCheck
    from arkor_dev.contract.events import SampleCreated, VerdictSoFar
    from arkor_dev.contract.export_formats import ExportForm
    from arkor_dev.contract.shapes import Deployment, EvaluationPart, Export, Job, JobStatus

    from .async_studio import Verdict
    from .metrics import Metrics
    from .requests import Dataset
    from .training_settings import TrainingSettings


class Studio(BlockingStudio):
    """A project, given by its folder; use it as ``with Studio() as studio:``.

    ``local`` says whether to use this machine or the managed backend; without it, whichever the project was
    last opened with; it is remembered. Raises ArkorError if the backend cannot be reached.
    """

    @property
    def data(self) -> Data:
        """The project's data sets."""
        return Data(self._loop, self.inner.data)

    @property
    def project(self) -> Path:
        """The project's folder."""
        return self.inner.project

    def train(
        self,
        trainer: str | None = None,
        *,
        model: str | None = None,
        dataset: Dataset | None = None,
        eval_dataset: Dataset | None = None,
        parent: str | None = None,
        name: str | None = None,
        dry_run: bool = False,
        **settings: Unpack[TrainingSettings],
    ) -> Run:
        """Start a run, and return it as soon as it is in the queue.

        ``trainer`` names one of arkor.toml (with neither it nor a ``model``: the first). ``model``,
        ``dataset`` and ``settings`` override it, or are used without it; a ``dataset`` is a list of rows, or
        what arkor.toml takes. ``parent`` is ``JOB`` or ``JOB:STEP``, whose adapter the run begins with, and
        whose model and LoRA settings it takes over. Raises BadRequestError for settings that are not allowed
        and rows that cannot be trained on.
        """
        found = self._loop.run(
            self.inner.train(
                trainer,
                model=model,
                dataset=dataset,
                eval_dataset=eval_dataset,
                parent=parent,
                name=name,
                dry_run=dry_run,
                **settings,
            )
        )
        return Run(self._loop, found)

    def jobs(self, *, status: JobStatus | None = None, tag: str | None = None) -> list[Run]:
        """Return the project's runs, newest first, those of a ``status`` or with a ``tag`` if given."""
        found = self._loop.run(self.inner.jobs(status=status, tag=tag))
        return [Run(self._loop, each) for each in found]

    def job(self, name: str = "latest") -> Run:
        """Return a run by its id, a prefix of it, its name, or ``latest``. Raises BadRequestError."""
        found = self._loop.run(self.inner.job(name))
        return Run(self._loop, found)

    def endpoints(self) -> list[Endpoint]:
        """Return the project's endpoints, which other programs call."""
        found = self._loop.run(self.inner.endpoints())
        return [Endpoint(self._loop, each) for each in found]

    def endpoint(self, name: str) -> Endpoint:
        """Return an endpoint by its name. Raises BadRequestError."""
        found = self._loop.run(self.inner.endpoint(name))
        return Endpoint(self._loop, found)

    def compare(self, run: Run, other: Run) -> EvaluationPart:
        """Compare two runs' adapters on the same held-out rows; evaluate them first if need be.

        Raises ArkorError if they cannot be compared.
        """
        return self._loop.run(self.inner.compare(run.inner, other.inner))


class Data(Blocking[AsyncData]):
    """The project's data sets."""

    def check(self, source: str | None = None, *, trainer: str | None = None) -> DataCheck:
        """Check a file, or the data of a trainer of arkor.toml (None: the first), for errors and oddities.

        Returns ``{rows, files, findings, leftOut}``. Raises BadRequestError for no such file or trainer.
        """
        return self._loop.run(self.inner.check(source, trainer=trainer))


class Run(BlockingRun):
    """One run. Iterating over it yields its `Point` objects, from the first to the last, as they arrive."""

    @property
    def id(self) -> str:
        """The job's id."""
        return self.inner.id

    @property
    def name(self) -> str:
        """The job's name, unique in the project."""
        return self.inner.name

    @property
    def adapter(self) -> Adapter:
        """The final adapter; ``run.checkpoint(step)`` is that of a checkpoint."""
        return Adapter(self._loop, self.inner.adapter)

    def checkpoint(self, step: int) -> Adapter:
        """Return the adapter as it was after ``step``."""
        found = self.inner.checkpoint(step)
        return Adapter(self._loop, found)

    @property
    def details(self) -> Job:
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
        return self._loop.run(self.inner.loss())

    @property
    def eval_loss(self) -> list[float]:
        """The losses on the held-out rows so far."""
        return self._loop.run(self.inner.eval_loss())

    @property
    def verdict_so_far(self) -> VerdictSoFar | None:
        """How the adapter of the last evaluation compares with its base; None if none was compared."""
        return self._loop.run(self.inner.verdict_so_far())

    @property
    def samples(self) -> list[SampleCreated]:
        """The answers to the sample prompts so far."""
        return self._loop.run(self.inner.samples())

    @property
    def verdict(self) -> Verdict | None:
        """How the adapter compares with its base; None if it has not been evaluated."""
        return self._loop.run(self.inner.verdict())

    def evaluate(self, *, step: int | None = None, data: str | None = None) -> Verdict:
        """Compare the adapter, or the checkpoint of ``step``, with the base again, and return the verdict.

        ``data`` is a file of the project with other rows than the held-out ones.
        """
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


class Adapter(Blocking[AsyncAdapter]):
    """A run's result: its final adapter, or that of a checkpoint."""

    def stream(
        self,
        messages: str | Iterable[Mapping[str, object]],
        *,
        system: str | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        max_tokens: int | None = None,
        strength: float | None = None,
    ) -> Iterator[str]:
        """Yield the answer as it arrives; see `chat`."""
        return self._loop.iterate(
            self.inner.stream(
                messages,
                system=system,
                temperature=temperature,
                top_p=top_p,
                max_tokens=max_tokens,
                strength=strength,
            )
        )

    def chat(
        self,
        messages: str | Iterable[Mapping[str, object]],
        *,
        system: str | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        max_tokens: int | None = None,
        strength: float | None = None,
    ) -> str:
        """Return the answer to a question or a conversation (``[{"role": …, "content": …}, …]``).

        ``strength`` is the adapter's, from 0, the base model, to 1.5. `stream` yields the answer in parts.
        """
        return self._loop.run(
            self.inner.chat(
                messages,
                system=system,
                temperature=temperature,
                top_p=top_p,
                max_tokens=max_tokens,
                strength=strength,
            )
        )

    def endpoint(self, name: str | None = None, *, open_to_all: bool = False) -> Endpoint:
        """Create an OpenAI-compatible endpoint that serves this adapter to other programs.

        ``name`` is by default made of the run's. Callers need its ``key``, unless it is ``open_to_all``.
        Raises BadRequestError or ConflictError for what cannot be served.
        """
        found = self._loop.run(self.inner.endpoint(name, open_to_all=open_to_all))
        return Endpoint(self._loop, found)

    def export(
        self,
        form: ExportForm = "adapter",
        out: str | Path | None = None,
        *,
        quantization: str | None = None,
        strength: float = 1.0,
        replace: bool = False,
    ) -> Path:
        """Write the result for other programs, and wait for the proof that they answer like the model.

        ``form`` is ``adapter``, ``merged``, ``gguf``, ``gguf-lora`` or ``ollama``. ``out`` is a new folder,
        in the current one if None. Returns it. Raises RunFailedError if the files are not the trained model.
        """
        return self._loop.run(
            self.inner.export(form, out, quantization=quantization, strength=strength, replace=replace)
        )

    def exported(
        self,
        form: str,
        target: Path,
        *,
        quantization: str | None = None,
        strength: float = 1.0,
        progress: Callable[[str], None] = lambda _: None,
    ) -> Export:
        """Write the result into ``target``, of `target_of`; return the backend's record and its proof.

        ``progress`` gets a line for each change. Raises RunFailedError if the files are another model.
        """
        return self._loop.run(
            self.inner.exported(form, target, quantization=quantization, strength=strength, progress=progress)
        )


class Endpoint(Blocking[AsyncEndpoint]):
    """An endpoint: an adapter or model that other programs call by OpenAI's API."""

    @property
    def name(self) -> str:
        """Its name, which is also that of its model."""
        return self.inner.name

    @property
    def key(self) -> str | None:
        """Its API key if it was created now with one; it is shown only then."""
        return self.inner.key

    @property
    def details(self) -> Deployment:
        """The endpoint as the backend describes it. Raises NotFoundError if it was deleted."""
        return self._loop.run(self.inner.details())

    @property
    def base_url(self) -> str:
        """The address for a client of OpenAI's API.

        Raises BadRequestError if no open Studio serves it.
        """
        return self._loop.run(self.inner.base_url())

    def new_key(self, label: str = "Python") -> str:
        """Create another API key, and return it: it is shown only now."""
        return self._loop.run(self.inner.new_key(label))

    def turn_on(self) -> Self:
        """Have it answer requests."""
        self._loop.run(self.inner.turn_on())
        return self

    def turn_off(self) -> Self:
        """Have it refuse requests."""
        self._loop.run(self.inner.turn_off())
        return self

    def delete(self) -> None:
        """Delete it with its keys and its log."""
        self._loop.run(self.inner.delete())
