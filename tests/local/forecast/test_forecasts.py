"""A job's forecast over the wire: measured once, known from then on, never in the way, and near the truth."""

from __future__ import annotations

import json
import resource
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.local.evaluation.end_marks import MOST
from tests.local.conftest import ENDLESS, SAMPLED, make_project
from tests.local.forking_backend import ANSWERS
from tests.local.harness import Backend, until
from tests.local.tiny_model import PHRASE, QUESTIONS, write_jsonl
from tests.support.own_time import OwnTime

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.engine, pytest.mark.beside, pytest.mark.timeout(400)]

WORKER = "arkor_dev.local.forecast.worker"
MIB = 2**20
SECONDS = 100
SAMPLES = 3
"""The base's sample answers are cached with two times; no other entry has as many values."""


@pytest.fixture(scope="module")
def forecasting(
    tmp_path_factory: pytest.TempPathFactory, tiny: Path, template: dict[str, str]
) -> Iterator[Backend]:
    """A backend of this module's own: forecasts wait while another test's job trains."""
    yield from backend_of(tmp_path_factory.mktemp("forecasts"), tiny, **template)


@pytest.fixture
def unforked(tmp_path: Path, tiny: Path) -> Iterator[Backend]:
    """One whose workers are children of its own, which a limit on it holds for."""
    yield from backend_of(tmp_path, tiny)


def backend_of(root: Path, tiny: Path, **env: str) -> Iterator[Backend]:
    """A backend below ``root``, in whose log nothing may be in the end."""
    project = make_project(root / "tests", tiny)
    asked = QUESTIONS  # no beginning in common, which would be computed once
    long = [{"prompt": asked[n % len(asked)], "completion": f"{PHRASE} " * 14} for n in range(60)]
    write_jsonl(project / "data" / "long.jsonl", long)
    backend = Backend.start(root / "data", project, root / "cache", **env)
    yield backend
    backend.stop()
    assert backend.errors == []


LONG: dict[str, Any] = {
    **SAMPLED,
    "datasetSource": {"type": "file", "path": "data/long.jsonl"},
    "batchSize": 48,
}


def ask(backend: Backend, config: dict[str, Any]) -> dict[str, Any]:
    answer = backend.call("POST", "/v1/forecast", {"config": config})
    assert answer.status == 200, answer.body
    forecast: dict[str, Any] = answer.json["forecast"]
    return forecast


def measured(backend: Backend, config: dict[str, Any]) -> dict[str, Any]:
    """The forecast, once it is there."""

    def look() -> dict[str, Any] | None:
        forecast = ask(backend, config)
        assert forecast["state"] != "failed", forecast
        return forecast if forecast["state"] == "measured" else None

    found: dict[str, Any] = until(look, SECONDS)
    return found


def test_a_forecast_is_measured_once(forecasting: Backend) -> None:
    first = ask(forecasting, SAMPLED)
    assert first["state"] in ("waiting", "measuring")
    path = f"/v1/forecast/{first['id']}"
    progress = until(lambda: forecasting.call("GET", path).json["forecast"].get("progress"), SECONDS)
    assert progress["label"]
    forecast = measured(forecasting, SAMPLED)
    assert forecast["id"] == first["id"]
    assert (forecast["rows"], forecast["cutRows"], forecast["steps"], forecast["checkpoints"]) == (
        60,
        0,
        30,
        3,
    )
    assert forecast["tokens"] > forecast["learnedTokens"] > 54 * 5
    assert forecast["seconds"] == pytest.approx(
        sum(
            forecast[f"{part}Seconds"] for part in ("loading", "training", "evaluation", "saving", "samples")
        ),
        abs=0.3,
    )
    assert forecast["samplesSeconds"] > 0
    assert forecast["fits"] is True
    assert forecast["memory"]["freeBytes"] > forecast["memory"]["peakBytes"] > 200 * MIB
    # Settings that change neither a step's time nor its memory need no new measurement.
    seconds, training = [], []
    for steps in (30_000, 60_000, 90_000):
        own = OwnTime(forecasting.process.pid)
        more = ask(forecasting, {**SAMPLED, "maxSteps": steps, "learningRate": 1e-3})
        seconds.append(own.seconds)
        assert more["state"] == "measured"
        assert more["id"] != forecast["id"]
        training.append(more["trainingSeconds"])
    assert min(seconds) < 2  # a disk may stall once
    assert training[0] > 20 * forecast["trainingSeconds"]  # though its few steps were held up for seconds
    assert training[2] - training[1] == pytest.approx(training[1] - training[0], abs=0.3)
    assert ask(forecasting, {**SAMPLED, "batchSize": 5})["state"] != "measured"


