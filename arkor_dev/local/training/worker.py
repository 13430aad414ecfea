"""The process that trains one job and ends.

It reads the rows before it imports torch, so that bad data is reported at once, and imports torch while the
backend is still finding the model.
"""

from __future__ import annotations

import os
import random
import sys
import threading
import traceback
from pathlib import Path
from typing import Any, Final

from arkor_dev.contract.events import TRAINING_MESSAGE
from arkor_dev.local.workers.errors import JobFailure, out_of_memory
from arkor_dev.local.workers.link import Link

from .datasets import Row, load_rows
from .job_settings import JobSettings
from .plan import DRY_ROWS, Plan

EVAL_SHARE: Final = 0.1
EVAL_MOST: Final = 32
EVAL_FROM: Final = 10


def split(rows: list[Row], settings: JobSettings) -> tuple[list[Row], list[Row]]:
    """Hold back ``datasetSplit`` of the rows, at least one; none when it is 0, or nothing is evaluated.

    Unasked it is a tenth and 32 rows at most, none when there are fewer than ten.
    """
    asked, seed = settings.get("datasetSplit"), settings.get("seed")
    if settings.get("evalSteps") == 0 or len(rows) < 2:
        count = 0
    elif isinstance(asked, int | float) and not isinstance(asked, bool):
        count = min(len(rows) - 1, max(1, round(len(rows) * asked))) if asked > 0 else 0
    else:
        count = max(1, min(EVAL_MOST, int(len(rows) * EVAL_SHARE))) if len(rows) >= EVAL_FROM else 0
    settings.settle("datasetSplit", round(count / len(rows), 4))
    order = list(range(len(rows)))
    random.Random(seed).shuffle(order)  # noqa: S311 - order, not secrecy
    held = set(order[:count])
    return [row for n, row in enumerate(rows) if n not in held], [rows[n] for n in sorted(held)]


class Work:
    """One job, from its message to its end."""

    def __init__(self) -> None:
        self.cancel = threading.Event()
        self.link = Link({"cancel": lambda _: self.cancel.set()})
        self.step = 0

    def emit(self, name: str, **fields: Any) -> None:
        self.step = fields.get("step", self.step)
        self.link.send(event=name, fields=fields)

    def train(self) -> None:
        job = self.link.receive()
        config, data, job_id = job["config"], Path(job["data"]), job["id"]
        settings = JobSettings(config)
        scratch = data / "jobs" / job_id / "scratch"
        limit = DRY_ROWS if settings.get("dryRun") else None
        rows = load_rows(config["datasetSource"], Path(job["project"]), scratch, self.link.progress, limit)
        train_rows, eval_rows = split(rows, settings)
        plan = Plan.of(settings, len(train_rows), len(eval_rows))

        # Everything is read from local folders from here on: no library may ask the hub.
        os.environ["HF_HUB_OFFLINE"] = "1"
        from arkor_dev.local.modeling.base_model import load_base
        from arkor_dev.local.modeling.tokenizer import default_length

        from .encoding import encode_all
        from .number_format import choose
        from .run import Run

        model = self.link.receive()
        if model["note"]:
            self.emit(TRAINING_MESSAGE, message=model["note"])
        self.link.progress(f"Loading {model['name']}", 0, None, "")
        four_bit = settings.get("loadIn4bit")
        base = load_base(Path(model["path"]), four_bit)
        asked = settings.get("maxLength", default_length(base.device))
        longest = settings.settle("maxLength", min(asked, base.context))
        responses_only = settings.get("trainOnResponsesOnly")

        def encoded(part: list[Row]) -> Any:
            return encode_all(base.tokenizer, part, longest, responses_only, progress)

        def progress(done: int) -> None:
            self.link.progress("Reading the data set", done, len(rows), "rows")

        train, cut = encoded(train_rows)
        held_out, cut_held = encoded(eval_rows)
        if cut + cut_held:
            message = f"{cut + cut_held} of {len(rows)} rows are longer than maxLength {longest} and were cut"
            self.emit(TRAINING_MESSAGE, message=message)
        tokens = plan.batch_size * sum(len(example.ids) for example in train) // len(train)
        choice = choose(
            base.model,
            base.device,
            base.dtype,
            tokens,
            settings.get("numberFormat"),
            data / "number-formats.json",
        )
        settings.settle("numberFormat", choice.name)
        self.emit(
            TRAINING_MESSAGE,
            message=f"Computing in {choice.name}, the weights that learn in float32: {choice.reason}",
        )
        run = Run(
            base=base,
            base_name=settings.settle("model", model["name"]),
            base_note=model["note"],
            plan=plan,
            train=train,
            held_out=held_out,
            data=data,
            job_id=job_id,
            four_bit=four_bit,
            seed=settings.get("seed"),
            settings=settings.used,
            emit=self.emit,
            cancelled=self.cancel.is_set,
            choice=choice,
        )
        result = run.run()
        self.link.send(end="cancelled" if result is None else "completed", fields=result or {})

    def run(self) -> None:
        """Do the work; whatever goes wrong ends as a reason that the person reads."""
        try:
            self.train()
        except JobFailure as failure:
            self.link.send(end="failed", error=str(failure))
        except Exception as error:  # noqa: BLE001 - the last line of defence of a process about to end
            traceback.print_exc()
            reason = f"{type(error).__name__}: {error}"
            if out_of_memory(error):
                reason = f"The machine ran out of memory: lower batchSize or maxLength ({reason})"
            self.link.send(end="failed", error=reason)


if __name__ == "__main__":
    if hasattr(os, "nice"):
        os.nice(5)  # chat and the page come first on a shared processor, yet training is not starved
    Work().run()
    sys.stdout.flush()
    os._exit(0)
