"""What a worker tells of its end: the last stage of a job can be cancelled and paused as its steps can."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("torch")

from arkor_dev.local.execution.messages import Ended, JobRequest, Pause
from arkor_dev.local.models.catalog import Model
from arkor_dev.local.training import worker
from arkor_dev.local.training.job_settings import EffectiveSettings
from arkor_dev.local.training.worker import TrainingWork
from tests.local.job_configs import config_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from arkor_dev.local.workers.codec import Message

pytestmark = [
    pytest.mark.engine,
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"),
]


class Link:
    """The pipe to the backend."""

    def __init__(self, job: JobRequest) -> None:
        self._messages: list[Message] = [job, Model("model", Path("model"))]
        self.sent: list[Message] = []

    def receive(self, _: object) -> Message:
        return self._messages.pop(0)

    def send(self, message: Message) -> None:
        self.sent.append(message)

    def progress(self, *_: Any) -> None:
        pass


class Preparation:
    """One whose run is over at once."""

    def __init__(self, *_: Any) -> None:
        self.settings = EffectiveSettings({})
        self.train_rows: list[Any] = []
        self.eval_rows: list[Any] = []

    def read(self) -> None:
        pass

    load = encode = lambda self, *_: None

    def make_run(self, *_: Any) -> Any:
        base = SimpleNamespace(gpu_peaks=lambda: [4_800_000_000])
        end = Ended({"type": "training.completed", "metrics": {"steps": 9}})
        return SimpleNamespace(step=9, base=base, run=lambda: end)


@pytest.mark.parametrize(
    ("stopped", "end", "fields"),
    [
        (lambda work: None, "completed", {"steps": 9, "gpuPeakBytes": [4_800_000_000]}),
        (lambda work: work.cancel.set(), "cancelled", {}),
        (lambda work: work._pause(Pause("ended")), "paused", {"step": 9, "reason": "ended"}),
    ],
)
def test_an_interrupted_comparison_leaves_the_job_unchanged(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stopped: Callable[[TrainingWork], None],
    end: str,
    fields: dict[str, Any],
) -> None:
    from arkor_dev.local.training.final_evaluation import measure
    from arkor_dev.local.training.samples import sampler

    judged: list[bool] = []

    class Samples:
        def __init__(self, *_: Any) -> None:
            pass

        def follow(self, run: Any) -> Any:
            return run

        def end(self) -> bool:
            assert judged, "a person waits for the verdict"
            return True

    class FinalEvaluation:
        def __init__(self, _: object, cancelled: Callable[[], bool]) -> None:
            self._cancelled = cancelled

        def follow(self, run: Any) -> Any:
            return run

        def judge(self) -> bool:
            judged.append(True)
            stopped(work)
            return not self._cancelled()

    monkeypatch.setattr(worker, "RunPreparation", Preparation)
    monkeypatch.setattr(worker, "MetricsSampler", lambda *_: nullcontext())
    monkeypatch.setattr(measure, "FinalEvaluation", FinalEvaluation)
    monkeypatch.setattr(sampler, "Samples", Samples)
    link = Link(JobRequest("job", config_of({}), str(tmp_path), str(tmp_path)))
    monkeypatch.setattr(worker, "Link", lambda commands: link)
    work = TrainingWork()
    work.train()
    (said,) = [message for message in link.sent if isinstance(message, Ended)]
    assert said.status == end
    told: Any = said.event.get("metrics", said.event)
    assert {key: value for key, value in told.items() if key not in ("type", "peakBytes")} == fields
