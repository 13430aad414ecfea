"""The Python API on a true local backend: a run from rows to an export, without a file of settings."""

from __future__ import annotations

import base64
import importlib.util
import os
import re
import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import arkor_dev
from arkor_dev.contract.errors import BadRequestError, ConflictError
from arkor_dev.sdk.requests import source_of

pytest.importorskip("torch")
from tests.local.conftest import made_once, make_project
from tests.local.forking_backend import fork_workers, worker_template
from tests.local.tiny_model import chats

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from arkor_dev import Studio

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]
SHORT: dict[str, Any] = {"steps": 4, "log_every": 1, "learning_rate": 1e-2, "samples": "off", "save_every": 2}
WIDGETS = importlib.util.find_spec("anywidget") is not None


def _until(condition: Callable[[], object]) -> None:
    """Wait for what the chart's own thread does; the test's timeout ends it."""
    while not condition():
        time.sleep(0.02)


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    home = tmp_path_factory.mktemp("home")
    project = make_project(tmp_path_factory.mktemp("sdk") / "own", made_once(tmp_path_factory))
    with pytest.MonkeyPatch.context() as patch:
        fork_workers(worker_template(), patch)
        patch.setenv("HOME", str(home))
        for name in ("XDG_DATA_HOME", "XDG_CACHE_HOME", "ARKOR_CLOUD_API_URL"):
            patch.delenv(name, raising=False)
        with arkor_dev.Studio(project, local=True) as studio:
            yield studio


def test_a_run_goes_from_rows_to_answers_and_files(studio: Studio, tmp_path: Path) -> None:
    assert studio.jobs() == []
    run = studio.train(model="./models/tiny", dataset=chats(), name="parrot", lora={"r": 4}, **SHORT)
    chart = run.live() if WIDGETS else None
    points = list(run)
    assert [point.step for point in points if point.loss is not None] == [1, 2, 3, 4]
    assert run.wait().status == "completed"
    assert dict(run.details["config"])["loraR"] == 4
    metrics = run.metrics
    assert metrics["loss"][:1] == run.loss[:1] == [points[0].loss]
    assert run.loss[-1] < run.loss[0]
    assert metrics.curve("eval_loss")[0][-1] == 4
    so_far = [point.verdict_so_far for point in points if point.eval_loss is not None]
    assert so_far
    assert run.verdict_so_far == so_far[-1]
    verdict = run.verdict
    assert verdict is not None
    assert verdict["sentence"] in run._repr_html_()
    image = re.search(r'<img [^>]*src="data:image/svg\+xml;base64,([^"]+)">', run._repr_html_())
    assert image
    assert base64.b64decode(image[1]).count(b"<polyline") == 2
    assert "<svg" not in run._repr_html_()  # notebooks remove it from the HTML of other people
    if chart is not None:
        _until(lambda: chart.sentence)
        assert (chart.name, chart.status, chart.sentence) == ("parrot", "completed", verdict["sentence"])
        assert chart.picture
        assert chart.picture in run._repr_html_()
        with arkor_dev.Studio(studio.project, local=True) as other:
            last = other.job(run.id).live()
        assert (last.status, last.sentence, last.picture) == ("completed", verdict["sentence"], chart.picture)
    answer = run.adapter.chat("Hello", max_tokens=4, temperature=0)
    assert answer == "".join(run.adapter.stream("Hello", max_tokens=4, temperature=0))
    assert run.checkpoint(2).chat([{"role": "user", "content": "Hello"}], max_tokens=2) is not None
    folder = run.adapter.export("adapter", tmp_path / "out")
    assert (folder / "adapter_model.safetensors").exists()
    assert [job.id for job in studio.jobs(status="completed")] == [run.id]
    assert studio.job("parrot").id == studio.job().id == run.id


def test_an_endpoint_of_an_adapter(studio: Studio) -> None:
    run = studio.job("parrot")
    endpoint = run.adapter.endpoint()
    assert (endpoint.name, endpoint.details["target"]) == (
        "parrot", {"kind": "adapter", "adapter": {"kind": "final", "jobId": run.id}},
    )  # fmt: skip
    assert endpoint.key
    assert endpoint.new_key() not in ("", endpoint.key)
    with pytest.raises(BadRequestError, match=r"Nothing serves.*arkor-dev serve parrot --local"):
        assert endpoint.base_url
    assert studio.endpoint("parrot").turn_off().details["enabled"] is False
    of_step = run.checkpoint(2).endpoint("second", open_to_all=True)
    assert (of_step.key, of_step.details["authMode"]) == (None, "none")
    with pytest.raises(ConflictError, match="second"):
        run.adapter.endpoint("second")
    for each in studio.endpoints():
        each.delete()
    assert studio.endpoints() == []


