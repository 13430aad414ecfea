"""The adapter's settings by what they do: which weights there are, how they begin, and what they come to."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.local.workers.errors import JobFailure
from tests.local.tiny_model import make
from tests.local.tiny_run import events_of, losses_of, made_up, set_up

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.local.training.run import TrainingLoop

pytestmark = [
    pytest.mark.engine,
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"),
]
BRIEF: dict[str, Any] = {"maxSteps": 3, "learningRate": 1e-2, "lrSchedulerType": "constant"}


def begun(tiny: Path, folder: Path, **config: Any) -> TrainingLoop:
    """A run before its first step."""
    run = set_up(tiny, folder, {**BRIEF, **config})
    run.begin()
    return run


def learning(run: TrainingLoop) -> list[str]:
    """The names of what learns, without the model's and PEFT's own words around them."""
    return [
        name.removeprefix("base_model.model.model.").replace(".default", "").removesuffix(".weight")
        for name, weight in run.model.named_parameters()
        if weight.requires_grad
    ]


def test_only_the_target_modules_of_the_chosen_layers_are_trained(tmp_path: Path) -> None:
    make(tiny := tmp_path / "models" / "tiny", layers=4)
    run = begun(tiny, tmp_path, loraTargetModules=["up_proj", "q_proj"], loraLayersToTransform=[1, 3])
    assert {name.rpartition(".")[0] for name in learning(run)} == {
        f"layers.{block}.{layer}" for block in (1, 3) for layer in ("self_attn.q_proj", "mlp.up_proj")
    }
    alone = begun(tiny, tmp_path, loraTargetModules="v_proj", loraLayersToTransform=2)
    assert {name.rpartition(".")[0] for name in learning(alone)} == {"layers.2.self_attn.v_proj"}
    every = begun(tiny, tmp_path, loraTargetModules="all-linear")
    assert len(learning(every)) == 2 * 7 * 4
    assert len(learning(begun(tiny, tmp_path, loraLayersToTransform=[0, 3]))) == 2 * 7 * 2


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (
            {"loraTargetModules": ["q_proj", "query"]},
            r"no layer called query. Its linear layers are q_proj, ",
        ),
        ({"loraModulesToSave": "score"}, r"lora.modules_to_save: the model has no layer called score"),
        ({"loraLayersToTransform": [0, 2]}, r"the model has 2 blocks, 0 to 1"),
        ({"loraTargetModules": "norm"}, r"The model tiny does not support this adapter: "),
    ],
)
def test_unadaptable_layers_are_named(tiny: Path, tmp_path: Path, config: dict[str, Any], said: str) -> None:
    with pytest.raises(JobFailure, match=said):
        begun(tiny, tmp_path, **config)


def test_modules_to_save_are_trained_and_saved(tiny: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    run = set_up(tiny, tmp_path, {**BRIEF, "loraModulesToSave": ["layers.0.mlp.down_proj"]})
    run.run()
    saved = load_file(tmp_path / "jobs" / run.job_id / "final" / "adapter_model.safetensors")
    after = saved["base_model.model.model.layers.0.mlp.down_proj.weight"]
    before = load_file(tiny / "model.safetensors")["model.layers.0.mlp.down_proj.weight"]
    assert 1e-3 < float((after - before).abs().max()) < 0.1


def test_lora_dropout_affects_training_only(tiny: Path, tmp_path: Path) -> None:
    plain, dropped = (
        set_up(tiny, tmp_path, {**BRIEF, "loraDropout": share, "evalSteps": 3}, held_out=4)
        for share in (0.0, 0.5)
    )
    one, other = losses_of(plain), losses_of(dropped)
    assert one[0] == other[0]  # B is nothing yet, so there is nothing to drop
    assert one[2] != other[2]
    # Measured twice, the same adapter gives the same loss: nothing is dropped then.
    assert events_of(dropped).figures("evalLoss")[-1] == dropped.evaluate().loss


def test_each_initialization_leaves_the_model_unchanged(tiny: Path, tmp_path: Path) -> None:
    import torch

    def first(**config: Any) -> tuple[torch.Tensor, float]:
        run = begun(tiny, tmp_path, **config)
        weights = dict(run.model.named_parameters())
        name = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.default.weight"
        return weights[name].detach().clone(), run.learn(run.train[:4])

    plain, loss = first()
    seen = [plain]
    for kind in ("gaussian", "orthogonal", "pissa", "olora"):
        weight, begins_at = first(initLoraWeights=kind)
        assert begins_at == pytest.approx(loss, abs=1e-4), kind
        assert all(not torch.allclose(weight, other) for other in seen), kind
        seen.append(weight)
    again, _ = first(initLoraWeights=True)
    assert torch.equal(again, plain)


@pytest.mark.parametrize("rooted", [False, True])
@pytest.mark.parametrize("kind", ["pissa", "olora"])
def test_pissa_is_saved_as_an_adapter_of_the_original_base(
    tiny: Path, tmp_path: Path, kind: str, rooted: bool
) -> None:
    """A chat puts it on the base as it is on the disk, beside other adapters."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    from arkor_dev.local.cpu_kernels.patch_model import use_plain_attention

    run = set_up(tiny, tmp_path, {**BRIEF, "initLoraWeights": kind, "useRslora": rooted})
    run.run()
    folder = tmp_path / "jobs" / run.job_id / "final"
    settings = json.loads((folder / "adapter_config.json").read_text())
    assert (settings["r"], settings["init_lora_weights"]) == (16, True)
    loaded = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny), folder)
    run.model.eval()
    use_plain_attention(run.model.get_base_model())
    ids = torch.tensor([made_up(1)[0].ids])
    with torch.no_grad():
        wanted = run.model(input_ids=ids).logits
        assert torch.allclose(loaded(input_ids=ids).logits, wanted, atol=1e-3)
        with loaded.disable_adapter():
            assert not torch.allclose(loaded(input_ids=ids).logits, wanted, atol=1e-1)


def test_out_of_memory_is_not_reported_as_an_adapter_error(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from arkor_dev.local.training import adapter

    def full(*_: Any) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")

    monkeypatch.setattr(adapter, "get_peft_model", full)
    with pytest.raises(RuntimeError, match="allocate memory"):
        begun(tiny, tmp_path)
