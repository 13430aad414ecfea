"""Layers streamed from their files: the bits of a run in memory, in less of it, and files that fail."""

from __future__ import annotations

import functools
import json
import os
import sys
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.local.checkpoints.resume_points import ResumePlan, checked_points
from arkor_dev.local.jobs.job_folder import final_folder
from arkor_dev.local.workers import machine
from arkor_dev.local.workers.errors import JobFailure
from tests.local.conftest import CONFIG as JOB
from tests.local.forked import answer
from tests.local.harness import FORKS
from tests.local.job_configs import config_of
from tests.local.tiny_model import chats, write_jsonl
from tests.local.tiny_run import events_of, losses_of, pause_of, set_up

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from arkor_dev.contract.events import Event
    from arkor_dev.local.modeling.base_model import Base
    from arkor_dev.local.training.greedy import GreedyAnswer
    from arkor_dev.local.training.run import TrainingLoop
    from tests.local.harness import Backend

pytestmark = [
    pytest.mark.engine,
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning"),
]

LAYERS = 4
CONFIG = {
    "maxSteps": 4,
    "batchSize": 2,
    "gradientAccumulationSteps": 2,
    "learningRate": 1e-2,
    "loraTargetModules": "all-linear",
}


def make(folder: Path, layers: int = LAYERS, hidden: int = 256, shard: str = "3MB") -> Path:
    """A random Llama in bfloat16."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from tests.local.tiny_model import make_tokenizer

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=1024,
        hidden_size=hidden,
        intermediate_size=3 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        tie_word_embeddings=True,
    )
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(folder, max_shard_size=shard)
    make_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A model whose files a test may change, in one of them."""
    return make(tmp_path / "own", layers=3, hidden=128, shard="1GB")


def loaded(model: Path, **options: Any) -> Base:
    from arkor_dev.local.modeling.base_model import load_base

    return load_base(model, as_stored=True, **options)


@dataclass(frozen=True)
class InMemory:
    """What a run of ``CONFIG`` with all layers in memory has come to."""

    losses: list[float]
    eval_losses: list[float]
    trainable: list[Any]
    adapter: bytes


@functools.cache
def run_in_memory(model: Path, data: Path, dtype: str, dropout: float) -> InMemory:
    """Train once for all tests that ask for the same."""
    run = run_of(model, data, dtype, loraDropout=dropout)
    losses = losses_of(run)
    adapter = (final_folder(data, dtype) / "adapter_model.safetensors").read_bytes()
    return InMemory(losses, events_of(run).figures("evalLoss"), run.trainable, adapter)


def run_of(model: Path, data: Path, dtype: str = "bfloat16", **config: Any) -> TrainingLoop:
    import torch

    from arkor_dev.local.modeling.number_format import DtypeChoice

    streams, train = config.get("offload") == "layers", config.pop("train", None)
    return set_up(
        model,
        data,
        {**CONFIG, **config},
        4,
        train=train,
        choice=DtypeChoice(getattr(torch, dtype), "of the test"),
        base=loaded(model, mapped=streams),
    )


def points(data: Path) -> ResumePlan:
    job = "bfloat16"  # the name that `tiny_run` gives it
    return ResumePlan([point for point, wrong in checked_points(data, job) if wrong is None], "Why.")


def bytes_of(data: Path) -> bytes:
    return (final_folder(data, "bfloat16") / "adapter_model.safetensors").read_bytes()


def same_weights(one: TrainingLoop | InMemory, other: TrainingLoop | InMemory, layers: int = LAYERS) -> bool:
    import torch

    assert len(one.trainable) == 2 * 7 * layers
    return all(map(torch.equal, one.trainable, other.trainable))


@pytest.mark.parametrize(("dtype", "dropout"), [("bfloat16", 0.0), ("float32", 0.0), ("bfloat16", 0.1)])
def test_a_streamed_run_gives_the_adapter_of_one_in_memory(
    deep: Path, tmp_path: Path, in_memory: Callable[..., InMemory], dtype: str, dropout: float
) -> None:
    plain = in_memory(dtype, dropout)
    streamed = run_of(deep, tmp_path / "streamed", dtype, loraDropout=dropout, offload="layers")
    assert losses_of(streamed) == plain.losses
    assert streamed.layerwise
    assert not streamed.layerwise.unsuited
    assert events_of(streamed).figures("evalLoss") == plain.eval_losses
    assert same_weights(streamed, plain)


