"""A project's runs from Python, as coroutines: the client of the backend's contract.

It joins the backend of an open Studio or starts one, as the commands do. A local backend that was started
here ends with it: its jobs are paused, and resume when the project is opened again.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from contextlib import AsyncExitStack, aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self, TypeVar, Unpack, cast, get_args

from arkor_dev.client.background_work import export_words
from arkor_dev.client.creation import create, name_for
from arkor_dev.client.endpoints import (
    SERVING,
    adapter_of,
    create_endpoint,
    deployment_of,
    deployments_of,
    new_key,
    value_of,
)
from arkor_dev.client.evaluation import compared, evaluated
from arkor_dev.client.exports import (
    SAME,
    fetch,
    finished,
    order,
    replace_folder,
    request_of,
    target_of,
    temporary_folder_beside,
)
from arkor_dev.client.features import features_of
from arkor_dev.client.following import followed, watch
from arkor_dev.client.job_list import choose_job, jobs_of
from arkor_dev.client.repetition import parent_of
from arkor_dev.client.which_backend import remember, settings_for
from arkor_dev.connection.connect import joined
from arkor_dev.contract import events
from arkor_dev.contract.deployments import base_url, managed_url
from arkor_dev.contract.errors import ArkorError, BackendError, BadRequestError
from arkor_dev.contract.extras import install_command
from arkor_dev.contract.shapes import TERMINAL, Deployment, Evaluation, JobStatus
from arkor_dev.core.plain_text import one_line, slug_of
from arkor_dev.core.settings import Settings
from arkor_dev.jobs.figures import history, rows_of
from arkor_dev.jobs.follow import APPEARS_WITHIN, JobEvent, job_of, read_event
from arkor_dev.jobs.sse_frames import FrameSplitter, frames_in
from arkor_dev.project.arkor_toml import choose, load_trainers
from arkor_dev.project.data_check import check_path, check_trainer
from arkor_dev.server.open_studios import session_of

from .chart import html_of
from .metrics import Metrics, Point, point_of
from .requests import config_of, has_trainers, messages_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping

    from arkor_dev.backend.client import Backend
    from arkor_dev.contract.dataset_shapes import DataCheck
    from arkor_dev.contract.events import SampleCreated, VerdictSoFar
    from arkor_dev.contract.export_formats import ExportForm
    from arkor_dev.contract.shapes import EvaluationPart, Export, Job

    from .live import LiveRun
    from .requests import Dataset
    from .training_settings import TrainingSettings

_M = TypeVar("_M")
Verdict = Evaluation
"""How an adapter compares with its base."""
CHART_SECONDS: Final = 10.0
"""How long a chart of an ended run may take to show its end."""
MOST_ANSWER_BYTES: Final = 32 * 2**20
"""Maximum number of bytes of one model answer."""


def a_property(method: _M) -> _M:
    """Mark a coroutine that is a property of the synchronous API (``scripts/generate.py``)."""
    return method


class RunFailedError(ArkorError):
    """A run has failed; its text is the reason."""

    status = 409
    code = "run_failed"


class AsyncStudio:
    """A project, given by its folder; use it as ``async with AsyncStudio() as studio:``.

    ``local`` says whether to use this machine or the managed backend; without it, whichever the project was
    last opened with; it is remembered. Raises ArkorError if the backend cannot be reached.
    """

    data: AsyncData
    """The project's data sets."""

    def __init__(self, project: str | Path = ".", *, local: bool | None = None) -> None:
        folder = Path(project)
        if not folder.is_dir():
            raise BadRequestError(f"{folder} is not a folder. Name the project's folder.")
        settings = Settings.from_environment(os.environ, folder, local=bool(local))
        if local is None:
            settings = settings_for(settings, [], anywhere=False)[0]
        else:
            remember(settings)
        self._prepare(settings)

    @classmethod
    def of(cls, settings: Settings, *, idle: bool = False) -> Self:
        """Return the Studio of a launch; a backend that it starts runs no jobs if it is ``idle``."""
        studio = cls.__new__(cls)
        studio._prepare(settings, idle=idle)  # noqa: SLF001 (its own class)
        return studio

    def _prepare(self, settings: Settings, *, idle: bool = False) -> None:
        self._settings = settings
        self._idle = idle
        self._stack = AsyncExitStack()
        self._backend: Backend | None = None
        self._charts: dict[asyncio.Task[None], AsyncRun] = {}
        self.data = AsyncData(self)

    @property
    def project(self) -> Path:
        """The project's folder."""
        return self._settings.project

    @property
    def backend(self) -> Backend:
        """The backend's client. Raises BadRequestError if this is not open."""
        if self._backend is None:
            raise BadRequestError("This Studio is closed. Use it inside `with Studio() as studio:`.")
        return self._backend

    async def open(self) -> Self:
        """Join the project's backend, or start one."""
        self._backend = await self._stack.enter_async_context(
            joined(self._settings, lambda _: None, idle=self._idle)
        )
        return self

    async def close(self) -> None:
        """Leave the backend; one that was started here pauses its jobs and ends."""
        await self._end_charts()
        self._backend = None
        await self._stack.aclose()

    async def address_of(self, endpoint: str) -> str:
        """Return the address of an endpoint. Raises BadRequestError if no open Studio serves it."""
        if SERVING not in await features_of(self.backend):
            return managed_url(endpoint)
        session = await asyncio.to_thread(session_of, self._settings)
        if session is None:
            raise BadRequestError(
                f"Nothing serves the endpoint {endpoint} now. Open Studio on the project, or run: "
                f"arkor-dev serve {endpoint} --local"
            )
        return base_url(session.port, endpoint)

    def keep(self, chart: asyncio.Task[None], run: AsyncRun) -> None:
        """Keep a reference to a task that feeds a chart of ``run``, until it is done; `close` ends it."""
        self._charts[chart] = run
        chart.add_done_callback(lambda done: self._charts.pop(done, None))

    async def _end_charts(self) -> None:
        """Let charts of ended runs show their verdict, which they read after the caller; cancel the rest."""
        charts = dict(self._charts)
        for task, run in charts.items():
            try:
                async with asyncio.timeout(CHART_SECONDS):
                    if await run.status() in TERMINAL:
                        await asyncio.wait({task})
            except (ArkorError, TimeoutError):
                pass
            task.cancel()
        await asyncio.gather(*charts, return_exceptions=True)

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def train(
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
    ) -> AsyncRun:
        """Start a run, and return it as soon as it is in the queue.

        ``trainer`` names one of arkor.toml (with neither it nor a ``model``: the first). ``model``,
        ``dataset`` and ``settings`` override it, or are used without it; a ``dataset`` is a list of rows, or
        what arkor.toml takes. ``parent`` is ``JOB`` or ``JOB:STEP``, whose adapter the run begins with, and
        whose model and LoRA settings it takes over. Raises BadRequestError for settings that are not allowed
        and rows that cannot be trained on.
        """
        begin = None if parent is None else await parent_of(self.backend, parent)
        chosen = None
        if trainer is not None or (model is None and (begin is None or has_trainers(self.project))):
            chosen = choose(await asyncio.to_thread(load_trainers, self.project), trainer)
        config = await asyncio.to_thread(
            config_of, self.project, chosen, model=model, dataset=dataset, eval_dataset=eval_dataset,
            settings=settings, dry_run=dry_run, parent=None if begin is None else begin.job,
        )  # fmt: skip
        run_name = name or (chosen["name"] if chosen else slug_of(str(config["model"]).rpartition("/")[2]))
        return await self.start(run_name, config, None if begin is None else begin.request())

    async def start(
        self, name: str, config: dict[str, object], begin: dict[str, object] | None = None
    ) -> AsyncRun:
        """Start a planned run, under the next free name, and return it as soon as it is in the queue."""
        free_name = await name_for(self.backend, name)
        job = await create(self.backend, self._settings, free_name, config, begin)
        return AsyncRun(self, job.id, job.name, started_here=True)

    async def jobs(self, *, status: JobStatus | None = None, tag: str | None = None) -> list[AsyncRun]:
        """Return the project's runs, newest first, those of a ``status`` or with a ``tag`` if given."""
        if status is not None and status not in (known := get_args(JobStatus)):
            raise BadRequestError(
                f"{one_line(status, 100)} is not the status of a job. There are: {', '.join(known)}."
            )
        return [
            AsyncRun(self, job["id"], str(job.get("name") or ""))
            for job in await jobs_of(self.backend)
            if (status is None or job.get("status") == status)
            and (tag is None or tag in (job.get("tags") or []))
        ]

    async def job(self, name: str = "latest") -> AsyncRun:
        """Return a run by its id, a prefix of it, its name, or ``latest``. Raises BadRequestError."""
        job = choose_job(await jobs_of(self.backend), name)
        return AsyncRun(self, job["id"], str(job.get("name") or ""))

    async def endpoints(self) -> list[AsyncEndpoint]:
        """Return the project's endpoints, which other programs call."""
        return [AsyncEndpoint(self, deployment) for deployment in await deployments_of(self.backend)]

    async def endpoint(self, name: str) -> AsyncEndpoint:
        """Return an endpoint by its name. Raises BadRequestError."""
        return AsyncEndpoint(self, await deployment_of(self.backend, name))

    async def compare(self, run: AsyncRun, other: AsyncRun) -> EvaluationPart:
        """Compare two runs' adapters on the same held-out rows; evaluate them first if need be.

        Raises ArkorError if they cannot be compared.
        """
        for one_run in (run, other):
            if (await one_run.details()).get("evaluation") is None:
                await one_run.evaluate()
        return await compared(self.backend, run.id, other.id)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.project)!r})"


