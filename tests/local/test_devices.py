"""The engine on devices that this machine does not have: an NVIDIA GPU and a Mac's, both emulated."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.local.execution.messages import JobRequest
from arkor_dev.local.forecast.messages import MeasurementRequest
from arkor_dev.local.models.catalog import Model
from tests.local.job_configs import config_of
from tests.local.tiny_run import events_of, losses_of, set_up

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from arkor_dev.local.workers.codec import Message
    from tests.support.devices import Device

pytestmark = [
    pytest.mark.engine,
    pytest.mark.timeout(300),
    # Of the libraries, about each other.
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"),
]
pytest.importorskip("torch")
KINDS = ("cuda", "mps")
CONFIG: dict[str, Any] = {"maxSteps": 4, "evalSteps": 2, "batchSize": 4, "learningRate": 1e-2}


@pytest.fixture(scope="module")
def adapter(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter that the processor has trained."""
    from tests.local.exports.test_export import trained

    return trained(tiny, tmp_path_factory.mktemp("trained"))


def emulated(kind: str, **facts: Any) -> AbstractContextManager[Device]:
    from tests.support import devices

    made: AbstractContextManager[Device] = getattr(devices, kind)(**facts)
    return made


def run_on_device(tiny: Path, data: Path, config: dict[str, Any], held_out: int = 3, **more: Any) -> Any:
    """A run that was not begun, in the number format of the device that is found."""
    from arkor_dev.local.modeling.base_model import pick_device
    from arkor_dev.local.modeling.number_format import DtypeChoice

    return set_up(tiny, data, config, held_out, choice=DtypeChoice(pick_device()[1], "of the device"), **more)


@pytest.mark.parametrize("kind", KINDS)
def test_an_emulated_gpu_gives_the_losses_of_the_processor(kind: str, tiny: Path, tmp_path: Path) -> None:
    """Its losses are the processor's, but for rounding; and everything that learned was on the device."""
    known = set_up(tiny, tmp_path / "processor", CONFIG, 3)
    losses = losses_of(known)
    with emulated(kind) as device:
        run = run_on_device(tiny, tmp_path / kind, CONFIG)
        assert losses_of(run) == pytest.approx(losses, rel=0.05)
        assert {weight.device.type for weight in run.model.parameters()} == {kind}
        assert device.peak > device.allocated > 0
        assert run.loss.fused
    evaluated = [events_of(each).figures("evalLoss") for each in (run, known)]
    assert len(evaluated[0]) == 2
    assert evaluated[0] == pytest.approx(evaluated[1], rel=0.05)


@pytest.mark.parametrize(
    ("kind", "facts", "name"),
    [
        ("cuda", {"capability": (8, 6)}, "bfloat16"),
        ("cuda", {"capability": (7, 5)}, "float16"),  # a T4, which only emulates bfloat16
        ("mps", {}, "bfloat16"),
        ("mps", {"bfloat16": False}, "float32"),
    ],
)
def test_the_dtype_is_supported_by_the_device(kind: str, facts: dict[str, Any], name: str) -> None:
    import torch

    from arkor_dev.local.modeling.base_model import pick_device

    with emulated(kind, **facts):
        assert pick_device() == (kind, getattr(torch, name))


def test_a_t4_trains_in_float16_with_its_gradients_scaled(tiny: Path, tmp_path: Path) -> None:
    losses = losses_of(set_up(tiny, tmp_path / "processor", CONFIG))
    with emulated("cuda", capability=(7, 5)):
        run = run_on_device(tiny, tmp_path / "t4", CONFIG, 0)
        assert losses_of(run) == pytest.approx(losses, rel=0.02)
        assert run.scaler.is_enabled()
        assert run.scaler.get_scale() > 1


LONG, SHORT = 120, 6


def pack() -> list[Any]:
    """A pack of a long row and many short ones, all of whose tokens are learned."""
    from arkor_dev.local.modeling.example import Example

    lengths = [LONG, *[SHORT] * 20]
    ids = [[(7 * place + length) % 1000 + 3 for place in range(length)] for length in lengths]
    return [Example(each, each) for each in ids]