def reads_of(run: TrainingLoop) -> list[int]:
    """The layers that are read from now on, in order."""
    numbers: list[int] = []
    stream = run.base.stream
    assert stream
    load = stream._load

    def noted(number: int, beside: Any) -> Any:
        numbers.append(number)
        return load(number, beside)

    stream._load = noted  # type: ignore[method-assign]
    return numbers


@pytest.mark.ci
def test_all_batches_of_a_step_share_a_reading(deep: Path, tmp_path: Path) -> None:
    """A layer that is still there at the turn of the direction is not read again."""
    run = run_of(deep, tmp_path, offload="layers", gradientAccumulationSteps=3)
    run.begin()
    steps = run.steps()
    run.learn(*next(steps))
    numbers = reads_of(run)
    run.learn(*next(steps))
    assert numbers == [*range(2, LAYERS), *reversed(range(LAYERS - 2))]


def test_random_numbers_are_drawn_batch_by_batch(deep: Path, tmp_path: Path) -> None:
    """Or a step would draw others than in memory: then each batch reads the layers."""
    run = run_of(deep, tmp_path, offload="layers", gradientAccumulationSteps=3, loraDropout=0.1)
    run.begin()
    steps = run.steps()
    run.learn(*next(steps))
    numbers = reads_of(run)
    run.learn(*next(steps))
    assert len(numbers) == 3 * 2 * (LAYERS - 2)