def test_a_job_comes_near_its_forecast(
    forecasting: Backend, tmp_path_factory: pytest.TempPathFactory
) -> None:
    forecast = measured(forecasting, LONG)
    config = {**LONG, "maxSteps": 6}
    job = forecasting.submit(config)
    kept = forecasting.job(job)["forecast"]
    assert kept["steps"] == 6
    assert kept["memory"]["peakBytes"] <= forecast["memory"]["peakBytes"]
    forecasting.wait_for(job, "end")
    done = forecasting.job(job)
    assert done["forecast"] == kept
    assert done["metrics"]["peakBytes"] == pytest.approx(kept["memory"]["peakBytes"], rel=0.1)
    # The batch of 48 long rows is a large part: the rest, with the libraries, differs from build to build.
    assert done["metrics"]["peakBytes"] > measured(forecasting, SAMPLED)["memory"]["peakBytes"] + 100 * MIB
    # The forecast knows by which keys the run keeps what it measured of the base, and what the base answered.
    data = next(tmp_path_factory.getbasetemp().glob("forecasts*")) / "data"
    told = [each["comparing"] for each in json.loads((data / "forecasts.json").read_text()).values()]
    known = json.loads((data / "base-losses.json").read_text()).items()
    known = {key: value for key, value in known if len(value) != SAMPLES}
    keys = {key for each in told for kind in ("keys", "answers") for key in each[kind].values()}
    assert known.keys() <= keys
    assert Counter(map(len, known.values())) >= Counter([6, 6, ANSWERS[0], 48 + MOST])


def test_what_a_job_needs_of_its_base_is_known_before_it_starts(
    tmp_path: Path, tiny: Path, template: dict[str, str]
) -> None:
    """Once it is estimated: replayed answers, sample answers, losses, and answers to general questions."""
    backend = backend_of(tmp_path, tiny, **template)
    forecasting = next(backend)
    config = {**SAMPLED, "replay": 0.2, "maxSteps": 10, "saveSteps": 5}
    measured(forecasting, config)
    file = tmp_path / "data" / "base-losses.json"

    def cached() -> dict[str, Any]:
        found: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
        return found

    def samples() -> list[Any]:
        return [
            entry[-1]
            for entry in cached().values()
            if len(entry) == SAMPLES and isinstance(entry[0], float) and isinstance(entry[-1], list)
        ]

    until(lambda: bool(samples()), SECONDS)  # the last to be made
    known = cached()
    told = json.loads((tmp_path / "data" / "forecasts.json").read_text()).values()
    assert [key for each in told for key in each["comparing"]["answers"].values() if key in known]
    job = forecasting.submit(config)
    forecasting.wait_for(job, "end")
    assert cached() == known, "the job computed something of its base again"
    frames = [frame.json for frame in forecasting.events(job) if frame.event == "sample.created"]
    of_base = [frame["answer"] for frame in frames if frame["step"] == 0]
    assert len(of_base) == 3
    assert of_base in [[text for text, _ in answers] for answers in samples()]
    assert forecasting.job(job)["evaluation"]["general"]["answers"]["base"]["tokens"] > 0
    next(backend, None)


def own_seconds(forecasting: Backend, data: Path, config: dict[str, Any]) -> tuple[dict[str, Any], float]:
    """The forecast of a config that is measured now, and what of it is for its own sets."""

    def kept() -> dict[str, Any]:
        told: dict[str, Any] = json.loads((data / "forecasts.json").read_text())
        return told

    before = kept()
    forecast = measured(forecasting, config)
    (entry,) = (told for key, told in kept().items() if key not in before and told["comparing"]["own"])
    return forecast, entry["comparing"]["own"]


def test_evaluation_sets_take_forecast_time(
    forecasting: Backend, tmp_path_factory: pytest.TempPathFactory
) -> None:
    own = [
        {"name": "answers", "path": "data/chats.jsonl", "metric": "contains"},
        {"name": "losses", "path": "data/long.jsonl"},
    ]
    data = next(tmp_path_factory.getbasetemp().glob("forecasts*")) / "data"
    measured(forecasting, SAMPLED)
    assert not any(
        each["comparing"]["own"] for each in json.loads((data / "forecasts.json").read_text()).values()
    )
    for sets in (own[:1], own):
        # What two measurements say may differ by as much, where the machine stood still in one of them.
        forecast, seconds = own_seconds(forecasting, data, {**SAMPLED, "evaluations": sets})
        # 60 questions are answered by two models: 8 times 32 tokens by the base alone.
        assert forecast["evaluationSeconds"] >= round(seconds, 1) > 0.2
        assert forecast["trainingSeconds"] > 0


def test_choosing_a_strength_takes_forecast_time(
    forecasting: Backend, tmp_path_factory: pytest.TempPathFactory
) -> None:
    data = next(tmp_path_factory.getbasetemp().glob("forecasts*")) / "data"
    measured(forecasting, SAMPLED)
    forecast, seconds = own_seconds(forecasting, data, {**SAMPLED, "maxHarm": 0.2})
    # Eleven times the 64 questions, which the comparison asks twice at most.
    assert forecast["evaluationSeconds"] >= round(seconds, 1) > 0.1


