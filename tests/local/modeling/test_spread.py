"""A model larger than a GPU, whose layers are spread over two: emulated, in float32."""

from __future__ import annotations

import gc
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("torch")

from arkor_dev.local.execution.messages import JobRequest
from arkor_dev.local.models.catalog import Model
from tests.local.job_configs import config_of
from tests.local.tiny_run import events_of, losses_of, set_up

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.engine,
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"),
]
CONFIG: dict[str, Any] = {"maxSteps": 2, "evalSteps": 2, "batchSize": 4, "learningRate": 1e-2}
TOTALS = (6_500_000, 6_500_000)


@pytest.fixture(scope="module")
def deep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model of six layers, 4.1 MB in float32."""
    from tests.local.tiny_model import make

    folder = tmp_path_factory.mktemp("deep")
    make(folder, layers=6)
    return folder


def made(model: Path, data: Path, gpus: int) -> Any:
    """A run on so many GPUs."""
    from arkor_dev.local.modeling.base_model import load_base

    base = load_base(model, dtype_name="float32", gpus=gpus)
    return set_up(model, data, CONFIG, 3, base=base, job_id="job")


def test_a_spread_model_learns_the_same_bits(deep: Path, tmp_path: Path) -> None:
    """To the same bits, also after a pause, although it does not fit into either."""
    from arkor_dev.local.workers.errors import OutOfMemory
    from tests.local.training.test_going_on import bytes_of, pausing_after, points
    from tests.support import devices

    with devices.cuda() as alone:
        whole = made(deep, tmp_path / "one", 1)
        losses = losses_of(whole)
    assert alone.peak > max(TOTALS)
    with devices.two_cards(3_000_000, 3_000_000), pytest.raises(OutOfMemory, match=r"\(gpus = 2\)"):
        made(deep, tmp_path / "none", 1)
    with devices.two_cards(*TOTALS) as cards:
        run = made(deep, tmp_path / "two", 2)
        assert run.base.gpus == 2
        pausing_after(1)(run)
        assert run.run().status == "paused"
        there = [layer.mlp.up_proj.weight.device.index for layer in run.base.model.model.layers]
        assert there == [0, 0, 0, 1, 1, 1]
        del run
        gc.collect()
        run = made(deep, tmp_path / "two", 2)
        run.resume_plan = points(tmp_path / "two")
        assert run.run().status == "completed"
        assert {weight.device.index for weight in run.trainable} == {0, 1}
        assert run.base.gpu_peaks() == [card.peak for card in cards]
        assert max(card.peak for card in cards) < 0.7 * alone.peak
    assert events_of(run).figures("loss") == losses[1:]
    assert events_of(run).figures("evalLoss") == events_of(whole).figures("evalLoss")
    assert bytes_of(tmp_path / "two") == bytes_of(tmp_path / "one")


def test_spreading_excludes_several_workers(tmp_path: Path) -> None:
    from arkor_dev.local.training.preparation import RunPreparation
    from arkor_dev.local.training.run_events import RunEvents
    from arkor_dev.local.workers.errors import JobFailure

    def of(**config: Any) -> RunPreparation:
        return RunPreparation(
            JobRequest("job", config_of(config), str(tmp_path), str(tmp_path)), RunEvents(), lambda *_: None
        )

    assert of(gpus=2)._gpus() == 2
    two = JobRequest("job", config_of({}), "", "", device="GPU-1,GPU-2")
    assert RunPreparation(two, RunEvents(), lambda *_: None)._gpus() == 2
    assert of(gpus=1, workers=2)._gpus() == 1
    with pytest.raises(JobFailure, match="set only one of both"):
        of(gpus=2, workers=2)._gpus()


def test_a_model_too_large_for_one_gpu_is_spread_unless_that_is_forbidden(
    deep: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from arkor_dev.local.training import preparation as module
    from arkor_dev.local.training.run_events import RunEvents
    from arkor_dev.local.workers.errors import OutOfMemory
    from tests.local.test_devices import measure
    from tests.local.tiny_model import PHRASE, QUESTIONS, write_jsonl
    from tests.support import devices

    write_jsonl(tmp_path / "rows.jsonl", [{"prompt": asked, "completion": PHRASE} for asked in QUESTIONS])
    model = Model("deep", deep)
    monkeypatch.setattr(module, "CONTEXT", 0)

    def loaded(**config: Any) -> tuple[Any, list[str]]:
        said: list[str] = []
        source = {"type": "file", "path": "rows.jsonl"}
        whole = {**CONFIG, "datasetSource": source, **config}
        job = JobRequest("job", config_of(whole), str(tmp_path), str(tmp_path))
        emit = RunEvents(lambda event: said.append(str(event.get("message"))))
        preparation = module.RunPreparation(job, emit, lambda *_: None)
        preparation.read()
        preparation.load(model)
        return preparation, said

    why = "The layers of deep are spread over 2 GPUs, because one is too small; gpus = 1 forbids that"
    with devices.two_cards(2_000_000, 2_000_000) as cards:
        preparation, said = loaded()
        assert (preparation.base.gpus, preparation.settings.used["gpus"]) == (2, 2)
        assert why in said
        assert all(card.allocated for card in cards)
        del preparation
        gc.collect()
        with pytest.raises(OutOfMemory, match=r"spread it over several GPUs \(gpus = 2\)"):
            loaded(gpus=1, offload="none")
    with devices.two_cards(2**30, 2**30):
        preparation, said = loaded()
        assert preparation.base.gpus == 1
        assert not any("spread" in each for each in said)
        monkeypatch.setattr(module, "CONTEXT", 2**30 - 2_000_000)  # so little is left
        assert len(measure(deep, tmp_path, 0).gpus) == 2


@pytest.mark.ci
def test_a_large_model_answers_on_two_gpus(deep: Path, tmp_path: Path) -> None:
    from arkor_dev.local.inference.transformers_engine import TransformersEngine
    from tests.local.exports.test_export import trained
    from tests.local.inference.asking import answer, ask
    from tests.local.tiny_model import PHRASE
    from tests.support import devices

    adapter = trained(deep, tmp_path)
    with devices.two_cards(2_000_000, 2_000_000) as cards:
        engine = TransformersEngine()
        said, done = answer(engine, ask(deep, adapter))
        assert (said, done.why, engine.base.gpus) == (PHRASE, None, 2)
        assert all(card.allocated for card in cards)


@pytest.mark.ci
def test_the_forecast_has_the_memory_of_each_gpu(deep: Path, tmp_path: Path) -> None:
    from arkor_dev.local.forecast.estimate import estimate
    from arkor_dev.local.forecast.linear_models import shape_of
    from arkor_dev.local.workers.machine import Memory
    from tests.local.test_devices import measure
    from tests.support import devices

    with devices.two_cards(2**30, 2**30 - 2**20):
        found = measure(deep, tmp_path, 0, gpus=2)
    batch = shape_of(found.longest, found.padded, found.shared)
    assert found.worst < 0.8 * replace(found.sizes, gpus=1).saved_bytes(batch), "as on one GPU"
    two: Any = {**CONFIG, "gpus": 2}
    said = estimate(found, two, Memory(2**34, 2**34), None, False, 2**30)
    first, second = said["gpus"]
    assert (first["totalBytes"], second["totalBytes"]) == (2**30, 2**30 - 2**20)
    assert 0.7 * first["peakBytes"] < second["peakBytes"] <= first["peakBytes"]
    assert first["peakBytes"] == said["device"]["peakBytes"]


@pytest.mark.parametrize("header", [b"[]", b'{"a": 1}', b'{"a": {"shape": "4"}}', b"{", b"\xff"])
def test_invalid_safetensors_headers_are_ignored(tmp_path: Path, header: bytes) -> None:
    (tmp_path / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    from arkor_dev.local.modeling.gpu_count import weights_of

    with pytest.raises(ValueError):  # noqa: PT011 - whose message is json's in part
        weights_of(tmp_path)
