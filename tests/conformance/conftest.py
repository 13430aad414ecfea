"""Which backends are held to docs/contract.md: the tests' own and the local one, or the one that is named.

``ARKOR_CONFORMANCE_URL`` and ``ARKOR_CONFORMANCE_TOKEN`` name one. Its scope is its first organisation and
project unless ``ARKOR_CONFORMANCE_SCOPE`` says another (``org/project``); ``ARKOR_CONFORMANCE_CONFIG`` is the
config, as JSON, of a job that it can run. These tests create jobs there, and cancel or finish them.
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.backend.unix_address import address_of
from tests.local.conftest import made_once, make_project
from tests.local.forking_backend import worker_template
from tests.local.harness import TOKEN as LOCAL_TOKEN
from tests.local.harness import Backend
from tests.local.tiny_model import OWN_SYNTAX, chats, write_jsonl
from tests.support.fake_backend import ORG, PROJECT, TOKEN, FakeBackend
from tests.support.fake_job_rows import NOTHING
from tests.support.fake_samples import answer_prompts

from .target import Frame, Target, first, history_of, until
from .test_features import BUILT

if TYPE_CHECKING:
    from collections.abc import Iterator

ELSEWHERE = os.environ.get("ARKOR_CONFORMANCE_URL", "")
TARGETS = (
    ["elsewhere"]
    if ELSEWHERE
    else [
        pytest.param("fake", marks=pytest.mark.xdist_group("conformance of the fake backend")),
        pytest.param(
            "local", marks=[pytest.mark.engine, pytest.mark.xdist_group("conformance of the local backend")]
        ),
    ]
)
"""Each is started once, so all its tests go to one worker."""
WITH_SETTINGS = TARGETS[-1:]
"""Of our own two the last alone tells what a job ran with; one that is named is asked."""
HERE = Path(__file__).parent
STEPS = 4
QUESTION = [{"role": "user", "content": "Where is my parcel?"}]
KEPT: dict[str, object] = {"aFieldThatNobodyKnows": {"kept": [1, None, "é"]}, "setByHand": ["maxSteps"]}
"""What a backend gives back with a job's config and does nothing with."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put what needs the endless job of a backend last, so that it takes a processor for as short as it can.

    Give each test the time of all the jobs that are made once, since it may be the one that makes them.
    """
    places = [place for place, item in enumerate(items) if item.path.parent == HERE]
    ours = sorted((items[place] for place in places), key=_turn)
    for place, item in zip(places, ours, strict=True):
        items[place] = item
        if not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(600))


def _turn(item: pytest.Item) -> tuple[str, bool]:
    """All tests of one backend together, and last those of its endless job.

    A job that is made to be cancelled at once costs no process behind that one.
    """
    if not isinstance(item, pytest.Function):
        return "", False
    params = item.callspec.params if hasattr(item, "callspec") else {}
    return str(params.get("target", "")), not {"endless", "over"}.isdisjoint(item.fixturenames)


@pytest.fixture(scope="package")
def template() -> dict[str, str]:
    """As the local backend's own tests have it."""
    return worker_template()


