"""The workers of a run of the tiny model: ``python -m tests.local.training.distributed.side``.

It is told ``{tiny, data, hosts, cases}`` on standard input, and forks a worker for each of the ``hosts``: by
then the libraries are there, which each would load for seconds. It says what came of each case: a list for
each worker, as JSON. A case is ``{config, held_out?, pause?, resume?}``: after which step it is to pause, and
whether it resumes from the state in ``data``.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import sys
import traceback
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from arkor_dev.local.execution.messages import GroupMember
from arkor_dev.local.training.distributed.rendezvous import PeerLostError, Rendezvous
from arkor_dev.local.workers.errors import JobFailure
from arkor_dev.local.workers.link import die_with_parent
from tests.local.tiny_run import events_of, made_up, set_up

if TYPE_CHECKING:
    from arkor_dev.local.training.distributed.process_group import ProcessGroup
    from arkor_dev.local.training.run import TrainingLoop
    from arkor_dev.local.workers.codec import Message

ROWS = 15
PACKED = 40


class Say:
    """As a worker's link."""

    def __init__(self, out: IO[str]) -> None:
        self._out = out

    def send(self, message: Message) -> None:
        self.say(vars(message))

    def say(self, told: dict[str, Any]) -> None:
        self._out.write(json.dumps(told) + "\n")
        self._out.flush()


def run_of(tiny: Path, data: Path, case: dict[str, Any]) -> TrainingLoop:
    """The run of a case, as one worker has it."""
    from arkor_dev.local.checkpoints.resume_points import ResumePlan, checked_points

    common = {"maxSteps": 12, "learningRate": 1e-2, "batchSize": 4, "evalSteps": 0, "loggingSteps": 1}
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
        from arkor_dev.local.training.job_settings import EffectiveSettings
        from arkor_dev.local.training.plan import Plan
        from arkor_dev.local.training.rows.batches import packs

        settings = EffectiveSettings({"saveSteps": 0, "warmupSteps": 0, **common, **case["config"]})
        run.plan = Plan.of(settings, len(packs(run.train, PACKED)), 0, PACKED * run_packs)
    if case.get("resume"):
        points = [point for point, wrong in checked_points(data, "job") if wrong is None]
        run.resume_plan = ResumePlan(points, "It was interrupted.")
    return run


def outcome(run: TrainingLoop, pause: int | None = None) -> dict[str, Any]:
    """What a run came to: its end, the figures of its events and a hash of its weights."""
    run.stop.pausing = lambda: "asked" if pause == run.step else None
    try:
        ended = run.run().status
    except JobFailure as failure:
        ended = str(failure)
    except PeerLostError:
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


def shared(run: TrainingLoop, group: ProcessGroup) -> TrainingLoop:
    """The same run as one worker of ``group``; it sends its events as the worker of a job does."""
    from arkor_dev.local.training.distributed.run import DistributedRun
    from arkor_dev.local.training.run import TrainingLoop

    return DistributedRun(
        **{each.name: getattr(run, each.name) for each in fields(TrainingLoop) if each.init}, group=group
    )


def work(order: dict[str, Any], told: dict[str, Any], say: Say) -> None:
    """Be one of the workers."""
    meeting = Rendezvous.of(GroupMember(**told), say)  # type: ignore[arg-type]
    from arkor_dev.local.training.distributed.process_group import ProcessGroup

    assert meeting
    group = ProcessGroup(meeting, "cpu")
    for case in order["cases"]:
        data = Path(order["data"]) / case["name"]
        run = shared(run_of(Path(order["tiny"]), data, case), group)
        say.say(outcome(run, None if group.rank else case.get("pause")))


def forked(order: dict[str, Any], told: dict[str, Any]) -> tuple[int, IO[str]]:
    """Start one of the workers: its number, and what it says."""
    read, write = os.pipe()
    if pid := os.fork():
        os.close(write)
        return pid, os.fdopen(read)
    try:
        die_with_parent()
        os.close(read)
        work(order, told, Say(os.fdopen(write, "w")))
    except BaseException:  # noqa: BLE001 - it must not go on as a second parent
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def main() -> None:
    order = json.loads(sys.stdin.readline())
    warnings.simplefilter("ignore")
    importlib.import_module("arkor_dev.local.training.distributed.process_group")
    hosts = order["hosts"]
    workers: list[tuple[int, IO[str]]] = []
    meets: dict[str, Any] = {}
    for rank, host in enumerate(hosts):
        workers.append(
            forked(order, {"rank": rank, "count": len(hosts), "host": host, "token": "secret", **meets})
        )
        if not rank:
            meets = {"address": host, "port": json.loads(workers[0][1].readline())["address"]}
    with ThreadPoolExecutor(len(hosts)) as reading:
        said = list(reading.map(lambda worker: [json.loads(line) for line in worker[1]], workers))
    ended = [os.waitpid(pid, 0)[1] for pid, _ in workers]
    assert ended == [0] * len(hosts), ended
    sys.stdout.write(json.dumps(said))


if __name__ == "__main__":
    main()
