"""A run that is interrupted and goes on comes to the same bits as one that is not."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.contract.units import format_bytes
from arkor_dev.local.checkpoints.resume_points import ResumePlan, checked_points
from arkor_dev.local.execution.messages import JobRequest
from arkor_dev.local.jobs import atomic_folder, disk
from arkor_dev.local.jobs.atomic_folder import PART
from arkor_dev.local.jobs.job_folder import (
    STATE,
    checkpoint_folder,
    checkpoint_steps,
    final_folder,
    resume_steps,
)
from arkor_dev.local.models.catalog import Model
from arkor_dev.local.workers.errors import JobFailure
from tests.local.job_configs import config_of
from tests.local.tiny_model import PHRASE, QUESTIONS, write_jsonl
from tests.local.tiny_run import Events, events_of, made_up, metrics_of, pause_of, set_up
from tests.support.in_ci import others_in_ci

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from arkor_dev.local.training.run import TrainingLoop

pytestmark = [
    pytest.mark.engine,
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"),
]

STEPS = 9
SETTINGS: list[tuple[str, dict[str, Any]]] = [
    (
        "dropout, noise, accumulation",
        {"loraDropout": 0.1, "neftuneNoiseAlpha": 5, "gradientAccumulationSteps": 2},
    ),
    ("packs", {"packing": True, "loraDropout": 0.1, "batchSize": 2, "optim": "adafactor"}),
    (
        "by length, patience",
        {"groupByLength": True, "batchSize": 3, "optim": "lion", "earlyStoppingPatience": 20, "evalSteps": 2},
    ),
    ("pissa", {"initLoraWeights": "pissa", "useRslora": True, "loggingSteps": 2}),
    ("whole, replayed", {"fullFineTuning": True, "optim": "sgd", "learningRate": 1e-3, "replay": 0.3}),
    (
        "near the base, on own rows",
        {"baseKl": 0.5, "loraDropout": 0.1, "batchSize": 3, "replayDataset": "own.jsonl"},
    ),
]


def begin(tiny: Path, data: Path, config: dict[str, Any], **more: Any) -> TrainingLoop:
    data.mkdir(exist_ok=True)
    held_out = 4 if "evalSteps" in config else 0
    train = made_up(14)
    packed = 40 if config.get("packing") else 0
    run = set_up(
        tiny,
        data,
        {"maxSteps": STEPS, "learningRate": 1e-2, "batchSize": 4, **config},
        held_out,
        train=train,
        job_id="job",
        **more,
    )
    if packed:
        from arkor_dev.local.training.job_settings import EffectiveSettings
        from arkor_dev.local.training.plan import Plan
        from arkor_dev.local.training.rows.batches import packs

        settings = EffectiveSettings({"saveSteps": 0, "warmupSteps": 0, "maxSteps": STEPS, **config})
        run.plan = Plan.of(settings, len(packs(train, packed)), held_out, packed)
    return run


def points(data: Path) -> ResumePlan:
    return ResumePlan([point for point, wrong in checked_points(data, "job") if wrong is None], "Why.")


def bytes_of(data: Path) -> bytes:
    (weights,) = final_folder(data, "job").glob("*model.safetensors")
    return weights.read_bytes()


def pausing_after(step: int) -> Callable[[TrainingLoop], None]:
    def arrange(run: TrainingLoop) -> None:
        run.stop.pausing = lambda: "asked" if run.step >= step else None

    return arrange


@pytest.mark.numeric
@pytest.mark.parametrize(
    "config", others_in_ci(config for _, config in SETTINGS), ids=[name for name, _ in SETTINGS]
)
def test_a_paused_run_resumes_to_the_same_bits(tiny: Path, tmp_path: Path, config: dict[str, Any]) -> None:
    """It is paused twice, between two reports; figures and adapter are those of an undisturbed run."""
    whole = begin(tiny, tmp_path / "whole", config)
    assert whole.run().status == "completed"
    seen: list[tuple[str, dict[str, Any]]] = []
    for stop in (3, 5, STEPS):
        run = begin(tiny, tmp_path / "data", config, resume_plan=points(tmp_path / "data") if seen else None)
        if stop < STEPS:
            pausing_after(stop)(run)
        end = run.run()
        seen += events_of(run).calls
        if stop < STEPS:
            assert pause_of(end) == {"type": "training.paused", "step": stop, "reason": "asked"}
            assert resume_steps(tmp_path / "data", "job") == [stop]
    assert end.status == "completed"
    assert bytes_of(tmp_path / "data") == bytes_of(tmp_path / "whole")
    for figure in ("loss", "evalLoss", "learningRate"):
        found = [fields[figure] for name, fields in seen if name == "training.log" and figure in fields]
        assert found == events_of(whole).figures(figure)
    assert [fields["step"] for name, fields in seen if name == "training.resumed"] == [3, 5]


def mixed(tiny: Path, folder: Path, **more: Any) -> TrainingLoop:
    """A job on two weighted sources, prepared from their files as its worker does at each start."""
    from arkor_dev.local.training.preparation import RunPreparation

    sources = [("a", 2), ("b", 0.5)]
    for name, _ in sources:
        rows = [{"prompt": f"{name}: {asked}", "completion": PHRASE} for asked in QUESTIONS[:6]]
        write_jsonl(folder / f"{name}.jsonl", rows)
    parts = [{"type": "file", "path": f"{name}.jsonl", "weight": weight} for name, weight in sources]
    config = {
        "model": "m", "datasetSource": {"type": "list", "sources": parts}, "maxSteps": STEPS, "batchSize": 4,
        "learningRate": 1e-2, "evalSteps": 0, "saveSteps": 0, "loraDropout": 0.1, "numberFormat": "float32",
    }  # fmt: skip
    (folder / "data").mkdir(exist_ok=True)
    job = JobRequest("job", config_of(config), str(folder / "data"), str(folder), **more)
    preparation = RunPreparation(job, Events(), lambda *_: None)
    preparation.read()
    preparation.load(Model("m", tiny))
    preparation.encode()
    assert len(preparation.train) == 2 * 6 + 3
    return preparation.make_run()


@pytest.mark.numeric
def test_a_paused_run_resumes_with_the_same_mixture(tiny: Path, tmp_path: Path) -> None:
    """It is paused in the second epoch; weights decide again which rows are used, and how often."""
    for name in ("whole", "paused"):
        (tmp_path / name).mkdir()
    whole = mixed(tiny, tmp_path / "whole")
    assert whole.run().status == "completed"
    run = mixed(tiny, tmp_path / "paused")
    pausing_after(6)(run)
    assert pause_of(run.run())["step"] == 6
    losses = events_of(run).figures("loss")
    run = mixed(tiny, tmp_path / "paused", resume={"why": "Why.", "kept": 6})
    assert run.run().status == "completed"
    assert ("training.resumed", {"step": 6, "message": "Why."}) in events_of(run).calls
    assert losses + events_of(run).figures("loss") == events_of(whole).figures("loss")
    assert bytes_of(tmp_path / "paused" / "data") == bytes_of(tmp_path / "whole" / "data")


@pytest.mark.numeric
def test_a_killed_run_resumes_from_its_newest_complete_checkpoint(tiny: Path, tmp_path: Path) -> None:
    config = {"saveSteps": 2, "loraDropout": 0.1}
    begin(tiny, tmp_path / "whole", config).run()
    run = begin(tiny, tmp_path / "data", config)
    pausing_after(7)(run)
    run.run()
    shutil.rmtree(tmp_path / "data" / "jobs" / "job" / "resume")  # as a kill leaves it
    torn = checkpoint_folder(tmp_path / "data", "job", 6) / STATE
    torn.write_bytes(torn.read_bytes()[:-1])
    found = [(point.step, wrong) for point, wrong in checked_points(tmp_path / "data", "job")]
    assert found == [(6, "state.pt has a different size than was written"), (4, None), (2, None)]
    run = begin(tiny, tmp_path / "data", config, resume_plan=points(tmp_path / "data"))
    assert run.run().status == "completed"
    assert bytes_of(tmp_path / "data") == bytes_of(tmp_path / "whole")
    assert checkpoint_steps(tmp_path / "data", "job") == [2, 4, 6, 8]
    saved = [fields["step"] for name, fields in events_of(run).calls if name == "checkpoint.saved"]
    assert saved == [6, 8]


def test_pickled_and_foreign_states_are_not_loaded(tiny: Path, tmp_path: Path) -> None:
    """Its hash is right, as whoever can write the file can write the manifest too."""
    import torch

    from arkor_dev.local.jobs.atomic_folder import write_atomically

    class Program:
        def __reduce__(self) -> tuple[Any, ...]:
            return (tmp_path.joinpath("ran").touch, ())

    def hostile(folder: Path) -> None:
        torch.save({"format": 1, "weights": Program()}, folder / STATE)

    def foreign(folder: Path) -> None:
        torch.save({"format": 1, "weights": {"other": torch.zeros(2)}}, folder / STATE)

    config = {"saveSteps": 2}
    run = begin(tiny, tmp_path, config)
    pausing_after(2)(run)
    run.run()
    write_atomically(checkpoint_folder(tmp_path, "job", 4), hostile, {"job": "job", "step": 4})
    write_atomically(checkpoint_folder(tmp_path, "job", 3), foreign, {"job": "job", "step": 3})
    run = begin(tiny, tmp_path, config, resume_plan=points(tmp_path))
    run.run()
    assert not (tmp_path / "ran").exists()
    said = [fields["message"] for name, fields in events_of(run).calls if name == "training.message"]
    assert [text.partition(":")[0] for text in said[:2]] == [
        "The checkpoint of step 4 is skipped",
        "The checkpoint of step 3 is skipped",
    ]
    assert ("training.resumed", {"step": 2, "message": "Why."}) in events_of(run).calls


@pytest.mark.numeric
def test_a_full_disk_pauses_at_a_save_which_is_repeated(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = {"saveSteps": 3}
    begin(tiny, tmp_path / "whole", config).run()
    monkeypatch.setenv(disk.LEAST_FREE, str(1 << 60))
    run = begin(tiny, tmp_path / "data", config)
    event = pause_of(run.run())
    assert (event["step"], event["reason"]) == (3, "disk")
    assert "must stay free" in event["message"]
    assert checkpoint_steps(tmp_path / "data", "job") == []
    monkeypatch.setenv(disk.LEAST_FREE, "0")
    # In the middle of a checkpoint, and of the last folder of all, which a library's own words tell.
    monkeypatch.setattr(atomic_folder, "_is_full", lambda *_: True)
    for place in (checkpoint_folder(tmp_path / "data", "job", 6), final_folder(tmp_path / "data", "job")):
        run = begin(tiny, tmp_path / "data", config, resume_plan=points(tmp_path / "data"))
        save = run.save

        def fails(part: Path, save: Any = save, place: Path = place) -> None:
            save(part)
            if part.name == f"{place.name}{PART}":
                raise RuntimeError("PytorchStreamWriter failed writing file")

        monkeypatch.setattr(run, "save", fails)
        event = pause_of(run.run())
        assert (event["reason"], place.exists()) == ("disk", False)
        assert event["needs"] > 0
        assert f"The job resumes when {format_bytes(event['needs'])} are free." in event["message"]
        assert "arkor-dev local gc" in event["message"]
    run = begin(tiny, tmp_path / "data", config, resume_plan=points(tmp_path / "data"))
    assert run.run().status == "completed"
    assert checkpoint_steps(tmp_path / "data", "job") == [3, 6, 9]
    assert bytes_of(tmp_path / "data") == bytes_of(tmp_path / "whole")


@pytest.mark.numeric
def test_an_extended_run_equals_a_longer_one(tiny: Path, tmp_path: Path) -> None:
    config = {"lrSchedulerType": "constant", "loraDropout": 0.1, "evalSteps": 100, "earlyStoppingPatience": 1}
    begin(tiny, tmp_path / "whole", config).run()
    begin(tiny, tmp_path / "data", {**config, "maxSteps": 5}).run()
    assert resume_steps(tmp_path / "data", "job") == [5]
    resume_plan = points(tmp_path / "data")
    run = begin(
        tiny, tmp_path / "data", config, resume_plan=ResumePlan(resume_plan.points, "Why.", further=5)
    )
    assert metrics_of(run.run())["steps"] == STEPS
    # The evaluation at the first end draws no random numbers.
    assert bytes_of(tmp_path / "data") == bytes_of(tmp_path / "whole")


def test_a_restarted_schedule_warms_up_again() -> None:
    from arkor_dev.local.training.job_settings import EffectiveSettings
    from arkor_dev.local.training.schedule import Schedule

    settings = EffectiveSettings({"warmupSteps": 2})
    first, second = Schedule.of(settings, 10, 1.0), Schedule.of(settings, 30, 1.0, 20)
    assert [first.rate_at(step) for step in range(1, 11)] == [second.rate_at(step) for step in range(21, 31)]


@pytest.mark.numeric
@pytest.mark.parametrize("config", [{}, {"fullFineTuning": True, "optim": "sgd"}], ids=["adapter", "whole"])
def test_a_branch_starts_from_its_parents_weights(tiny: Path, tmp_path: Path, config: dict[str, Any]) -> None:
    """Its weights alone: the optimizer is its own, and steps count from 1."""
    import torch

    begin(tiny, tmp_path / "first", config).run()
    parent = final_folder(tmp_path / "first", "job")
    branch = begin(tiny, tmp_path / "branch", {**config, "maxSteps": 2}, parent=parent)
    branch.begin()
    from safetensors.torch import load_file

    (path,) = parent.glob("*model.safetensors")
    saved = load_file(path)
    for name, weight in branch.parts.weights.items():
        assert torch.equal(weight, saved[name.replace(".default.", ".")]), name
    assert branch.optimizer.state_dict()["state"] == {}
    assert metrics_of(branch.run())["steps"] == 2
    other = begin(tiny, tmp_path / "other", {**config, "loraR": 4}, parent=parent)
    if not config:
        with pytest.raises(JobFailure, match="starts from has no"):
            other.begin()
