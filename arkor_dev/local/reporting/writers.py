"""Calls each tracker's own package, imported when its writer is created."""

from __future__ import annotations

import importlib
import json
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tensorboard.summary.writer.event_file_writer import EventFileWriter

NAME: Final = re.compile(r"[^A-Za-z0-9._-]+")
PARAMETER: Final = 250
"""Maximum length of a setting's value that MLflow certainly accepts, in characters."""
BAD: Final = ("failed", "crashed")


@dataclass(frozen=True, slots=True)
class ReportedJob:
    """The reported job: its id and name, and the name of its project."""

    id: str
    name: str
    project: str

    @property
    def label(self) -> str:
        """A name for the run that is unique in the project, and valid for a folder."""
        return f"{NAME.sub('-', self.name).strip('-.')[:60] or 'job'}-{self.id}"


class RunWriter(Protocol):
    """One run in a reporter. All methods may raise any exception of the package."""

    def open(self, settings: Mapping[str, object], run: str | None) -> tuple[str | None, str]:
        """Open or continue the run; return its name there (``run``: an earlier call's) and where to look."""

    def write(self, figures: Mapping[str, float], step: int, moment: float | None) -> None:
        """Write a step's figures by name; ``moment`` is in seconds since 1970."""

    def roll_back(self, step: int) -> None:
        """Discard figures of later steps, which will be reported again; most reporters keep both."""

    def flush(self) -> None:
        """Ensure that all figures written are stored."""

    def close(self, status: str) -> None:
        """End the run."""


class TensorBoard(RunWriter):
    """Event files below ``runs`` in the project, or in the folder that ``TENSORBOARD_LOGGING_DIR`` names."""

    def __init__(self, job: ReportedJob) -> None:
        protos = "tensorboard.compat.proto"
        self._event = importlib.import_module(f"{protos}.event_pb2")
        self._summary = importlib.import_module(f"{protos}.summary_pb2")
        self._tensor = importlib.import_module(f"{protos}.tensor_pb2").TensorProto
        module = importlib.import_module("tensorboard.summary.writer.event_file_writer")
        self._make: Callable[[str], EventFileWriter] = module.EventFileWriter
        self._folder = Path(os.environ.get("TENSORBOARD_LOGGING_DIR") or "runs").absolute() / job.label

    def open(self, settings: Mapping[str, object], run: str | None) -> tuple[str | None, str]:
        self._writer = self._make(str(self._folder))
        if run is None:
            listing = "\n".join(f"    {key} = {json.dumps(value)}" for key, value in settings.items())
            data = self._summary.SummaryMetadata.PluginData(plugin_name="text")
            text = self._summary.Summary.Value(
                tag="settings",
                metadata=self._summary.SummaryMetadata(plugin_data=data),
                tensor=self._tensor(dtype="DT_STRING", string_val=[listing.encode()]),
            )
            self._add(0, None, summary=self._summary.Summary(value=[text]))
        return str(self._folder), f"{self._folder} (tensorboard --logdir {self._folder.parent})"

    def _add(self, step: int, moment: float | None, **fields: object) -> None:
        event = self._event.Event(wall_time=time.time() if moment is None else moment, step=step, **fields)
        self._writer.add_event(event)

    def write(self, figures: Mapping[str, float], step: int, moment: float | None) -> None:
        values = [
            self._summary.Summary.Value(tag=name, simple_value=value) for name, value in figures.items()
        ]
        self._add(step, moment, summary=self._summary.Summary(value=values))

    def roll_back(self, step: int) -> None:
        start = self._event.SessionLog(status=self._event.SessionLog.START)
        self._add(step + 1, None, session_log=start)  # readers discard everything from this step on

    def flush(self) -> None:
        self._writer.flush()

    def close(self, status: str) -> None:
        self._writer.close()


class Trackio(RunWriter):
    """A run in Trackio, in the project's name; stored on this machine by default."""

    def __init__(self, job: ReportedJob) -> None:
        self._trackio = importlib.import_module("trackio")
        self._job = job

    def open(self, settings: Mapping[str, object], run: str | None) -> tuple[str | None, str]:
        project = os.environ.get("TRACKIO_PROJECT") or self._job.project
        name = run or self._job.label
        self._trackio.init(project=project, name=name, config=dict(settings), resume="allow")
        return name, f"the run {name} of {project} (trackio show)"

    def write(self, figures: Mapping[str, float], step: int, moment: float | None) -> None:
        self._trackio.log(dict(figures), step=step)

    def close(self, status: str) -> None:
        self._trackio.finish()


class Wandb(RunWriter):
    """A Weights & Biases run with the job's id, in the project's name or ``WANDB_PROJECT``."""

    def __init__(self, job: ReportedJob) -> None:
        os.environ.setdefault("WANDB_SILENT", "true")
        os.environ.setdefault("WANDB_CONSOLE", "off")
        self._wandb = importlib.import_module("wandb")
        self._job = job

    def open(self, settings: Mapping[str, object], run: str | None) -> tuple[str | None, str]:
        project = os.environ.get("WANDB_PROJECT") or self._job.project
        self._run = self._wandb.init(
            project=project, id=self._job.id, name=self._job.name, resume="allow", config=dict(settings)
        )
        url = getattr(self._run, "url", None)
        return self._job.id, url or f"the run {self._job.id} of {project}, kept on this machine"

    def write(self, figures: Mapping[str, float], step: int, moment: float | None) -> None:
        self._run.log(dict(figures), step=step)

    def close(self, status: str) -> None:
        self._run.finish(exit_code=int(status in BAD))


class MLflow(RunWriter):
    """A run of MLflow in the experiment of the project's name or ``MLFLOW_EXPERIMENT_NAME``."""

    def __init__(self, job: ReportedJob) -> None:
        self._mlflow = importlib.import_module("mlflow")
        self._job = job

    def open(self, settings: Mapping[str, object], run: str | None) -> tuple[str | None, str]:
        experiment = os.environ.get("MLFLOW_EXPERIMENT_NAME") or self._job.project
        self._mlflow.set_experiment(experiment)
        if run is not None:
            self._mlflow.start_run(run_id=run)
        else:
            tags = {"arkor.job": self._job.id}
            run = str(self._mlflow.start_run(run_name=self._job.name, tags=tags).info.run_id)
            texts = {key: str(value)[:PARAMETER] for key, value in settings.items()}
            self._mlflow.log_params(texts)
        return run, f"the run {run} of {experiment} at {self._mlflow.get_tracking_uri()}"

    def write(self, figures: Mapping[str, float], step: int, moment: float | None) -> None:
        self._mlflow.log_metrics(dict(figures), step=step)

    def close(self, status: str) -> None:
        self._mlflow.end_run("FINISHED" if status == "completed" else "FAILED" if status in BAD else "KILLED")


WRITERS: Final[dict[str, Callable[[ReportedJob], RunWriter]]] = {
    "tensorboard": TensorBoard,
    "trackio": Trackio,
    "wandb": Wandb,
    "mlflow": MLflow,
}
