"""Adapters of others are loaded as their weights say; hostile settings are refused, or left out, at once."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("safetensors")

import numpy as np
from safetensors.numpy import save_file

from arkor_dev.local.modeling.adapter_config import CONFIG, WEIGHTS, read_lora
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from pathlib import Path

LAYERS = [f"model.layers.{block}.self_attn.{name}" for block in range(3) for name in ("q_proj", "v_proj")]
PLAIN: dict[str, Any] = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "v_proj"]}
CATASTROPHE = "(([a-z]+)+[.0-9]*)+!"
"""Takes minutes on a name of 30 letters."""


def adapter(folder: Path, ranks: dict[str, int] | None = None, **told: Any) -> Path:
    weights = {}
    for layer, rank in {**dict.fromkeys(LAYERS, 4), **(ranks or {})}.items():
        weights[f"base_model.model.{layer}.lora_A.weight"] = np.zeros((rank, 16), np.float32)
        weights[f"base_model.model.{layer}.lora_B.weight"] = np.zeros((32, rank), np.float32)
    folder.mkdir(exist_ok=True)
    save_file(weights, folder / WEIGHTS)
    (folder / CONFIG).write_text(json.dumps({**PLAIN, **told}))
    return folder


def test_adapted_layers_are_read_from_the_weights(tmp_path: Path) -> None:
    settings, shapes = read_lora(
        adapter(
            tmp_path / "a",
            {LAYERS[1]: 2},
            rank_pattern={CATASTROPHE: 10**9},
            alpha_pattern={"v_proj": 3, r"layers\.1\..*q_proj": 40, "^no$": 5},
            use_rslora=True,
            target_modules=CATASTROPHE,
            exclude_modules=CATASTROPHE,
            layers_pattern=CATASTROPHE,
            layers_to_transform=[10**9],
            megatron_core="antigravity",
            auto_mapping={"parent_library": "antigravity"},
            init_lora_weights="gaussian",
        )
    )
    assert settings["target_modules"] == sorted(LAYERS)
    assert settings["r"] == 4
    assert {name.replace("\\", ""): rank for name, rank in settings["rank_pattern"].items()} == {LAYERS[1]: 2}
    assert {name.replace("\\", ""): alpha for name, alpha in settings["alpha_pattern"].items()} == {
        **dict.fromkeys(LAYERS[1::2], 3),
        LAYERS[2]: 40,
    }
    assert settings["use_rslora"]
    assert not settings["use_dora"]
    assert "antigravity" not in str(settings)
    assert "+)+" not in str(settings)
    assert len(shapes) == 2 * len(LAYERS)


HOSTILE: dict[str, tuple[dict[str, Any], str]] = {
    "a rank of its own": ({"r": 500_000}, "rank 4, and its adapter_config.json says 500000"),
    "an alpha without end": ({"lora_alpha": 1e308}, "lora_alpha"),
    "an invalid alpha": ({"lora_alpha": True}, "lora_alpha"),
    "an expression": ({"alpha_pattern": {CATASTROPHE: 3}}, "too complex"),
    "branches, each of them twice": ({"alpha_pattern": {"(|)" * 60: 3}}, "too complex"),
    "repetitions that look escaped": ({"alpha_pattern": {r"\\*" * 20: 3}}, "too complex"),
    "half an expression": ({"alpha_pattern": {"[": 3}}, "not a valid expression"),
    "many expressions": ({"alpha_pattern": {f"{n}": 3 for n in range(300)}}, "more than 256"),
    "another beginning": (
        {"init_lora_weights": "pissa_niter_99999999"},
        "its initialization changed the base",
    ),
    "a beginning that is a list": ({"init_lora_weights": [1]}, "its initialization changed"),
    "more layers": ({"layer_replication": [[0, 9]] * 999}, "layer_replication"),
    "another kind": ({"peft_type": "PROMPT_TUNING", "num_virtual_tokens": 10**9}, "not a LoRA"),
    "whole layers by expression": ({"modules_to_save": [CATASTROPHE]}, "not layer names"),
    "a bias": ({"bias": "x" * 9000}, "bias"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_adapter_configs_are_refused(tmp_path: Path, name: str) -> None:
    told, why = HOSTILE[name]
    began = time.process_time()
    with pytest.raises(JobFailure, match=why) as fault:
        read_lora(adapter(tmp_path / "a", **told))
    assert time.process_time() - began < 1
    assert len(str(fault.value)) < 300


def test_invalid_adapter_weights_are_refused(tmp_path: Path) -> None:
    folder = adapter(tmp_path / "a")
    save_file({"base_model.model.x.lora_A.weight": np.zeros((4, 16))}, folder / WEIGHTS)
    with pytest.raises(JobFailure, match="do not belong together"):
        read_lora(folder)
    save_file({"x": np.zeros(1)}, folder / WEIGHTS)
    with pytest.raises(JobFailure, match="adapt no layer"):
        read_lora(folder)
    began = time.process_time()
    with pytest.raises(JobFailure, match="longer than 200"):
        read_lora(adapter(tmp_path / "c", {"a." * 4000: 4}, alpha_pattern={".*.*!": 3}))
    assert time.process_time() - began < 1
    # A header that promises more than the file has: nothing is allocated by it.
    content = (adapter(tmp_path / "b") / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(content.replace(b"[4,16]", b"[9,99]"))
    with pytest.raises(JobFailure, match="cannot be read"):
        read_lora(folder)
    (folder / CONFIG).write_text("[" * 100_000)
    with pytest.raises(JobFailure, match=r"adapter_config\.json cannot be read"):
        read_lora(folder)