class AsyncData:
    """The project's data sets."""

    def __init__(self, studio: AsyncStudio) -> None:
        self._studio = studio

    async def check(self, source: str | None = None, *, trainer: str | None = None) -> DataCheck:
        """Check a file, or the data of a trainer of arkor.toml (None: the first), for errors and oddities.

        Returns ``{rows, files, findings, leftOut}``. Raises BadRequestError for no such file or trainer.
        """
        if source is not None:
            return await asyncio.to_thread(check_path, self._studio.project / source, lambda *_: None)
        return await asyncio.to_thread(check_trainer, self._studio.project, trainer, lambda *_: None)


class AsyncRun:
    """One run. Iterating over it yields its `Point` objects, from the first to the last, as they arrive."""

    id: str
    """The job's id."""
    name: str
    """The job's name, unique in the project."""

    def __init__(self, studio: AsyncStudio, job_id: str, name: str, *, started_here: bool = False) -> None:
        self._studio = studio
        self.id = job_id
        self.name = name
        self.started_here = started_here
        self._appears_within = APPEARS_WITHIN if started_here else 0.0

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.id!r}, {self.name!r})"

    @property
    def adapter(self) -> AsyncAdapter:
        """The final adapter; ``run.checkpoint(step)`` is that of a checkpoint."""
        return AsyncAdapter(self._studio, self)

    def checkpoint(self, step: int) -> AsyncAdapter:
        """Return the adapter as it was after ``step``."""
        return AsyncAdapter(self._studio, self, step)

    @a_property
    async def details(self) -> Job:
        """Return the job as the backend describes it. Raises NotFoundError if it was deleted."""
        job = await job_of(self._studio.backend, self.id)
        if job is None:
            raise BackendError("The backend's answer about the job is unreadable. Try again later.")
        return job

    @a_property
    async def status(self) -> str:
        """Return ``queued``, ``running``, ``paused``, ``completed``, ``failed`` or ``cancelled``."""
        return str((await self.details()).get("status"))

    async def __aiter__(self) -> AsyncIterator[Point]:
        items = followed(self._studio.backend, self.id, appears_within=self._appears_within)
        async with aclosing(items):
            async for item in items:
                if isinstance(item, JobEvent) and (point := point_of(item.name, item.data)) is not None:
                    yield point

    async def wait(self) -> Self:
        """Wait until the run has ended or was paused by a person. Raises RunFailedError with the reason."""
        ending = await watch(
            self._studio.backend, self.id, lambda _: None, appears_within=self._appears_within
        )
        if ending.status == "failed":
            raise RunFailedError(f"{self.name or self.id} failed: {ending.error or 'no reason was given'}")
        return self

    @a_property
    async def metrics(self) -> Metrics:
        """Return the figures so far, as columns."""
        ended = await self.status() in TERMINAL
        return Metrics(await rows_of(self._studio.backend, self.id, ended=ended))

    @a_property
    async def loss(self) -> list[float]:
        """Return the training losses so far, in nats per token; ``metrics`` has their steps."""
        return (await self.metrics()).curve("loss")[1]

    @a_property
    async def eval_loss(self) -> list[float]:
        """Return the losses on the held-out rows so far."""
        return (await self.metrics()).curve("eval_loss")[1]

    @a_property
    async def verdict_so_far(self) -> VerdictSoFar | None:
        """Return how the adapter of the last evaluation compares with its base; None if none was compared."""
        ended, newest = await self.status() in TERMINAL, None
        async with aclosing(history(self._studio.backend, self.id, ended=ended)) as items:
            async for name, data in items:
                point = point_of(name, data)
                if name == events.TRAINING_RESUMED:
                    newest = None  # an evaluation before it may be made again
                newest = (point and point.verdict_so_far) or newest
        return newest

    @a_property
    async def samples(self) -> list[SampleCreated]:
        """Return the answers to the sample prompts so far."""
        ended = await self.status() in TERMINAL
        async with aclosing(history(self._studio.backend, self.id, ended=ended)) as items:
            found = [data async for name, data in items if name == events.SAMPLE_CREATED]
        return cast("list[SampleCreated]", found)

    @a_property
    async def verdict(self) -> Verdict | None:
        """Return how the adapter compares with its base; None if it has not been evaluated."""
        evaluation = (await self.details()).get("evaluation")
        return evaluation if isinstance(evaluation, dict) else None

    async def evaluate(self, *, step: int | None = None, data: str | None = None) -> Verdict:
        """Compare the adapter, or the checkpoint of ``step``, with the base again, and return the verdict.

        ``data`` is a file of the project with other rows than the held-out ones.
        """
        return await evaluated(self._studio.backend, self.id, step=step, data=data)

    async def pause(self) -> Self:
        """Pause after the current step."""
        await self._studio.backend.pause_job(self.id)
        return self

    async def resume(self) -> Self:
        """Resume after the step at which it was paused."""
        await self._studio.backend.resume_job(self.id, {})
        return self

    async def extend(self, *, steps: int | None = None, epochs: float | None = None) -> Self:
        """Continue a finished run until ``steps`` or ``epochs`` in all."""
        if (steps is None) == (epochs is None):
            raise BadRequestError("Give the new end of the run: steps= or epochs=, one of the two.")
        body = {"maxSteps": steps} if steps is not None else {"numTrainEpochs": epochs}
        await self._studio.backend.extend_job(self.id, body)
        return self

    async def cancel(self) -> Self:
        """End the run without its result."""
        await self._studio.backend.cancel_job(self.id)
        return self

    def live(self) -> LiveRun:
        """Return a chart for a notebook that follows the run, as long as the event loop runs.

        Raises BadRequestError without the extra ``notebook``.
        """
        widget = live_run(self)
        self.feed(widget)
        return widget

    def feed(self, chart: LiveRun) -> None:
        """Have a chart follow the run, as long as the event loop runs."""
        self._studio.keep(asyncio.get_running_loop().create_task(chart.follow(self), name="live chart"), self)

    async def html(self) -> str:
        """Return a picture of the run for a notebook."""
        job, metrics = await self.details(), await self.metrics()
        verdict = job.get("evaluation")
        sentence = verdict.get("sentence") if isinstance(verdict, dict) else None
        return html_of(self.name or self.id, str(job.get("status")), sentence, metrics)