@pytest.mark.parametrize("padded", [False, True])
def test_packed_batches_are_not_padded(
    padded: bool, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Padded to its longest row it would be ten times as large; also where a model cannot take a line."""
    from arkor_dev.local.training import objective

    rows = pack()
    known = set_up(tiny, tmp_path / "processor", {**CONFIG, "packing": True}, train=rows)
    known.begin()
    loss = float(known.loss(rows)[0])
    if padded:
        monkeypatch.setattr(objective, "use_packed_attention", lambda _: "of the test")
    with emulated("cuda"):
        run = run_on_device(tiny, tmp_path / "cuda", {**CONFIG, "packing": True}, 0, train=rows)
        run.begin()
        assert bool(run.loss.padded) is padded
        read: list[int] = []
        embedding = run.base.model.get_input_embeddings()
        embedding.register_forward_pre_hook(lambda _, given: read.append(given[0].numel()))
        value, count = run.loss(rows)
        assert count == sum(len(row.ids) - 1 for row in rows)
        assert float(value) == pytest.approx(loss, rel=0.02)
        value.backward()
        assert run.trainable[0].grad is not None
    assert sum(read) <= (1.5 if padded else 1) * sum(len(row.ids) for row in rows)


def test_a_step_synchronizes_once(tiny: Path, tmp_path: Path) -> None:
    """However many batches it adds up: a wait between them leaves the GPU without work."""
    with emulated("cuda") as device:
        run = run_on_device(tiny, tmp_path, {**CONFIG, "gradientAccumulationSteps": 3, "evalSteps": 0}, 0)
        run.begin()
        batches = [list(run.train[place : place + 4]) for place in (0, 4, 8)]
        run.learn(*batches)
        device.waits.clear()
        run.learn(*batches)
        assert sum(device.waits.values()) == 1, device.waits


def test_a_model_too_large_for_the_gpu_names_what_would_fit(tiny: Path) -> None:
    from arkor_dev.local.modeling.base_model import load_base
    from arkor_dev.local.workers.errors import OutOfMemory

    with emulated("cuda", total=200_000) as device, pytest.raises(OutOfMemory) as raised:
        load_base(tiny)
    said = str(raised.value)
    assert "does not fit into the GPU's memory" in said
    for relief in ("load_in_4bit", "a smaller model", "on the processor"):
        assert relief in said
    assert device.allocated < 200_000


@pytest.mark.ci
def test_a_merge_is_computed_in_float32(
    tiny: Path, adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a GPU as on the processor: in bfloat16 the sum would be rounded twice."""
    import torch

    from arkor_dev.local.exports import export as export_module
    from arkor_dev.local.exports import files
    from tests.local.exports.test_export import export

    merged: list[tuple[Any, str]] = []
    merge = files.merge

    def noted(worn: Any) -> Any:
        merged.extend((weight.dtype, weight.device.type) for weight in worn.parameters())
        return merge(worn)

    monkeypatch.setattr(export_module, "merge", noted)
    monkeypatch.setattr(export_module, "ROWS", 4)  # texts of each kind that prove it: this device is slow
    for total, place in ((2**34, "cuda"), (2_000_000, "cpu")):
        merged.clear()
        with emulated("cuda", total=total):
            proof = export(adapter, tiny, tmp_path / place)
        assert set(merged) == {(torch.float32, place)}
        assert proof["verdict"] == "same", proof


def test_a_4_bit_adapter_answers_and_exports_as_trained(tiny: Path, tmp_path: Path) -> None:
    """On its quantized weights, on the GPU and on the processor; and merged with them, multiplied out."""
    pytest.importorskip("bitsandbytes")
    from arkor_dev.local.exports.export import ExportTask
    from arkor_dev.local.inference.transformers_engine import TransformersEngine
    from arkor_dev.local.modeling.base_model import load_base, load_dequantized
    from arkor_dev.local.modeling.tokenizer import load_tokenizer
    from arkor_dev.local.training.rows.encoding import Encoding, encode
    from tests.local.exports.test_export import ROWS, nothing
    from tests.local.inference.asking import answer, ask
    from tests.local.tiny_model import PHRASE

    rows = [encode(load_tokenizer(tiny), row, Encoding(128))[0][0] for row in ROWS]
    config = {**CONFIG, "maxSteps": 20, "evalSteps": 0, "loadIn4bit": True}
    with emulated("cuda") as device:
        base = load_base(tiny, four_bit=True)
        run = run_on_device(tiny, tmp_path, config, 0, train=rows, base=base, four_bit=True)
        losses = losses_of(run)
        assert losses[-1] < 0.3 * losses[0]
        learned = run.loss.row_losses(rows)
        # Nothing besides the adapter is held in float32.
        frozen = {weight.dtype for weight in run.model.parameters() if not weight.requires_grad}
        assert not [dtype for dtype in frozen if dtype.itemsize > 2]
        final = tmp_path / "jobs" / run.job_id / "final"
        said, done = answer(TransformersEngine(), ask(tiny, final, four_bit=True))
        assert said == PHRASE
        assert done.why is None
        device.others = device.total - 100_000  # nothing of it is free
        said, done = answer(TransformersEngine(), ask(tiny, final, four_bit=True))
        assert said == PHRASE
        assert "the processor answers" in str(done.why)
    made = ExportTask("merged", final, "adapter", tiny, "tiny", tmp_path / "merged", nothing, four_bit=True)
    assert made.make(ROWS)["verdict"] == "same"
    whole = set_up(tmp_path / "merged", tmp_path / "again", config, train=rows)
    whole.begin()
    assert [loss for loss, _ in whole.loss.row_losses(rows)] == pytest.approx(
        [loss for loss, _ in learned], rel=0.1
    )
    quantized = load_dequantized(tiny).model.state_dict()
    full = load_base(tiny).model.state_dict()
    name = "model.layers.0.mlp.up_proj.weight"
    assert 0.02 < float((quantized[name] - full[name]).norm() / full[name].norm()) < 0.2, "it is quantized"


def test_a_stored_4_bit_model_trains_like_one_quantized_on_load(tiny: Path, tmp_path: Path) -> None:
    """To the same losses, also in its own settings; it resumes to the same bits, answers, and is exported."""
    pytest.importorskip("bitsandbytes")
    import torch

    from arkor_dev.local.exports.export import ExportTask
    from arkor_dev.local.inference.transformers_engine import TransformersEngine
    from arkor_dev.local.modeling.base_model import load_base
    from arkor_dev.local.modeling.gpu_count import weights_of
    from arkor_dev.local.modeling.tokenizer import load_tokenizer, save_tokenizer
    from arkor_dev.local.training.preparation import RunPreparation
    from arkor_dev.local.training.run_events import RunEvents
    from arkor_dev.local.workers.errors import JobFailure
    from tests.local.exports.test_export import ROWS, nothing
    from tests.local.inference.asking import answer, ask
    from tests.local.tiny_model import chats, write_jsonl
    from tests.local.training.test_going_on import bytes_of, pausing_after, points

    stored = tmp_path / "tiny-bnb-4bit"
    with emulated("cuda"):
        base = load_base(tiny, four_bit=True)
        with torch.no_grad():
            base.model.save_pretrained(stored)
    save_tokenizer(load_tokenizer(tiny), stored)
    assert weights_of(stored)[0] == pytest.approx(weights_of(tiny)[0], rel=0.05)
    write_jsonl(tmp_path / "rows.jsonl", chats(12))

    def prepare(model: Path, data: Path, **config: Any) -> RunPreparation:
        source = {"type": "file", "path": "rows.jsonl"}
        config = {
            "model": "tiny",
            "datasetSource": source,
            "datasetSplit": 0,
            "method": "sft",
            **CONFIG,
            **config,
        }
        data.mkdir(exist_ok=True)
        job = JobRequest("job", config_of(config), str(data), str(tmp_path))
        preparation = RunPreparation(job, RunEvents(), nothing)
        preparation.read()
        preparation.load(Model("tiny", model))
        preparation.encode()
        return preparation

    with emulated("cuda"):
        whole = prepare(tiny, tmp_path / "a", loadIn4bit=True).make_run()
        whole.run()
        preparation = prepare(stored, tmp_path / "b")
        assert preparation.settings.used["loadIn4bit"] is True
        run = preparation.make_run()
        assert run.plan.gradient_checkpointing, "as with loadIn4bit"
        pausing_after(2)(run)
        assert run.run().status == "paused"
        run = prepare(stored, tmp_path / "b").make_run()
        run.resume_plan = points(tmp_path / "b")
        assert run.run().status == "completed"
        assert bytes_of(tmp_path / "a") == bytes_of(tmp_path / "b")
        final = tmp_path / "b" / "jobs" / "job" / "final"
        told = answer(TransformersEngine(), ask(stored, final, four_bit=True))
        assert told[0] == answer(TransformersEngine(), ask(tiny, final, four_bit=True))[0]
        half = load_base(stored, dtype_name="float16").model  # what a T4 computes in
        assert half.lm_head.weight.dtype == torch.float16
        for setting in ({"fullFineTuning": True}, {"initLoraWeights": "pissa"}):
            with pytest.raises(JobFailure, match="come in 4 bit: remove"):
                prepare(stored, tmp_path / "c", **setting)
    made = ExportTask("merged", final, "adapter", stored, "tiny", tmp_path / "out", nothing, four_bit=True)
    assert made.make(ROWS)["verdict"] == "same"
    assert not hasattr(load_base(tmp_path / "out").model.config, "quantization_config")
    with pytest.raises(JobFailure, match="choose the repository with the full weights"):
        load_base(stored)


@pytest.fixture(scope="module")
def seeing(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Gemma 3 that takes pictures, whose vision tower is larger than its language part."""
    import torch
    from transformers import Gemma3Config, Gemma3ForConditionalGeneration

    from arkor_dev.local.modeling.tokenizer import load_tokenizer, save_tokenizer

    text = {"vocab_size": 1024, "hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 2}
    text |= {"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 32, "sliding_window": 64}
    vision = {"hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 2, "image_size": 28}
    torch.manual_seed(0)
    config = Gemma3Config(
        text_config={**text, "max_position_embeddings": 512},
        vision_config={**vision, "num_attention_heads": 2, "patch_size": 14},
        mm_tokens_per_image=4,
    )
    folder = tmp_path_factory.mktemp("seeing")
    Gemma3ForConditionalGeneration(config).save_pretrained(folder)
    save_tokenizer(load_tokenizer(tiny), folder)
    return folder


@pytest.mark.ci
def test_a_vision_tower_stays_off_the_gpu(seeing: Path, tmp_path: Path) -> None:
    """Training and chat are as on the processor, in less memory; a merge has the tower, bit for bit."""
    import torch
    from safetensors.torch import load_file

    from arkor_dev.local.exports.files import load_in_float32, merge, save_merged
    from arkor_dev.local.inference.transformers_engine import TransformersEngine
    from arkor_dev.local.modeling.adapted_model import with_adapter
    from arkor_dev.local.modeling.base_model import load_base
    from tests.local.inference.asking import answer, ask

    stored = load_file(seeing / "model.safetensors")
    seen = {name: weight for name, weight in stored.items() if "vision" in name or "multi_modal" in name}
    size = sum(2 * weight.numel() for weight in seen.values())
    whole = sum(2 * weight.numel() for weight in stored.values())
    assert size > 0.6 * whole
    known = losses_of(set_up(seeing, tmp_path / "processor", CONFIG))
    with emulated("cuda") as device:
        base = load_base(seeing)
        assert device.allocated < 1.2 * (whole - size)
        assert base.model.device.type == "cuda", "for generate"
        run = run_on_device(seeing, tmp_path, CONFIG, 0, base=base)
        assert losses_of(run) == pytest.approx(known, rel=0.05)
        final = tmp_path / "jobs" / run.job_id / "final"
        assert answer(TransformersEngine(), ask(seeing, final))[1].precision == "bfloat16"
        base = load_in_float32(seeing)
        merged = merge(with_adapter(base.model, final))
        save_merged(merged, base.tokenizer, "seeing", torch.float32, tmp_path / "out")
    exported = load_file(tmp_path / "out" / "model.safetensors")
    assert all(torch.equal(exported[name], weight) for name, weight in seen.items())
    pytest.importorskip("bitsandbytes")
    with emulated("cuda"):
        model = load_base(seeing, four_bit=True).model
    names = [name for name, weight in model.named_parameters() if hasattr(weight, "quant_state")]
    assert names
    assert all("language_model" in name for name in names)


class Said:
    """A backend's link of the test's own, which has said ``messages``."""

    def __init__(self, *messages: Message) -> None:
        self._messages = list(messages)

    def receive(self, _: object) -> Message:
        return self._messages.pop(0)

    def progress(self, *_: Any) -> None:
        """Ignore it."""


def measure(tiny: Path, root: Path, seconds: float, **settings: Any) -> Any:
    """What a forecast's worker measures of a short job with long rows."""
    from arkor_dev.local.forecast import worker
    from tests.local.tiny_model import PHRASE, QUESTIONS, write_jsonl

    rows = [{"prompt": QUESTIONS[n % 20], "completion": f"{PHRASE} " * 8} for n in range(40)]
    write_jsonl(root / "long.jsonl", rows)
    source = {"type": "file", "path": "long.jsonl"}
    config = {**CONFIG, "model": "tiny", "datasetSource": source, "batchSize": 16, "evalSteps": 0}
    config |= settings
    job = JobRequest("forecast", config_of(config), str(root), str(root))
    request = MeasurementRequest(job, str(root / "scratch"), time.time(), seconds, 2**34)
    link: Any = Said(Model("tiny", tiny))
    return worker.measure(request, link)[0]


@pytest.mark.ci
def test_a_gpu_forecast_measures_gpu_time_and_memory(tiny: Path, tmp_path: Path) -> None:
    """A step lasts until the GPU has done it, and takes what is allocated; what is free has to hold that."""
    from arkor_dev.local.forecast.linear_models import shape_of

    with emulated("cuda", delay=1e-4) as device:
        found = measure(tiny, tmp_path, 8)
        assert found.gpu.startswith("GPU-")
        assert found.device_total == device.total
        assert found.mean > 300 * device.delay, "forward, backward and optimizer have more operations"
    assert found.recomputed is None, "there is room"
    with emulated("cuda", total=round(1.1 * found.worst)):
        tight = measure(tiny, tmp_path, 8)
    assert tight.worst == pytest.approx(found.worst, rel=0.1), "however much there is"
    assert tight.recomputed is not None
    batch, sizes = shape_of(tight.longest, tight.padded, tight.shared), tight.sizes
    cheaper = tight.recomputed.at(replace(sizes, recomputed=True).saved_bytes(batch))
    assert cheaper < tight.memory.at(sizes.saved_bytes(batch))


@pytest.mark.parametrize("kind", KINDS)
def test_an_adapter_answers_on_the_gpu_or_falls_back(
    kind: str, tiny: Path, adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the GPU; beside a job where that leaves too little of it, on the processor; or it says why not."""
    from arkor_dev.local.inference import transformers_engine as module
    from arkor_dev.local.inference.transformers_engine import TransformersEngine
    from arkor_dev.local.workers.errors import JobFailure
    from arkor_dev.local.workers.machine import Memory
    from tests.local.inference.asking import answer, ask
    from tests.local.tiny_model import PHRASE

    with emulated(kind) as device:
        engine = TransformersEngine()
        said, done = answer(engine, ask(tiny, adapter))
        assert said == PHRASE
        assert (done.precision, done.why) == ("bfloat16", None)
        assert engine.base.model.device.type == kind
        if kind == "mps":
            return  # it has the processor's memory
        device.others = round(0.8 * device.total)
        said, done = answer(engine, ask(tiny, adapter, training=True))
        assert said == PHRASE
        assert "while a job trains on it" in str(done.why)
        assert engine.base.model.device.type == "cpu"
        assert answer(engine, ask(tiny, adapter))[1].why is None, "the job is over"
        monkeypatch.setattr(module, "memory", lambda: Memory(1000, 2000))
        with pytest.raises(JobFailure, match="This model cannot answer now"):
            answer(TransformersEngine(), ask(tiny, adapter, training=True))


def test_an_unused_gpu_is_reported_in_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    from arkor_dev.contract.gpus import Gpu
    from arkor_dev.local.modeling import base_model

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(base_model, "pick_device", lambda: ("cpu", None))
    monkeypatch.setattr(base_model, "nvidia_gpus", list)
    assert base_model.why_processor() is None
    monkeypatch.setattr(base_model, "idle_gpu", lambda _: ("Tesla T4", "the build for it"))
    assert "a GPU (Tesla T4), but the installed PyTorch" in (base_model.why_processor() or "")
    monkeypatch.setattr(base_model, "idle_gpu", lambda _: None)
    monkeypatch.setattr(base_model, "torch_build", lambda: "cuda")
    monkeypatch.setattr(base_model, "nvidia_gpus", lambda: [Gpu("Tesla T4", "GPU-1")])
    assert "update NVIDIA's driver" in (base_model.why_processor() or "")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert base_model.why_processor() is None, "somebody wants it so"
