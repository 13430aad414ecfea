"""Shows a run of any program among a project's jobs: its figures, and how it ended.

The figures go to a file in the project's data folder, which the local backend reads
(`arkor_dev.local.jobs.reported` says how). So a run can be reported whether Studio is open or not, and Studio
may be opened at any time.
"""

from __future__ import annotations

import fcntl
import importlib
import json
import math
import os
import secrets
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, Protocol, Self, SupportsFloat

from arkor_dev.contract.bodies import JOB_CHANGES
from arkor_dev.contract.errors import BadRequestError
from arkor_dev.contract.events import FIGURE_NAME, MOST_FIGURES
from arkor_dev.contract.schema import SchemaError, check
from arkor_dev.core.settings import Settings

from .metrics import NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType


FOLDER: Final = "reported"
ELSEWHERE: Final = "another program"
"""The model's name if the program does not give one."""


def report(
    name: str,
    *,
    project: str | Path = ".",
    model: str = ELSEWHERE,
    steps: int | None = None,
    figures: Sequence[str] = (),
) -> ReportedRun:
    """Report a run, as long as the block runs; it is a job of ``project`` called ``name``.

    >>> with report("mine", steps=100) as run:
    ...     for step in range(100):
    ...         run.log(loss=1 / (step + 1))

    ``steps`` is their number if it is known. ``figures`` names up to 20 figures of your own to draw besides
    the losses. An exception in the block makes the run a failed one, Ctrl-C a cancelled one; a program that
    is killed leaves a failed one, too. Raises BadRequestError for a name that a job cannot have.
    """
    return ReportedRun(Path(project), name, model, steps, tuple(figures))


class TrainerState(Protocol):
    """What is read of transformers' ``TrainerState``."""

    is_world_process_zero: bool
    global_step: int


class ReportedRun:
    """A run that is being reported; `log` may be called from any thread."""

    def __init__(
        self, project: Path, name: str, model: str, steps: int | None, figures: tuple[str, ...]
    ) -> None:
        if not project.is_dir():
            raise BadRequestError(f"{project} is not a folder. Name the project's folder.")
        for text in (name, model):
            try:
                check({"name": text}, JOB_CHANGES)
            except SchemaError as fault:
                raise BadRequestError(
                    f"{text!r} cannot be the name of a run or its model: {fault}."
                ) from None
        if len(figures) > MOST_FIGURES or not all(
            FIGURE_NAME.fullmatch(figure_name) for figure_name in figures
        ):
            raise BadRequestError(
                f"figures: up to {MOST_FIGURES} names, each a letter followed by letters, digits or _."
            )
        self.id = f"job_{secrets.token_hex(6)}"
        self._begin = {"name": name, "model": model, "steps": steps, "figures": list(figures)}
        self._folder = Settings.from_environment(os.environ, project).local_data / FOLDER
        self._file: IO[str] | None = None
        self._lock = threading.Lock()
        self._step = 0

    def __enter__(self) -> Self:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = self._folder / f"{self.id}.part"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._file = os.fdopen(os.open(part, flags, 0o600), "w", encoding="utf-8")
        # Unlike flock, this is not inherited by the processes of a data loader, which may outlive this one.
        fcntl.lockf(self._file, fcntl.LOCK_EX)
        self._write(self._begin)
        part.rename(self._folder / f"{self.id}.jsonl")  # locked before anyone can see it
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if kind is None:
            self._write({"end": "completed"})
        elif issubclass(kind, KeyboardInterrupt):
            self._write({"end": "cancelled"})
        else:
            self._write({"end": "failed", "error": f"{kind.__name__}: {error}"[:2000]})
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None

    def log(self, *, step: int | None = None, **figures: float | None) -> None:
        """Add a row of figures: ``loss``, ``eval_loss``, ``learning_rate``, ``epoch``, and your own.

        ``step`` counts from 1; without it, each row with a ``loss`` is the next step, and any other belongs
        to the last one. Losses in nats per token can be compared with those of other runs. A figure that is
        not finite is drawn as a gap. Raises BadRequestError for a name or a value that is not a figure.
        """
        row: dict[str, float | None] = {}
        for name, value in figures.items():
            field = NAMES.get(name, name)
            if not FIGURE_NAME.fullmatch(field):
                raise BadRequestError(f"{name!r} cannot be the name of a figure.")
            row[field] = _number(name, value)
        if step is None:
            step = self._step + 1 if "loss" in row or self._step == 0 else self._step
        self._step = int(step)
        self._write({"step": self._step, "log": row})

    def callback(self) -> Any:
        """Return a callback for ``transformers.Trainer`` (``callbacks=[run.callback()]``).

        Raises BadRequestError without transformers.
        """
        try:
            base: Any = importlib.import_module("transformers").TrainerCallback
        except ImportError:
            raise BadRequestError("The package transformers is missing in this environment.") from None
        run = self

        class Reporting(base):  # type: ignore[misc]
            def on_log(
                self,
                args: object,
                state: TrainerState,
                control: object,
                logs: dict[str, object] | None = None,
                **_: object,
            ) -> None:
                figures = {
                    name: value
                    for name, value in (logs or {}).items()
                    if isinstance(value, int | float) and FIGURE_NAME.fullmatch(name)
                }
                if figures and state.is_world_process_zero:
                    run.log(step=state.global_step, **figures)

        return Reporting()

    def _write(self, record: Mapping[str, object]) -> None:
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        with self._lock:
            if self._file is None:
                raise BadRequestError(
                    "This run is not being reported. Use it inside `with report(…) as run:`."
                )
            self._file.write(json.dumps({**record, "at": at}) + "\n")
            self._file.flush()


def _number(name: str, value: SupportsFloat | None) -> float | None:
    """Return a figure as a JSON number; tensors and NumPy scalars become numbers."""
    if value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        raise BadRequestError(f"{name} is not a number.") from None
    return number if math.isfinite(number) else None