def test_the_documented_python_runs(studio: Studio, capsys: pytest.CaptureFixture[str]) -> None:
    studio.jobs()  # its backend serves now, so another joins it
    page = (Path(__file__).parents[2] / "docs" / "python.md").read_text().partition("## Report")[0]
    block = re.findall(r"```python\n(.*?)```", page, re.DOTALL)[0]
    project = studio.project
    trainers = project / "arkor.toml"
    trainers.write_text(
        '[[trainer]]\nname = "support-bot"\nmodel = "./models/tiny"\ndataset = "data/chats.jsonl"\n'
        'steps = 2\nsamples = "off"\nlog_every = 1\n'
    )
    try:
        exec(block.replace('"my-bot"', repr(str(project))), {})  # noqa: S102 - our own documentation
    finally:
        trainers.unlink()  # the other tests' project has none
    assert capsys.readouterr().out.startswith("1 ")
    run = studio.job("support-bot")
    owners = {
        "studio": studio, "studio.data": studio.data,
        "run": run, "run.adapter": run.adapter, "run.metrics": run.metrics,
    }  # fmt: skip
    named = re.findall(r"\b(studio\.data|run\.adapter|run\.metrics|studio|run)\.(\w+)", page)
    assert len(named) > 20
    for owner, name in named:
        assert hasattr(type(owners[owner]), name) or name in vars(owners[owner]), f"{owner}.{name}"


def test_an_interrupt_pauses_the_started_run(studio: Studio) -> None:
    run = studio.train(
        model="./models/tiny", dataset="data/chats.jsonl", steps=100_000, log_every=1, samples="off"
    )
    for point in run:
        if point.step >= 2:
            break
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        run.wait()
    assert run.status == "paused"
    run.cancel()
    assert run.status == "cancelled"


def test_dir_lists_the_public_names() -> None:
    assert {"AsyncStudio", "RunFailedError", "Studio", "report"} <= set(dir(arkor_dev))


def test_invalid_training_arguments_are_refused(studio: Studio) -> None:
    cases: tuple[tuple[dict[str, Any], str], ...] = (
        ({"model": "m"}, "Nothing can be trained on"),
        ({"model": "m", "dataset": "data/none.jsonl"}, "none.jsonl"),
        ({"model": "m", "dataset": "data/chats.jsonl", "learning_rat": 1}, "Did you mean learning_rate"),
        ({"model": "m", "dataset": "data/chats.jsonl", "lora_r": 0}, "1 to 1,024"),
        ({"model": "m", "dataset": [{"text": "a", "more": float("nan")}]}, "cannot be written as JSON"),
        (
            {"model": "m", "dataset": [{"foo": 1}]},
            r"The row cannot.*\[0\] has the keys foo; expected",
        ),
        ({}, "arkor.toml"),
    )
    for settings, says in cases:
        with pytest.raises(BadRequestError, match=says):
            studio.train(**settings)
    with pytest.raises(BadRequestError, match="no job"):
        studio.job("nobody")
    with pytest.raises(BadRequestError, match=r"bogus is not the status of a job\. There are: queued"):
        studio.jobs(status="bogus")  # type: ignore[arg-type]


def test_rows_that_are_not_all_usable_are_refused_unless_they_are_to_be_left_out(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"prompt": "a", "completion": "b"}, {"prompt": "a"}]
    with pytest.raises(BadRequestError, match=r"1 of the 2 rows.*dataset\[1\].*skip_bad_rows=True"):
        source_of(tmp_path, "dataset", rows, {})
    assert list(tmp_path.iterdir()) == []
    assert source_of(tmp_path, "dataset", rows, {"skipBadRows": True})["type"] == "file"
    pairs = [{"prompt": "a", "chosen": "b", "rejected": "c"}]
    assert source_of(tmp_path, "dataset", pairs, {"method": "dpo"})["type"] == "file"


def test_a_run_that_fails_raises_its_reason(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    run = studio.train(model="./models/none", dataset="data/chats.jsonl", steps=1)
    if WIDGETS:
        from arkor_dev.sdk.live import LiveRun

        opened: list[threading.Thread] = []
        monkeypatch.setattr(LiveRun, "open", lambda _: opened.append(threading.current_thread()))
        chart = run.live()
        assert opened == [threading.current_thread()]  # marimo shows no other
        _until(lambda: chart.status == "failed")
        assert (chart.sentence, chart.picture) == ("", "")
    with pytest.raises(arkor_dev.RunFailedError, match="none"):
        run.wait()
