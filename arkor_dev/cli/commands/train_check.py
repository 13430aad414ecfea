"""``arkor-dev doctor --train``: a short training run on this machine with every stage of a real one.

It forecasts a job of three steps and runs it, measures held-out rows, answers from the adapter, and pauses
and resumes another job. The project's first trainer is used, or the example of ``arkor-dev init``, in a
separate data folder that is removed afterwards. The report names no path and no data.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from contextlib import aclosing
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

from arkor_dev import __version__
from arkor_dev.cli.event_text import figure
from arkor_dev.client.creation import create
from arkor_dev.connection.connect import connected
from arkor_dev.contract.errors import ArkorError, BadRequestError
from arkor_dev.contract.events import (
    TRAINING_COMPLETED,
    TRAINING_FAILED,
    TRAINING_LOG,
    TRAINING_MESSAGE,
    TRAINING_PAUSED,
    TRAINING_STARTED,
)
from arkor_dev.contract.gpus import amd_gpus, nvidia_gpus, torch_build
from arkor_dev.contract.units import format_bytes
from arkor_dev.core.plain_text import one_line
from arkor_dev.jobs.follow import JobEvent, follow
from arkor_dev.project.arkor_toml import load_trainers
from arkor_dev.project.starter import initialize

from .doctor import DoctorCheck

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from arkor_dev.backend.client import Backend, Response
    from arkor_dev.contract.shapes import Forecast
    from arkor_dev.core.settings import Settings

COST_FIELDS: Final = frozenset(
    {
        "model", "method", "datasetSource", "evalDatasetSource", "datasetFormat", "datasetSplit", "batchSize",
        "gradientAccumulationSteps", "gradientCheckpointing", "activationOffloading", "maxLength", "packing",
        "loadIn4bit", "numberFormat", "fullFineTuning", "loraR", "loraAlpha", "loraTargetModules", "optim",
        "learningRate", "seed",
    }
)  # fmt: skip
"""A trainer's settings that affect how it computes, which the check uses."""
STEPS: Final = 3
SHORT: Final = {
    "maxSteps": STEPS,
    "evalSteps": STEPS,
    "saveSteps": STEPS,
    "loggingSteps": 1,
    "samples": "off",
}
ENDLESS: Final[dict[str, object]] = {**SHORT, "maxSteps": 10_000, "evalSteps": 0, "saveSteps": 0}
REASONS: Final = ("Computing in", "This machine has a GPU")
"""Beginnings of the messages that explain the choice of device and number format."""
HELD_OUT: Final = 0.2
FORECAST_SECONDS: Final = 180.0
TOKENS: Final = 24
FAR: Final = 2.0
"""Factor by which a time must differ from its forecast for a warning; so short a run is mostly loading."""
PACKAGES: Final = ("torch", "transformers", "peft")


async def run_train_check(settings: Settings, *, as_json: bool = False) -> int:
    """Train; print each result at once, then the report; return 1 if something failed, else 0."""
    checks: list[DoctorCheck] = []

    def say(check: DoctorCheck) -> None:
        checks.append(check)
        if not as_json:
            print(f"{check.status:<4}  {check.name:<11} {one_line(check.text, 1000)}", flush=True)  # noqa: T201

    with tempfile.TemporaryDirectory(prefix="arkor-doctor-") as scratch:
        folder = Path(scratch)
        project = settings.project
        if not (project / "arkor.toml").exists():
            project = folder / "example"
            initialize(project)
        trial_settings = replace(
            settings, project=project, data=folder / "data", local=True, cluster="here", at_once=1
        )
        try:
            config = config_of(project)
            async with connected(trial_settings, lambda _: None) as backend:
                trial = TrainCheck(backend, trial_settings, config)
                for part in (trial.forecast, trial.train, trial.answer, trial.interrupt):
                    async for check in part():
                        say(check)
        except ArkorError as fault:
            say(DoctorCheck("Training", "fail", fault.text))
    healthy = all(check.status != "fail" for check in checks)
    if as_json:
        print(json.dumps({"ok": healthy, "checks": [asdict(check) for check in checks]}, indent=2))  # noqa: T201
    else:
        print(report(checks))  # noqa: T201
    return 0 if healthy else 1


def config_of(project: Path) -> dict[str, object]:
    """Return the config to check, from the project's first trainer. Raises ArkorError if it cannot run."""
    trainer = load_trainers(project)[0]
    if problem := trainer.get("problem"):
        raise BadRequestError(
            f"The trainer {one_line(trainer['name'], 80)} cannot run: {one_line(problem, 500)}"
        )
    config = {key: value for key, value in trainer["config"].items() if key in COST_FIELDS}
    if not config.get("evalDatasetSource"):
        config["datasetSplit"] = config.get("datasetSplit") or HELD_OUT
    return config


def report(checks: list[DoctorCheck]) -> str:
    """Format the results for a bug report."""
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    gpus = ", ".join(gpu.name for gpu in (*nvidia_gpus(), *amd_gpus())) or "none found"
    lines = [
        f"arkor-dev {__version__}, {versions} (built for {torch_build()}). GPUs: {gpus}.",
        *(f"- {check.status}: {check.name}: {one_line(check.text, 1000)}" for check in checks),
    ]
    return "\nTo paste into a bug report:\n\n" + "\n".join(lines)


