"""The process that computes what a job needs of its base model, before that job is started.

The base's losses on held-out rows and general questions, and its answers to replayed prompts, sample prompts
and general questions, depend on no step. A job that finds them in the cache (``evaluation.base_losses``)
spends its time on steps. Like a measurement, it is the first process to be killed if memory runs out, and
ends when a job starts: what is cached by then is kept.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from arkor_dev.local.evaluation.answers import Stopped
from arkor_dev.local.models.catalog import Model
from arkor_dev.local.training.preparation import RunPreparation
from arkor_dev.local.training.run_events import RunEvents
from arkor_dev.local.workers.link import serve

from .messages import WarmCache, Warmed

if TYPE_CHECKING:
    from arkor_dev.local.training.run import TrainingLoop
    from arkor_dev.local.workers.link import Link

NICE: Final = 10
SECONDS: Final = 120.0
"""Maximum processor time of each thread, in seconds: a large model takes too long for what it saves."""


def warm(request: WarmCache, link: Link) -> Warmed:
    """Fill the cache for a job whose model is the next message."""
    preparation = RunPreparation(request.job, RunEvents(lambda *_: None), lambda *_: None)
    preparation.read()
    preparation.load(link.receive(Model))
    preparation.encode()
    run = preparation.make_run()
    run.begin()
    return fill_cache(preparation, run)


def fill_cache(preparation: RunPreparation, run: TrainingLoop) -> Warmed:
    """Fill the cache for ``run``, which has begun, in the order in which the job needs the entries."""
    import torch

    from arkor_dev.local.training.final_evaluation.measure import stage_of
    from arkor_dev.local.training.greedy import switched_off
    from arkor_dev.local.training.samples.sampler import Samples, switches_off

    if not switches_off(run):  # the job's model and its base differ in more than the adapter
        return Warmed(complete=True)

    until: float = time.process_time() + SECONDS * torch.get_num_threads()

    def stopped() -> bool:
        return time.process_time() > until

    try:
        with switched_off(run.model):
            if replay := run.replay:
                for batch in replay.remaining:
                    replay.answer(batch, run.loss, run.base, run.base_losses(), stopped)
            stage_of(preparation, run, stopped, quiet=True).warm_cache(run.loss)
            Samples(preparation, stopped, time.monotonic()).warm_cache(run)
    except Stopped:
        return Warmed(complete=False)
    finally:
        run.loss.close()
    return Warmed(complete=True)


def be_killed_first() -> None:
    """Ask the operating system to kill this process first if memory runs out."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


if __name__ == "__main__":
    be_killed_first()
    serve(WarmCache, warm, lambda error: f"{type(error).__name__}: {error}", nice=NICE)