def test_a_measurement_yields_to_a_job(forecasting: Backend) -> None:
    config = {**SAMPLED, "batchSize": 3}
    forecast = ask(forecasting, config)
    path = f"/v1/forecast/{forecast['id']}"
    until(lambda: forecasting.processes(WORKER), SECONDS)
    job = forecasting.submit({**ENDLESS, "batchSize": 3})
    assert "forecast" not in forecasting.job(job)
    until(lambda: not forecasting.processes(WORKER))
    forecasting.wait_for(job, "training.log")
    assert forecasting.call("GET", path).json["forecast"] == {"id": forecast["id"], "state": "waiting"}
    assert not forecasting.processes(WORKER)
    # What is known is said beside a job as well, though not whether it would fit then.
    assert "fits" not in ask(forecasting, LONG)
    forecasting.call("POST", f"/v1/jobs/{job}/cancel")
    assert measured(forecasting, config)["fits"]


def test_a_measurement_can_be_cancelled(forecasting: Backend) -> None:
    until(lambda: not forecasting.processes(WORKER), SECONDS)  # another test has asked and not awaited
    forecast = ask(forecasting, {**SAMPLED, "batchSize": 2})
    path = f"/v1/forecast/{forecast['id']}"
    until(lambda: forecasting.processes(WORKER), SECONDS)
    assert forecasting.call("DELETE", path).status == 204
    until(lambda: not forecasting.processes(WORKER))
    assert forecasting.call("GET", path).status == 404
    assert forecasting.call("DELETE", path).status == 404


def test_an_impossible_measurement_has_its_reason(forecasting: Backend, tmp_path: Path) -> None:
    far = ask(forecasting, {**SAMPLED, "model": "owner/a-model-of-the-hub"})
    assert (far["state"], far["error"]) == (
        "failed",
        "The model owner/a-model-of-the-hub is not downloaded yet: its first run does that",
    )
    short = ask(forecasting, {**LONG, "maxLength": 8})
    answer = until(
        lambda: (found := ask(forecasting, {**LONG, "maxLength": 8}))["state"] == "failed" and found, SECONDS
    )
    assert answer["id"] == short["id"]
    assert "max_length 8 truncates it before the answer" in answer["error"]


@pytest.mark.ci
def test_an_out_of_memory_error_names_forecast_and_fixes(unforked: Backend) -> None:
    """A limit below the forecast: a run of which that is known does not begin, another is ended by it."""
    import torch

    if torch.version.cuda is not None:
        pytest.skip("a CUDA build's libraries take hundreds of MB that a limit on data does not count")
    config = {**LONG, "samples": "off"}
    limit = int(measured(unforked, config)["memory"]["peakBytes"] / 1.15)
    pid = unforked.process.pid
    before = resource.prlimit(pid, resource.RLIMIT_DATA)
    try:
        # It has begun when memory becomes short, for it and for all that is started after it.
        ended = unforked.submit({**config, "maxSteps": 1000})
        unforked.wait_for(ended, "training.started")
        (worker,) = unforked.processes("training.worker")
        resource.prlimit(worker, resource.RLIMIT_DATA, (limit // 2, before[1]))
        resource.prlimit(pid, resource.RLIMIT_DATA, (limit, before[1]))
        frame = unforked.wait_for(ended, "training.failed")
        assert frame.json["outOfMemory"] is True
        error = frame.json["error"]
        assert "The machine ran out of memory" in error
        assert "It was estimated to take" in error
        assert "What would fit: " in error
        job = unforked.submit({**config, "maxSteps": 6})
        (frame,) = [frame for frame in unforked.events(job) if frame.id]
        assert (frame.event, frame.json["outOfMemory"]) == ("training.failed", True)
        error = frame.json["error"]
        peak = unforked.job(job)["forecast"]["memory"]["peakBytes"]
        said = f"It was estimated to take {peak / 1e6:.0f} MB"
        assert error.startswith(f"Not started, since it cannot fit into memory. {said}")
        # The longest batch of six steps is shorter than that of thirty.
        forecast = ask(unforked, {**config, "maxSteps": 6})
        assert forecast["memory"]["freeBytes"] == limit
        assert forecast["fits"] is False
        fix = forecast["fixes"][0]
        assert fix["words"] in error
        assert fix["settings"]["batchSize"] < 48
        job = unforked.submit({**config, "maxSteps": 6, **fix["settings"]})
        unforked.wait_for(job, "end")
        assert unforked.job(job)["status"] == "completed"
    finally:
        resource.prlimit(pid, resource.RLIMIT_DATA, before)