class TrainCheck:
    """The parts of the check, each of which yields its results."""

    def __init__(self, backend: Backend, settings: Settings, config: dict[str, object]) -> None:
        self._backend, self._settings, self._config = backend, settings, config
        self._forecast: Forecast = {}
        self._job = ""

    async def forecast(self) -> AsyncIterator[DoctorCheck]:
        """Forecast the job, as Studio does beside its form."""
        answer = await self._backend.create_forecast({"config": {**self._config, **SHORT}})
        deadline = time.monotonic() + FORECAST_SECONDS
        while (answered := _forecast(answer)).get("state") in ("waiting", "measuring"):
            if time.monotonic() > deadline:
                break
            await asyncio.sleep(0.3)
            answer = await self._backend.get_forecast(str(answered["id"]))
        if answered.get("state") == "measured":
            self._forecast = answered
            memory = answered.get("device") or answered.get("memory")
            peak = memory and memory["peakBytes"]
            text = f"{answered['seconds']:.1f} s and {_size(peak)} for {STEPS} steps."
            yield DoctorCheck("Forecast", "ok", text)
        else:
            # Training downloads a model that is not here yet.
            yield DoctorCheck(
                "Forecast", "warn", str(answered.get("error") or "It took too long to measure.")
            )

    async def train(self) -> AsyncIterator[DoctorCheck]:
        """Train, evaluate on the held-out rows, and compare with the forecast."""
        began, why = time.monotonic(), list[str]()
        job = await create(self._backend, self._settings, "doctor", {**self._config, **SHORT}, None)
        self._job = job.id
        async for name, data in self._events(self._job):
            if name == TRAINING_MESSAGE:
                why.append(str(data.get("message")))
            elif name == TRAINING_STARTED:
                facts = _object(data.get("metadata"))
                reasons = [text for text in why if text.startswith(REASONS)]
                device = f"{facts.get('device')}, {facts.get('processor')}, {facts.get('threads')} threads"
                yield DoctorCheck(
                    "Device", "warn" if len(reasons) > 1 else "ok", ". ".join([device, *reasons])
                )
            elif name == TRAINING_FAILED:
                yield DoctorCheck("Training", "fail", str(data.get("error")))
            elif name == TRAINING_COMPLETED:
                seconds = time.monotonic() - began
                yield self._completed(_object(data.get("metrics")), seconds)
                if forecast := self._forecast.get("seconds"):
                    ratio = max(seconds, forecast) / max(0.1, min(seconds, forecast))
                    text = f"{forecast:.1f} s forecast, {seconds:.1f} s taken."
                    yield DoctorCheck("Time", "warn" if ratio > FAR else "ok", text)

    def _completed(self, metrics: Mapping[str, object], seconds: float) -> DoctorCheck:
        parts = _object(metrics.get("secondsIn"))
        per_step = sum(figure(parts.get(part)) or 0 for part in ("forward", "backward", "optimizer"))
        held_out = metrics.get("evalLoss")
        text = (
            f"{metrics.get('steps')} steps of {per_step / STEPS:.3g} s, loss {_figure(metrics.get('loss'))}, "
            f"held-out loss {_figure(held_out)}, {_size(metrics.get('peakBytes'))} of memory, "
            f"{seconds:.1f} s in all."
        )
        return DoctorCheck("Training", "ok" if isinstance(held_out, float) else "fail", text)

    async def answer(self) -> AsyncIterator[DoctorCheck]:
        """Let the adapter answer a question."""
        body = {
            "messages": [{"role": "user", "content": "Say hello."}],
            "adapter": {"kind": "final", "jobId": self._job},
            "maxTokens": TOKENS,
            "stream": False,
        }
        async with self._backend.chat(body) as response:
            reply = _object(json.loads(await response.read()))
        by, timings = _object(reply.get("answeredBy")), _object(reply.get("timings"))
        rate = timings.get("tokensPerSecond")
        text = f"{by.get('engine')} in {by.get('precision')}"
        text += f", {rate:.3g} tokens/s." if isinstance(rate, int | float) else "."
        yield DoctorCheck(
            "Answer", "ok" if reply.get("choices") else "fail", f"{text} {by.get('why') or ''}".strip()
        )

    async def interrupt(self) -> AsyncIterator[DoctorCheck]:
        """Pause and resume a job; it must continue after the step at which it was paused."""
        config = {**self._config, **ENDLESS}
        job = (await create(self._backend, self._settings, "doctor, interrupted", config, None)).id
        paused: int | None = None
        async for name, data in self._events(job):
            step = data.get("step")
            if name == TRAINING_FAILED:
                yield DoctorCheck("Pause", "fail", str(data.get("error")))
            elif name == TRAINING_LOG and paused is None and "loss" in data:
                paused = 0
                await self._backend.pause_job(job)
            elif name == TRAINING_PAUSED and isinstance(step, int):
                paused = step
                await self._backend.resume_job(job, {})
            elif name == TRAINING_LOG and paused and isinstance(step, int) and step > paused:
                text = f"It stood after step {paused} and went on with step {step}."
                yield DoctorCheck("Pause", "ok" if step == paused + 1 else "fail", text)
                await self._backend.cancel_job(job)
                return

    async def _events(self, job: str) -> AsyncIterator[tuple[str, dict[str, object]]]:
        async with aclosing(follow(self._backend, job)) as items:
            async for item in items:
                if isinstance(item, JobEvent) and isinstance(item.data, dict):
                    yield item.name, item.data


def _forecast(answer: Response) -> Forecast:
    forecast: Forecast | None = json.loads(answer.body).get("forecast")
    return forecast or {}


def _object(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _size(count: object) -> str:
    return format_bytes(count) if isinstance(count, int | float) else "unknown"


def _figure(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, int | float) else "none"
