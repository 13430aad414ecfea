"""One worker of a run of the tiny model: ``python -m tests.local.training.together.side``.

It is told ``{tiny, data, together, cases}`` on standard input, and says ``meets`` and then what came of each
case, one JSON object a line. A case is ``{config, held_out?, pause?, resume?}``: after which step it is to
pause, and whether it goes on from what lies in ``data``.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import warnings
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arkor_dev.local.modeling import lean_torch, lean_transformers
from arkor_dev.local.training.together.meeting import GroupLostError, Meeting
from arkor_dev.local.workers.errors import JobFailure
from tests.local.tiny_run import events_of, made_up, set_up

if TYPE_CHECKING:
    from arkor_dev.local.training.run import Run
    from arkor_dev.local.training.together.group import Group

ROWS = 15
PACKED = 40
OUT = os.fdopen(os.dup(1), "w")


class Say:
    """As a worker's link."""

    def send(self, **told: Any) -> None:
        OUT.write(json.dumps(told) + "\n")
        OUT.flush()


def run_of(tiny: Path, data: Path, case: dict[str, Any]) -> Run:
    """The run of a case, as one worker has it."""
    from arkor_dev.local.checkpoints.points import GoingOn, whole_points

    common = {"maxSteps": 20, "learningRate": 1e-2, "batchSize": 4, "evalSteps": 0, "loggingSteps": 1}
    data.mkdir(parents=True, exist_ok=True)
    run = set_up(
        tiny,
        data,
        {**common, **case["config"]},
        case.get("held_out", 0),
        train=made_up(ROWS),
        job_id="job",
    )
    if run_packs := case["config"].get("packing"):
        from arkor_dev.local.training.job_settings import JobSettings
        from arkor_dev.local.training.plan import Plan
        from arkor_dev.local.training.rows.batches import packs

        settings = JobSettings({"saveSteps": 0, "warmupSteps": 0, **common, **case["config"]})
        run.plan = Plan.of(settings, len(packs(run.train, PACKED)), 0, PACKED * run_packs)
    if case.get("resume"):
        points = [point for point, wrong in whole_points(data, "job") if wrong is None]
        run.going_on = GoingOn(points, "It was interrupted.")
    return run


def outcome(run: Run, pause: int | None = None) -> dict[str, Any]:
    """What a run came to: its end, the figures of its events and a hash of its weights."""
    run.pausing = lambda: "asked" if pause == run.step else None
    try:
        ended = run.run().status
    except JobFailure as failure:
        ended = str(failure)
    except GroupLostError:
        ended = "lost"
    events = events_of(run)
    digest = hashlib.sha256()
    for weight in run.trainable:
        digest.update(weight.detach().numpy().tobytes())
    return {
        "ended": ended,
        "losses": events.figures("loss"),
        "evals": events.figures("evalLoss"),
        "tokens": [run.pace.tokens, run.pace.samples],
        "names": [name for name, _ in events.calls],
        "weights": digest.hexdigest(),
    }


def shared(run: Run, group: Group) -> Run:
    """The same run as one worker of ``group``; it sends its events as the worker of a job does."""
    from arkor_dev.local.training.run import Run
    from arkor_dev.local.training.together.run import SharedRun

    return SharedRun(**{each.name: getattr(run, each.name) for each in fields(Run)}, group=group)


def main() -> None:
    order = json.loads(sys.stdin.readline())
    meeting = Meeting.of(order, Say())  # type: ignore[arg-type]
    warnings.simplefilter("ignore")
    lean_torch.install()  # as the worker of a job does
    lean_transformers.install()
    from arkor_dev.local.training.together.group import Group

    assert meeting
    group = Group(meeting, "cpu")
    for case in order["cases"]:
        data = Path(order["data"]) / case["name"]
        run = shared(run_of(Path(order["tiny"]), data, case), group)
        Say().send(**outcome(run, None if group.rank else case.get("pause")))
    OUT.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