@pytest.fixture(scope="package", params=TARGETS)
def target(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """The backend under test; it lives as long as these tests run, and no test may end it."""
    match request.param:
        case "fake":
            opened = fake_target()
        case "local":
            template = request.getfixturevalue("template")
            opened = local_target(tmp_path_factory.mktemp("local"), made_once(tmp_path_factory), template)
        case _:
            opened = named_target()
    with opened as target:
        yield target


@contextmanager
def fake_target() -> Iterator[Target]:
    """The tests' own backend in a thread of its own, with somebody who trains what it is given."""
    loop, fake = asyncio.new_event_loop(), FakeBackend()
    trained: set[asyncio.Task[None]] = set()  # else they may be collected
    fake.features = [*sorted(BUILT), "placement"]
    fake.created = lambda job_id: trained.add(loop.create_task(train(fake, job_id)))

    async def stop() -> None:
        for task in trained:
            task.cancel()
        await asyncio.gather(*trained, return_exceptions=True)
        await fake.close()

    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    asyncio.run_coroutine_threadsafe(fake.start(), loop).result()
    source = {"type": "huggingface", "name": "rows"}
    try:
        yield Target(
            fake.url, TOKEN, ORG, PROJECT, {"model": "tiny", "datasetSource": source, "dryRun": True}
        )
    finally:
        asyncio.run_coroutine_threadsafe(stop(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def train(fake: FakeBackend, job_id: str) -> None:
    """Play a job's life as a trainer would report it."""
    job = fake.jobs[job_id]
    await asyncio.sleep(0.01)
    while fake.order.held and job["status"] == "queued":  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    if job["status"] != "queued":
        return
    done = fake.begin(job_id)
    if job["config"]["datasetSource"].get("name") not in (None, "rows"):
        fake.finish(job_id, "failed")
        return
    total = STEPS if job["config"].get("dryRun") else job["config"].get("maxSteps", STEPS)
    every = job["config"].get("saveSteps", total)
    if not done:
        answer_prompts(fake, job_id, 0)
    for step in range(done + 1, total):
        fake.log(job_id, step, loss=2 / step, learningRate=1e-3)
        if step % every == 0:
            fake.emit(job_id, "checkpoint.saved", step=step, artifacts=[{"kind": "checkpoint", "step": step}])
            answer_prompts(fake, job_id, step)
        await asyncio.sleep(0.005)
        if job["status"] != "running":
            return
    fake.emit(job_id, "checkpoint.saved", step=total, artifacts=[{"kind": "checkpoint", "step": total}])
    answer_prompts(fake, job_id, total)
    fake.log(job_id, total, evalLoss=0.5)
    for saved in (None, *fake.checkpoints[job_id]):
        fake.cards.write(job_id, saved)
    fake.job_rows.told[job_id, job_id] = {"train": {**NOTHING, "same": 12}}
    evaluation = fake.evaluations.judge(job_id)
    fake.emit(job_id, "evaluation.completed", evaluation=evaluation)
    fake.finish(job_id)


@contextmanager
def local_target(root: Path, model: Path, env: dict[str, str]) -> Iterator[Target]:
    """The local backend in a process of its own, with the tiny ``model``."""
    project = make_project(root / "tests", model)
    # The tiny model has no room for tools in its prompt.
    (project / "models" / "tiny" / "chat_template.jinja").write_text(OWN_SYNTAX)
    write_jsonl(project / "data" / "few.jsonl", chats(6))  # each is answered twice
    backend = Backend.start(root / "data", project, root / "cache", **env)
    quick = {
        "model": "./models/tiny",
        "datasetSource": {"type": "file", "path": "data/chats.jsonl"},
        "numberFormat": "float32",
        "loggingSteps": 1,
        "dryRun": True,
    }
    try:
        yield Target(address_of(backend.socket), LOCAL_TOKEN, "local", "tests", quick)
    finally:
        backend.stop()
    assert backend.errors == []


@contextmanager
def named_target() -> Iterator[Target]:
    """The backend that the environment names."""
    config = json.loads(os.environ["ARKOR_CONFORMANCE_CONFIG"])
    target = Target(ELSEWHERE.rstrip("/"), os.environ["ARKOR_CONFORMANCE_TOKEN"], "", "", config, ours=False)
    target.org, _, target.project = os.environ.get("ARKOR_CONFORMANCE_SCOPE", "").partition("/")
    if not target.org:
        target.org = target.get("/v1/me")["orgs"][0]["slug"]
        target.project = target.get("/v1/projects")["projects"][0]["slug"]
    yield target


@dataclass(frozen=True)
class Finished:
    """A job that has completed, and its stream as it was seen from the first moment to ``end``."""

    id: str
    created: dict[str, Any]
    job: dict[str, Any]
    frames: list[Frame]

    def of(self, event: str) -> list[Frame]:
        return [frame for frame in self.frames if frame.event == event]

    @property
    def artifacts(self) -> list[dict[str, Any]]:
        """What it left behind, as its last event says."""
        found: list[dict[str, Any]] = self.of("training.completed")[0].json.get("artifacts", [])
        return found


@pytest.fixture(scope="package")
def finished(target: Target) -> Finished:
    """One completed job for every test that only looks at it."""
    config = {**target.quick, **KEPT}
    answer = target.call("POST", "/v1/jobs", {"name": "conformance, finished", "config": config})
    assert answer.status in (200, 201), answer
    created = answer.json["job"]
    frames = target.frames(created["id"])
    return Finished(created["id"], created, target.job(created["id"]), frames)


@dataclass(frozen=True)
class Cancelled:
    """A job that was cancelled while it ran, and its history as a reader whose connection broke saw it.

    ``readers`` is what two others saw meanwhile.
    """

    id: str
    status_amid: str
    seen: list[Frame]
    readers: tuple[list[Frame], list[Frame]]


@pytest.fixture(scope="package")
def cancelled(target: Target) -> Cancelled:
    """One job for every test that looks at a running job's stream, and at its end by a person."""
    job_id = target.submit(target.endless)
    with target.stream(job_id) as answer:
        frames = history_of(answer)
        seen = [next(frames)]
        while [frame.event for frame in seen].count("training.log") < 5:
            seen.append(next(frames))
    status = target.job(job_id)["status"]
    with target.stream(job_id) as one, target.stream(job_id) as another:
        readers = first(10, one), first(10, another)
    with target.stream(job_id, seen[-1].id) as answer:
        frames = history_of(answer)
        seen += [next(frames) for _ in range(5)]
        target.cancel(job_id)
        seen += frames
    return Cancelled(job_id, status, seen, readers)


@pytest.fixture(scope="package")
def failed(target: Target) -> str:
    """The id of a job whose data set does not exist."""
    job_id = target.submit(target.broken)
    target.ended(job_id)
    return job_id


@pytest.fixture(scope="package")
def forecast(target: Target, finished: Finished) -> dict[str, Any] | None:
    """The measured forecast of the quick job, where the backend makes any; made while no job trains."""
    del finished
    if "forecast" not in (target.call("GET", "/v1/capabilities", query={}).json.get("features") or ()):
        return None
    answer = target.call("POST", "/v1/forecast", {"config": target.quick})
    assert answer.status in (200, 201), answer
    found: dict[str, Any] = answer.json["forecast"]

    def over() -> bool:
        nonlocal found
        found = target.get(f"/v1/forecast/{found['id']}")["forecast"]
        return found["state"] in ("measured", "failed")

    until(over)
    return found


@dataclass(frozen=True)
class Interrupted:
    """A job that was paused, went on, was paused again and cancelled so; what was seen of it on the way.

    ``reader`` read on through it all, without asking again; ``dropped`` is the id of an event that was
    dropped when the job went on.
    """

    id: str
    running: dict[str, Any]
    paused: dict[str, Any]
    queued: dict[str, Any]
    reader: list[Frame]
    replayed: list[Frame]
    dropped: str


@pytest.fixture(scope="package")
def interrupted(target: Target) -> Interrupted | None:
    """One job for every test of pauses, where the backend makes any; it comes before what runs for long."""
    features = target.call("GET", "/v1/capabilities", query={}).json.get("features") or ()
    if not {"pause", "resume"} <= set(features):
        return None
    job_id = target.submit(target.endless)
    with target.stream(job_id) as answer:
        frames = history_of(answer)
        seen = [next(frames)]
        while [frame.event for frame in seen].count("training.log") < 5:
            seen.append(next(frames))
        running = target.job(job_id)
        paused = target.call("POST", f"/v1/jobs/{job_id}/pause").json["job"]
        while seen[-1].event != "training.paused":
            seen.append(next(frames))
        dropped = seen[-1].id
        queued = target.call("POST", f"/v1/jobs/{job_id}/resume", {}).json["job"]
        until(lambda: target.job(job_id)["status"] == "running")
        resumed = len(seen)
        while [frame.event for frame in seen[resumed:]].count("training.log") < 5:
            seen.append(next(frames))
        target.call("POST", f"/v1/jobs/{job_id}/pause")
        while seen[-1].event != "training.paused":
            seen.append(next(frames))
        target.cancel(job_id)
        seen += frames
    target.ended(job_id)
    assert dropped is not None
    return Interrupted(job_id, running, paused, queued, seen, target.history(job_id), dropped)


@dataclass(frozen=True)
class Extended:
    """A job that completed and then got more steps: before, as it was answered, and in the end."""

    id: str
    before: dict[str, Any]
    queued: dict[str, Any]
    job: dict[str, Any]
    history: list[Frame]


@pytest.fixture(scope="package")
def extended(target: Target) -> Extended | None:
    """One job for every test of a later end, where the backend gives any."""
    features = target.call("GET", "/v1/capabilities", query={}).json.get("features") or ()
    if "extend" not in features:
        return None
    job_id = target.submit({**target.quick, "dryRun": False, "maxSteps": STEPS, "saveSteps": 2})
    target.ended(job_id)
    before = target.job(job_id)
    queued = target.call("POST", f"/v1/jobs/{job_id}/extend", {"maxSteps": STEPS + 2}).json["job"]
    target.ended(job_id)
    return Extended(job_id, before, queued, target.job(job_id), target.history(job_id))


@dataclass(frozen=True)
class Evaluated:
    """A job's ``history``; the evaluations of its end, of its checkpoint of ``step``, and of its end again.

    ``amid`` is the job's own evaluation when its checkpoint had been measured; ``beside`` is the checkpoint
    compared with the end, and ``itself`` the end with itself.
    """

    id: str
    history: list[Frame]
    first: dict[str, Any]
    step: int
    checkpoint: dict[str, Any]
    amid: dict[str, Any]
    again: dict[str, Any]
    beside: dict[str, Any]
    itself: dict[str, Any]


@pytest.fixture(scope="package")
def evaluated(target: Target) -> Evaluated | None:
    """One job for every test of evaluations, measured while none trains, where the backend makes any."""
    features = target.call("GET", "/v1/capabilities", query={}).json.get("features") or ()
    if "evaluation" not in features:
        return None
    job_id = target.submit(target.quick)
    target.ended(job_id)
    path, history = f"/v1/jobs/{job_id}", target.history(job_id)
    first = target.get(f"{path}/evaluation")
    step = next(frame.json["step"] for frame in history if frame.event == "checkpoint.saved")

    def evaluate(**body: int) -> dict[str, Any]:
        answer = target.call("POST", f"{path}/evaluate", body)
        assert answer.status in (200, 201), answer
        assert answer.json["job"]["evaluating"]["state"] in ("waiting", "running")
        told: dict[str, Any] = {}

        def over() -> bool:
            nonlocal told
            told = target.job(job_id).get("evaluating") or {}
            return not told or told["state"] == "failed"

        until(over)
        assert told == {}
        asked = {name: str(value) for name, value in body.items()}
        return target.call("GET", f"{path}/evaluation", query={**target.scope, **asked}).json

    checkpoint = evaluate(step=step)
    amid = target.job(job_id)["evaluation"]
    again = evaluate()

    def beside(**query: str) -> dict[str, Any]:
        asked = {**target.scope, "against": job_id, **query}
        return target.call("GET", f"{path}/evaluation", query=asked).json

    beside_end = beside(step=str(step))
    return Evaluated(job_id, history, first, step, checkpoint, amid, again, beside_end, beside())


@pytest.fixture(scope="package")
def quiet(target: Target) -> str:
    """The id of a completed job without samples; with sets of its own where the project's files are known."""
    sets = [
        {"name": "answers", "path": "data/few.jsonl", "metric": "exact_match"},
        {"name": "losses", "path": "data/few.jsonl"},
    ]
    job_id = target.submit(
        {**target.quick, "samples": "off", **({"evaluations": sets} if target.ours else {})}
    )
    assert target.ended(job_id)["status"] == "completed"
    return job_id


@pytest.fixture(scope="package")
def own_sets(target: Target, quiet: str) -> dict[str, Any] | None:
    """The evaluation of a job with sets of its own, where the backend makes any and the files are known."""
    features = target.call("GET", "/v1/capabilities", query={}).json.get("features") or ()
    if "evaluation" not in features or not target.ours:
        return None
    evaluation: dict[str, Any] = target.job(quiet)["evaluation"]
    return evaluation


@pytest.fixture(scope="package")
def exported(target: Target, finished: Finished) -> dict[str, Any] | None:
    """The final adapter of a job, exported while none trains, where the backend makes exports."""
    if "exports" not in (target.call("GET", "/v1/capabilities", query={}).json.get("features") or ()):
        return None
    path = f"/v1/jobs/{finished.id}/exports"
    answer = target.call("POST", path, {"format": "adapter"})
    assert answer.status in (200, 201), answer
    path = f"{path}/{answer.json['export']['id']}"
    until(lambda: target.get(path)["export"]["state"] in ("completed", "failed"))
    export: dict[str, Any] = target.get(path)["export"]
    return export


@pytest.fixture(scope="package")
def asked(target: Target, quiet: str) -> list[tuple[object, list[Frame]]] | None:
    """What is said in the setting ``samples``, and the history of a job of which it is said."""
    if "samples" not in (target.call("GET", "/v1/capabilities", query={}).json.get("features") or ()):
        return None
    samples = ["Who pays?", "What is it?"]
    job_id = target.submit({**target.quick, "samples": samples})
    assert target.ended(job_id)["status"] == "completed"
    return [("off", target.history(quiet)), (samples, target.history(job_id))]


@pytest.fixture(scope="package")
def endless(
    target: Target,
    finished: Finished,
    cancelled: Cancelled,
    failed: str,
    forecast: object,
    interrupted: object,
    extended: object,
    evaluated: object,
    own_sets: object,
    exported: object,
    asked: object,
) -> Iterator[str]:
    """The id of a job that runs until these tests are over, and no test may end it.

    It comes after those that end: a backend may run one job at a time. It need not have begun.
    """
    job_id = target.submit(target.endless)
    yield job_id
    target.cancel(job_id)
    target.ended(job_id)