@pytest.mark.ci
def test_long_rows_share_a_reading_in_smaller_groups(deep: Path, tmp_path: Path) -> None:
    """What is kept of the further batches takes at most the memory of the resident layers."""
    from arkor_dev.local.modeling.example import Example

    rows = [Example([3 + (7 * start + at) % 1000 for at in range(400)], [5] * 400) for start in range(5)]
    config: dict[str, Any] = {"batchSize": 1, "gradientAccumulationSteps": 5, "maxSteps": 1}
    plain = run_of(deep, tmp_path / "memory", train=rows, **config)
    streamed = run_of(deep, tmp_path / "streamed", train=rows, offload="layers", **config)
    assert losses_of(streamed) == losses_of(plain)
    assert same_weights(streamed, plain)
    steps = streamed.steps()
    streamed.learn(*next(steps))  # the evaluation before it ended with the last layers
    numbers = reads_of(streamed)
    streamed.learn(*next(steps))
    states = 400 * 256 * 2 * LAYERS
    assert streamed.base.stream
    together = 1 + streamed.base.stream.resident_bytes // states
    assert 1 < together < 5
    assert len(numbers) == -(-5 // together) * 2 * (LAYERS - 2)


def computations_of(run: TrainingLoop) -> list[int]:
    """The layers that are computed from now on, in order."""
    numbers: list[int] = []
    assert run.base.stream
    for number, layer in enumerate(run.base.stream.modules):
        layer.mlp.register_forward_pre_hook(lambda *_, number=number: numbers.append(number))
    return numbers


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_layers_that_keep_their_activations_are_not_recomputed(
    deep: Path, tmp_path: Path, in_memory: Callable[..., InMemory], dtype: str
) -> None:
    """They save no weights, and so give the adapter of a run in memory without holding all layers."""
    plain = in_memory(dtype)
    kept = run_of(deep, tmp_path / "kept", dtype, offload="layers", gradientCheckpointing=False)
    assert losses_of(kept) == plain.losses
    assert same_weights(kept, plain)
    stream, steps = kept.base.stream, kept.steps()
    assert stream
    kept.learn(*next(steps))
    numbers, read = computations_of(kept), reads_of(kept)
    kept.learn(*next(steps))
    assert sorted(numbers) == sorted([*range(LAYERS)] * 2), "once for each of the two batches"
    there = 2 if dtype == "bfloat16" else 1  # at the turn of the direction; the other memory is converted
    assert len(read) == 2 * (LAYERS - there)
    assert stream.activations.bytes == 0, "the backward pass has released them"


@pytest.mark.ci
@pytest.mark.parametrize("together", [True, False])
def test_as_many_layers_keep_their_activations_as_fit(deep: Path, tmp_path: Path, together: bool) -> None:
    """The others are recomputed, and the bits are the same."""
    dropout = 0.0 if together else 0.1  # then batches pass one at a time
    plain = run_of(deep, tmp_path / "memory", loraDropout=dropout)
    run = run_of(deep, tmp_path / "streamed", loraDropout=dropout, offload="layers")
    run.begin()
    stream, steps = run.base.stream, run.steps()
    assert stream
    activations, most = stream.activations, 0
    activations.limit = 10**12
    run.learn(*next(steps))  # all are kept, and their size is known
    numbers = computations_of(run)

    def note(*_: object) -> None:
        nonlocal most
        most = max(most, activations.bytes)

    run.model.get_output_embeddings().register_forward_hook(note)
    run.learn(*next(steps))
    assert 0 < most < stream.bytes, "no weights are saved"
    activations.limit, most = 0.6 * most, 0
    numbers.clear()
    activations.count()
    run.learn(*next(steps))
    assert 0 < most <= activations.limit
    assert 0.3 < activations.share < 0.7
    kept = round(2 * LAYERS * activations.share)
    assert len(numbers) == 2 * LAYERS + (2 * LAYERS - kept)
    plain.begin()
    for batches, _ in zip(plain.steps(), range(3), strict=False):
        plain.learn(*batches)
    assert same_weights(run, plain)


def test_after_its_first_step_a_run_keeps_the_activations_that_fit(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless it is to recompute them, or there is no memory."""
    from arkor_dev.local.training import activation_budget

    shares = []
    for spare, config in ((10**10, {}), (0, {}), (10**10, {"gradientCheckpointing": True})):
        monkeypatch.setattr(activation_budget, "spare_memory", lambda spare=spare: spare)
        run, _ = prepared(own, tmp_path, offload="layers", saveSteps=0, maxSteps=3, evalSteps=0, **config)
        assert run.run().status == "completed"
        assert run.base.stream
        shares.append(run.base.stream.activations.share)
    assert shares == [pytest.approx(2 / 3), 0, 0]


def test_activations_leave_room_for_files_that_the_page_cache_can_hold() -> None:
    from arkor_dev.local.modeling.activation_limit import SHARE, activation_limit

    assert activation_limit(10e9, 1e9, 0) == SHARE * 10e9 - 1e9
    assert activation_limit(10e9, 1e9, 5e9) == SHARE * 10e9 - 6e9
    assert activation_limit(10e9, 1e9, 14e9) == SHARE * 10e9 - 1e9
    assert activation_limit(1e9, 2e9, 0) == 0


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_it_answers_as_in_memory(deep: Path, tmp_path: Path, dtype: str) -> None:
    from arkor_dev.local.training.greedy import GenerationLimit, answers

    answered: list[list[GreedyAnswer]] = []
    for config in ({}, {"offload": "layers"}):
        run = run_of(deep, tmp_path / f"data-{len(answered)}", dtype, maxSteps=1, **config)
        run.run()
        watch = GenerationLimit(lambda *_: 12, lambda: False)
        prompts = [[5, 6, 7, 8], [9, 10]]
        answered.append(answers(run.loss, run.base.tokenizer, [1], prompts, watch, 12))
    assert answered[0] == answered[1]
    assert len(answered[0][0].ids) == 12


def test_a_paused_run_resumes_to_the_bits_of_one_in_memory(
    deep: Path, tmp_path: Path, in_memory: Callable[..., InMemory]
) -> None:
    paused = run_of(deep, tmp_path / "data", offload="layers")
    paused.stop.pausing = lambda: "asked" if paused.step >= 2 else None
    pause = pause_of(paused.run())
    assert (pause["step"], pause["reason"]) == (2, "asked")
    resumed = run_of(deep, tmp_path / "data", offload="layers")
    resumed.resume_plan = points(tmp_path / "data")
    assert resumed.run().status == "completed"
    assert bytes_of(tmp_path / "data") == in_memory().adapter


@pytest.mark.ci
@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
def test_few_layers_are_resident(template: dict[str, str], tmp_path: Path) -> None:
    """The buffers, the converted weights (none in the files' dtype), and the mapped embeddings."""
    layers = 16
    model = make(tmp_path / "model", layers=layers, hidden=512, shard="40MB")
    stored = sum(path.stat().st_size for path in model.glob("*.safetensors"))
    order = json.dumps([str(model), str(tmp_path)]).encode()
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    most = json.loads(answer(template[FORKS], "tests.local.training.resident", env, order))
    assert stored > 100_000_000
    # Only embeddings and norms are used where they are mapped.
    assert most["weights"] < stored / 8
    # With the adapter, the activations and the libraries' own; all layers in float32 take 200 MB.
    assert most["anonymous"] < stored


def test_a_file_that_is_written_to_pauses_the_job(own: Path, tmp_path: Path) -> None:
    run = run_of(own, tmp_path, offload="layers", saveSteps=1)

    def write(event: Event) -> None:
        if event["type"] == "training.log" and event["step"] == 2 and "loss" in event:
            os.utime(own / "model.safetensors")

    run.emit.observers.append(write)
    pause = pause_of(run.run())
    assert (pause["reason"], pause["step"]) == ("weights", 1)
    assert pause["message"] == (
        "The model's weights in model.safetensors can no longer be read: the file was changed"
    )


def test_a_truncated_file_pauses_the_job(own: Path, tmp_path: Path) -> None:
    """What is no longer in the file must not be touched: the system would end the process. Restored, the job
    resumes to the bits of one in memory.
    """
    weights = own / "model.safetensors"
    whole, file = run_of(own, tmp_path / "whole"), weights.read_bytes()
    assert whole.run().status == "completed"
    run = run_of(own, tmp_path, offload="layers", saveSteps=1)

    def truncate(event: Event) -> None:
        if event["type"] == "training.log" and event["step"] == 2 and "loss" in event:
            os.truncate(weights, 4096)

    run.emit.observers.append(truncate)
    pause = pause_of(run.run())
    assert (pause["reason"], pause["step"]) == ("weights", 1)
    with pytest.raises(JobFailure, match="model"):
        loaded(own, mapped=True)
    weights.write_bytes(file)
    resumed = run_of(own, tmp_path, offload="layers")
    resumed.resume_plan = points(tmp_path)
    assert resumed.run().status == "completed"
    assert bytes_of(tmp_path) == bytes_of(tmp_path / "whole")


def test_a_disk_that_does_not_answer_pauses_the_job(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from arkor_dev.local.modeling import layer_stream

    run, answer = run_of(own, tmp_path, offload="layers", saveSteps=1), threading.Event()
    read = layer_stream.MappedFile.read

    def wait(file: Any, start: int, into: memoryview) -> None:
        if run.step >= 2:
            answer.wait()
        read(file, start, into)

    monkeypatch.setattr(layer_stream.MappedFile, "read", wait)
    monkeypatch.setattr(layer_stream, "PATIENCE", 0.5)
    pause = pause_of(run.run())
    answer.set()
    assert pause["reason"] == "weights"
    assert pause["message"] == "The disk has not delivered the weights of a layer in 0.5 seconds"
    monkeypatch.undo()
    resumed = run_of(own, tmp_path, offload="layers")
    resumed.resume_plan = points(tmp_path)
    assert resumed.run().status == "completed"


def test_unreadable_bytes_are_an_error(own: Path) -> None:
    from arkor_dev.local.modeling.layer_stream import MappedFile, WeightsLostError

    file = MappedFile(own / "model.safetensors")
    os.truncate(own / "model.safetensors", 4096)
    with pytest.raises(WeightsLostError, match=r"weights in model\.safetensors can no longer be read"):
        file.read(0, memoryview(bytearray(8192)))


@pytest.mark.ci
def test_a_deleted_or_replaced_file_is_read_to_the_end(own: Path, tmp_path: Path) -> None:
    """What is mapped stays, whatever its name leads to."""
    run, plain = (run_of(own, tmp_path / name, offload=name) for name in ("layers", "none"))
    expected = losses_of(plain)
    (own / "model.safetensors").unlink()
    assert losses_of(run) == expected


def test_a_damaged_file_is_refused(own: Path) -> None:
    weights = own / "model.safetensors"
    whole = weights.read_bytes()
    for damaged in (whole[:-100], b"\xff" * 64 + whole[64:], b""):
        weights.write_bytes(damaged)
        with pytest.raises(JobFailure, match="model"):
            loaded(own, mapped=True)


def test_an_index_that_leaves_the_folder_is_refused(own: Path) -> None:
    (own / "model.safetensors").rename(own.parent / "elsewhere.safetensors")
    index = {"weight_map": {"model.embed_tokens.weight": "../elsewhere.safetensors"}}
    (own / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(JobFailure, match="outside of the model's folder"):
        loaded(own, mapped=True)


def prepared(model: Path, folder: Path, *, streams: bool = False, **config: Any) -> tuple[Any, list[str]]:
    """A job's run as a worker prepares it, and what it says."""
    from arkor_dev.local.execution.messages import JobRequest
    from arkor_dev.local.models.catalog import Model
    from arkor_dev.local.training.preparation import RunPreparation
    from arkor_dev.local.training.run_events import RunEvents

    write_jsonl(folder / "rows.jsonl", chats(12))
    (folder / "data").mkdir(exist_ok=True)
    said: list[str] = []
    source = {"type": "file", "path": "rows.jsonl"}
    whole = {**CONFIG, "model": "m", "datasetSource": source, "numberFormat": "float32", **config}
    job = JobRequest("job", config_of(whole), str(folder / "data"), str(folder), streams=streams)
    emit = RunEvents(lambda event: said.append(str({**event}.get("message"))))
    preparation = RunPreparation(job, emit, lambda *_: None)
    preparation.read()
    preparation.load(Model("m", model))
    preparation.encode()
    return preparation.make_run(), said


def test_auto_streams_a_model_that_does_not_fit_otherwise(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, said = prepared(own, tmp_path)
    assert (run.plan.streams, run.plan.gradient_checkpointing) == (False, False)
    assert run.settings["offload"] == "none"
    assert not [sentence for sentence in said if "files" in sentence]
    for free, streams in ((10**12, True), (2 * 10**6, False)):  # its weights take 2.6 MB in float32
        monkeypatch.setattr(machine, "memory", lambda free=free: machine.Memory(free, free))
        run, said = prepared(own, tmp_path, streams=streams)
        assert (run.plan.streams, run.plan.gradient_checkpointing) == (True, True)
        assert (run.settings["offload"], run.settings["gradientCheckpointing"]) == ("layers", True)
        assert (
            "The weights of the layers (1.2 MB) are read from their files as they are used, because the job "
            "does not fit into memory otherwise"
        ) in said
        assert not prepared(own, tmp_path, streams=streams, offload="none")[0].plan.streams
        kept, _ = prepared(own, tmp_path, streams=streams, gradientCheckpointing=False)
        assert (kept.plan.streams, kept.plan.gradient_checkpointing) == (True, False)
        assert kept.settings["gradientCheckpointing"] is False


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"initLoraWeights": "pissa"}, "lora.init_lora_weights changes them"),
        (
            {"gradientCheckpointing": False, "activationOffloading": True},
            "activation_offloading does not move what gradient_checkpointing = false keeps",
        ),
        ({"loraModulesToSave": ["lm_head", "up_proj"]}, "lora.modules_to_save trains up_proj"),
    ],
)
def test_what_cannot_be_streamed_is_refused(
    own: Path, tmp_path: Path, config: dict[str, Any], reason: str
) -> None:
    with pytest.raises(JobFailure) as refused:
        prepared(own, tmp_path, offload="layers", **config)
    assert str(refused.value) == (
        f"The layers of m cannot be streamed from their files: {reason}. Remove offload"
    )


def test_a_processor_streams_also_for_settings_of_several_gpus(own: Path, tmp_path: Path) -> None:
    run, _ = prepared(own, tmp_path, offload="layers", gpus=2, loraModulesToSave=["input_layernorm"])
    assert run.plan.streams


def test_weights_that_are_converted_when_loaded_are_refused(own: Path, tmp_path: Path) -> None:
    """They would all be in memory, where the job says that at most a few are."""
    from safetensors.torch import load_file, save_file

    weights = load_file(own / "model.safetensors")
    name = "model.layers.1.mlp.up_proj.weight"
    weights[name] = weights[name].float()
    save_file(weights, own / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(JobFailure, match=r"mlp\.up_proj\.weight is converted when it is loaded"):
        prepared(own, tmp_path, offload="layers")


def test_a_streamed_job_is_measured_sampled_and_judged_like_one_in_memory(
    shared: Backend, shared_data: Path
) -> None:
    adapters, evaluations = [], []
    for offload in ("layers", "none"):
        job = shared.submit({**JOB, "maxSteps": 6, "evalSteps": 3, "saveSteps": 3, "offload": offload})
        frames = {frame.event: frame.json for frame in shared.events(job)}
        assert frames["training.started"]["metadata"]["settings"]["offload"] == offload
        assert "training.completed" in frames, frames
        evaluation = frames["evaluation.completed"]["evaluation"]
        evaluations.append({field: value for field, value in evaluation.items() if field != "seconds"})
        adapters.append((final_folder(shared_data, job) / "adapter_model.safetensors").read_bytes())
    assert adapters[0] == adapters[1]
    assert evaluations[0] == evaluations[1]
