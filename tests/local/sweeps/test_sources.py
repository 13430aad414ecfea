"""Runs that compare sources, in the local backend: their configs, what is refused, and a true design."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.cli.main import main
from arkor_dev.contract.errors import BadRequestError
from arkor_dev.local.jobs.store import Store
from arkor_dev.local.sweeps import plan, record
from arkor_dev.local.sweeps.design import design
from arkor_dev.local.sweeps.messages import HeldOut
from arkor_dev.local.sweeps.plan import Conclude, Try
from arkor_dev.local.sweeps.record import SweepRecord, Trial
from arkor_dev.local.sweeps.service import Sweeps
from tests.local.conftest import CONFIG, make_project
from tests.local.harness import Backend, until
from tests.local.jobs.test_scheduler import scheduler_of, store
from tests.local.tiny_model import PHRASE, QUESTIONS
from tests.support.waiting import until as until_async

from .test_service import sweeps_of

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.contract.shapes import NewSweep
    from arkor_dev.local.jobs.async_store import AsyncStore

__all__ = ["store"]

PARTS: list[dict[str, Any]] = [
    {"type": "file", "path": "a.jsonl"},
    {"type": "file", "path": "b.jsonl", "weight": 2},
    {"type": "file", "path": "c.jsonl", "weight": 0},
    {"type": "file", "path": "d.jsonl"},
]
SOURCES: Any = {
    "model": CONFIG["model"],
    "datasetSource": {"type": "list", "sources": PARTS},
    "evalDatasetSource": {"type": "file", "path": "judges.jsonl"},
    "numTrainEpochs": 3,
    "earlyStoppingPatience": 2,
    "seed": 7,
}
BODY: NewSweep = {"name": "bot sources", "config": SOURCES, "sources": {}}


def write_sources(project: Path) -> None:
    """Rows that teach what judges want, rows that teach something else, and two in between."""
    answers = {"a": PHRASE, "b": PHRASE[:20], "c": PHRASE[20:], "d": "No. Never. Not at all. Go away."}
    for name, answer in answers.items():
        rows = [{"prompt": f"{name} {asked}", "completion": answer} for asked in QUESTIONS[:12]]
        (project / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    rows = [{"prompt": f"judge {asked}", "completion": PHRASE} for asked in QUESTIONS[12:24]]
    (project / "judges.jsonl").write_text("\n".join(map(json.dumps, rows)))


def sweep(**more: Any) -> SweepRecord:
    return SweepRecord("sweep_00000000000a", "s", "now", 0.0, SOURCES, {}, 7, runs=8, steps=20, **more)


def test_a_run_reads_every_source_and_trains_on_its_own() -> None:
    config: Any = plan.config_of(sweep(), Trial(3, {}, "job", sources=[1, 2]))
    weights = [part["weight"] for part in config["datasetSource"]["sources"]]
    assert weights == [0, 2, 1, 0]  # c has weight 0 so far, and is tried with 1
    assert (config["maxSteps"], config["seed"]) == (20, 7 + 1 + 3)
    assert config["evalDatasetSource"] == SOURCES["evalDatasetSource"]
    assert not {"numTrainEpochs", "earlyStoppingPatience"} & config.keys()
    other = plan.config_of(sweep(), Trial(4, {}, "job", sources=[0]))
    assert config["splitSeed"] == other["splitSeed"]


def test_a_design_ends_after_its_runs_or_a_failed_one() -> None:
    begun = sweep(rungs=[1.0])
    for number in range(8):
        assert plan.next_action(begun, 0.0) == Try()
        begun.trials.append(Trial(number, {}, "job", sources=[0]))
    assert plan.next_action(begun, 0.0) is None
    for trial in begun.trials:
        trial.losses, trial.ends, trial.steps = [1.0], ["t"], [20]
    assert plan.next_action(begun, 0.0) == Conclude()
    begun.trials[5].error = "It failed"
    assert plan.next_action(begun, 0.0) == Conclude("Run 5 failed: It failed")


@pytest.mark.parametrize(
    ("changes", "body", "words"),
    [
        ({"datasetSource": PARTS[0]}, {}, "over 3 to 12 sources, and this data set has 1: list several"),
        (
            {"datasetSource": {"type": "list", "sources": [*PARTS, {"type": "blob", "url": "https://x"}]}},
            {},
            "over files of the project",
        ),
        (
            {"evalDatasetSource": {"type": "blob", "url": "https://x"}},
            {},
            "over files of the project: download the evaluation rows",
        ),
        ({"evalDatasetSource": None}, {}, "would judge each by its own kind: set eval_dataset"),
        ({"evalSteps": 0, "earlyStoppingPatience": None}, {}, "eval_steps = 0 measures none"),
        ({"dryRun": True}, {}, "without dry_run"),
        ({}, {"sources": {"runs": 9}}, "must be one of 8, 12, 16 for 4 sources, not 9"),
        ({}, {"jobs": 4}, "has no space, deadline or jobs"),
        ({}, {"space": {"loraR": [8, 16]}}, "has no space, deadline or jobs"),
    ],
)
async def test_what_cannot_be_compared_is_refused(
    store: AsyncStore, tmp_path: Path, changes: dict[str, Any], body: NewSweep, words: str
) -> None:
    sweeps = sweeps_of(store, tmp_path, scheduler_of(store, tmp_path))
    write_sources(tmp_path)
    config = {field: value for field, value in {**SOURCES, **changes}.items() if value is not None}
    with pytest.raises(BadRequestError, match=words):
        await sweeps.start({**BODY, "config": config, **body})


@pytest.mark.parametrize(
    ("rows", "weight", "words"),
    [
        ([12, 0, 12, 12], 2, "b.jsonl leaves no row to train on"),
        ([12, 9, 12, 12], 0.05, "b.jsonl leaves no row to train on"),
    ],
)
async def test_a_source_without_rows_is_refused(
    store: AsyncStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    rows: list[int],
    weight: float,
    words: str,
) -> None:
    async def ask(*_: object) -> HeldOut:
        return HeldOut({"groups": 12, "share": None, "rows": rows})

    monkeypatch.setattr(Sweeps, "_ask", ask)
    sweeps = sweeps_of(store, tmp_path, scheduler_of(store, tmp_path))
    write_sources(tmp_path)
    parts = [PARTS[0], {**PARTS[1], "weight": weight}, *PARTS[2:]]
    config = {**SOURCES, "datasetSource": {"type": "list", "sources": parts}}
    with pytest.raises(BadRequestError, match=words):
        await sweeps.start({**BODY, "config": config})


async def test_too_few_judging_rows_are_refused(
    store: AsyncStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ask(*_: object) -> HeldOut:
        return HeldOut({"groups": 7, "share": None, "rows": [12] * 4})

    monkeypatch.setattr(Sweeps, "_ask", ask)
    sweeps = sweeps_of(store, tmp_path, scheduler_of(store, tmp_path))
    write_sources(tmp_path)
    with pytest.raises(BadRequestError, match="at least 8 independent rows, and this trainer holds out 7"):
        await sweeps.start(BODY)


async def test_a_restarted_backend_continues_the_design(
    store: AsyncStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ask(*_: object) -> HeldOut:
        return HeldOut({"groups": 12, "share": None, "rows": [12, 12, 6, 12]})

    monkeypatch.setattr(Sweeps, "_ask", ask)
    first = sweeps_of(store, tmp_path, scheduler_of(store, tmp_path))
    write_sources(tmp_path)
    begun = await first.start({**BODY, "sources": {"runs": 12}})
    scheduler = scheduler_of(store, tmp_path)
    sweeps = sweeps_of(store, tmp_path, scheduler)  # knows the design by its record alone
    await store.write(Store.arrange, None, True)
    async with asyncio.timeout(60), scheduler.running(), sweeps.running():
        await until_async(lambda: bool(sweeps.view(begun["id"])["trials"]))
        found = sweeps.view(begun["id"])
        inside = design(4, 12)[0]
        assert found["trials"][0]["sources"] == [number for number in range(4) if inside[number]]
        assert (found["runs"], found["rungs"]) == (12, [14])  # half of the 27 steps of a whole run
        stopped = await sweeps.stop(begun["id"])
    assert stopped["verdict"]["sentence"].startswith("No result: its runs say something together only")
    stored = record.read_all(tmp_path)[begun["id"]]
    assert (stored.runs, stored.rows) == (12, [12, 12, 6, 12])


TOML = """
[[trainer]]
name = "bot"
model = "./models/tiny"
dataset = ["a.jsonl", "b.jsonl", "c.jsonl", "d.jsonl"]
eval_dataset = "judges.jsonl"
learning_rate = 1e-2
batch_size = 8
warmup_steps = 0
number_format = "float32"
"""


@pytest.mark.engine
@pytest.mark.beside
@pytest.mark.ci
@pytest.mark.timeout(600)
def test_the_useful_and_the_harmful_source_are_found(
    tmp_path: Path,
    tiny: Path,
    home: Path,
    template: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    project = make_project(tmp_path / "tests", tiny)
    write_sources(project)
    (project / "arkor.toml").write_text(TOML)
    monkeypatch.chdir(project)
    monkeypatch.setenv("XDG_DATA_HOME", str(home / ".local" / "share"))
    backend = Backend.start(tmp_path / "data", project, tmp_path / "cache", **template)

    def command(*words: str) -> dict[str, Any]:
        backend.leave_word(project, home)
        assert main([*words, "--local", "--json"]) == 0
        found: dict[str, Any] = json.loads(capsys.readouterr().out)["sweep"]
        return found

    try:
        begun = command("sources", "bot", "--runs", "12", "--steps", "12")
        assert (begun["state"], begun["runs"], begun["space"]) == ("running", 12, {})
        until(lambda: backend.call("GET", "/v1/sweeps").json["sweeps"][0]["state"] != "running", 400)
        found = command("sweep", "status")
        assert found["state"] == "completed", found
        assert [trial["results"][0]["step"] for trial in found["trials"]] == [12] * 12
        jobs = backend.call("GET", "/v1/jobs").json["jobs"]
        assert {job["config"]["seed"] for job in jobs} == set(range(43, 55))
        effects = {effect["name"]: effect for effect in found["effects"]}
        assert effects["a.jsonl"]["effect"] == "helps", effects
        assert effects["a.jsonl"]["proposed"] == 2
        assert effects["d.jsonl"]["effect"] == "harms", effects
        assert effects["d.jsonl"]["proposed"] == 0
        assert {"low", "high", "mean"} == effects["b.jsonl"]["general"].keys()
        assert found["verdict"]["verdict"] == "effects"
        assert "a.jsonl helps (+" in found["verdict"]["sentence"]
    finally:
        backend.stop()