def live_run(run: AsyncRun) -> LiveRun:
    """Return the chart of a run that nothing is shown on yet. Raises BadRequestError without the extra."""
    try:
        from .live import LiveRun
    except ImportError:
        command = install_command("notebook")
        raise BadRequestError(
            f"A live chart needs anywidget, which is not installed. Run: {command}"
        ) from None
    return LiveRun(name=run.name or run.id)


class AsyncAdapter:
    """A run's result: its final adapter, or that of a checkpoint."""

    def __init__(self, studio: AsyncStudio, run: AsyncRun, step: int | None = None) -> None:
        self._studio = studio
        self._run = run
        self._step = step

    async def stream(
        self,
        messages: str | Iterable[Mapping[str, object]],
        *,
        system: str | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        max_tokens: int | None = None,
        strength: float | None = None,
    ) -> AsyncIterator[str]:
        """Yield the answer as it arrives; see `chat`."""
        options = {
            "temperature": temperature,
            "topP": top_p,
            "maxTokens": max_tokens,
            "adapterStrength": strength,
        }
        body = {
            "messages": messages_of(messages, system),
            "adapter": adapter_of(self._run.id, self._step),
            **{field: value for field, value in options.items() if value is not None},
        }
        async with self._studio.backend.chat(body) as answer:
            splitter, size = FrameSplitter(), 0
            while data := await answer.content.readany():
                size += len(data)
                if size > MOST_ANSWER_BYTES:
                    raise BackendError("The answer is too long.")
                for frame in frames_in(splitter.feed(data)):
                    text = _delta(frame)
                    if text is None:
                        return
                    if text:
                        yield text

    async def chat(
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
        parts = self.stream(
            messages, system=system, temperature=temperature, top_p=top_p, max_tokens=max_tokens,
            strength=strength,
        )  # fmt: skip
        return "".join([part async for part in parts])

    async def endpoint(self, name: str | None = None, *, open_to_all: bool = False) -> AsyncEndpoint:
        """Create an OpenAI-compatible endpoint that serves this adapter to other programs.

        ``name`` is by default made of the run's. Callers need its ``key``, unless it is ``open_to_all``.
        Raises BadRequestError or ConflictError for what cannot be served.
        """
        job = await self._run.details()
        made = await create_endpoint(
            self._studio.backend, job, step=self._step, name=name, open_to_all=open_to_all, label="Python"
        )
        return AsyncEndpoint(self._studio, made.deployment, made.key)

    async def export(
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
        target = target_of(str(out or f"{slug_of(self._run.name or self._run.id)}-{form}"), replace=replace)
        await self.exported(form, target, quantization=quantization, strength=strength)
        return target

    async def exported(
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
        backend = self._studio.backend
        request = request_of(form, step=self._step, quantization=quantization, strength=strength)
        export = await order(backend, self._run.id, request, attended=True)

        async def take(export: Export) -> None:
            with temporary_folder_beside(target) as folder:
                await fetch(backend, self._run.id, export, folder)
                replace_folder(folder, target)

        try:
            export = await finished(
                backend, self._run.id, str(export["id"]), take, lambda now: progress(export_words(now))
            )
        finally:
            with contextlib.suppress(ArkorError):
                await asyncio.shield(backend.delete_export(self._run.id, str(export["id"])))
        proof = export["proof"]  # `finished` has checked that it is there
        if proof.get("verdict") != SAME:
            raise RunFailedError(f"Do not use the files in {target}. {proof.get('sentence')}")
        return export


class AsyncEndpoint:
    """An endpoint: an adapter or model that other programs call by OpenAI's API."""

    name: str
    """Its name, which is also that of its model."""
    key: str | None
    """Its API key if it was created now with one; it is shown only then."""

    def __init__(self, studio: AsyncStudio, deployment: Deployment, key: str | None = None) -> None:
        self._studio = studio
        self._id = deployment["id"]
        self.name = deployment["slug"]
        self.key = key

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    @a_property
    async def details(self) -> Deployment:
        """Return the endpoint as the backend describes it. Raises NotFoundError if it was deleted."""
        return value_of(await self._studio.backend.get_deployment(self._id), "deployment", Deployment)

    @a_property
    async def base_url(self) -> str:
        """Return the address for a client of OpenAI's API.

        Raises BadRequestError if no open Studio serves it.
        """
        return await self._studio.address_of(self.name)

    async def new_key(self, label: str = "Python") -> str:
        """Create another API key, and return it: it is shown only now."""
        return await new_key(self._studio.backend, await self.details(), label)

    async def turn_on(self) -> Self:
        """Have it answer requests."""
        await self._studio.backend.update_deployment(self._id, {"enabled": True})
        return self

    async def turn_off(self) -> Self:
        """Have it refuse requests."""
        await self._studio.backend.update_deployment(self._id, {"enabled": False})
        return self

    async def delete(self) -> None:
        """Delete it with its keys and its log."""
        await self._studio.backend.delete_deployment(self._id)


def _delta(frame: bytes) -> str | None:
    """Return the text in one frame of an answer; None for its end. Raises BackendError for a broken one."""
    event = read_event(frame)
    if event.name == events.CHAT_ERROR:
        reason = event.data.get("error") if isinstance(event.data, dict) else event.data
        raise BackendError(f"The answer broke off: {reason}")
    if event.name == events.END or event.data == events.CHAT_DONE:
        return None
    if event.name != "message":
        return ""
    if isinstance(event.data, str):
        with contextlib.suppress(ValueError):
            value = json.loads(event.data)
            return value if isinstance(value, str) else ""
        return event.data
    choices = event.data.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], dict):
        delta = choices[0].get("delta")
        text = delta.get("content") if isinstance(delta, dict) else None
    else:
        text = event.data.get("content", event.data.get("text"))
    return text if isinstance(text, str) else ""
