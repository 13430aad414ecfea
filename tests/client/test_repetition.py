"""A job that begins with another's adapter has its settings."""

from __future__ import annotations

from typing import Any

import pytest

from arkor_dev.client.repetition import with_adapter_of
from arkor_dev.contract.errors import BadRequestError

PARENT: Any = {
    "name": "first",
    "config": {"model": "m", "loraR": 8, "loraTargetModules": ["q_proj", "v_proj"], "learningRate": 1e-3},
}
LAYERS = ["q_proj", "v_proj"]


def test_the_adapters_settings_are_the_parents_and_the_others_ones_own() -> None:
    config = {"loraR": 64, "loraAlpha": 7, "useDora": True, "initLoraWeights": "pissa", "learningRate": 2e-4}
    assert with_adapter_of(PARENT, config, []) == {
        "model": "m", "loraR": 8, "loraTargetModules": LAYERS, "learningRate": 2e-4,
    }  # fmt: skip


def test_changes_of_a_trainers_settings_are_recorded() -> None:
    config = {"model": "m", "loraR": 64, "learningRate": 2e-4, "setByHand": ["learningRate"]}
    assert with_adapter_of(PARENT, config, ["learningRate"])["setByHand"] == [
        "learningRate", "loraR", "loraTargetModules",
    ]  # fmt: skip


def test_settings_of_this_run_that_do_not_fit_are_refused_in_one_message() -> None:
    config = {"model": "m", "loraR": 16, "loraAlpha": 16, "useDora": True}
    with pytest.raises(BadRequestError) as fault:
        with_adapter_of(PARENT, config, ["loraR", "loraAlpha", "useDora"])
    assert fault.value.text == (
        "The adapter of first does not fit these settings: lora.r is 8 there, 16 here; lora.use_dora is "
        "false there, true here. Leave them out: a run takes over those of its parent."
    )


@pytest.mark.parametrize(
    "same", [{"loraR": 8}, {"loraAlpha": 16}, {"loraTargetModules": ["v_proj", "q_proj"]}, {"useDora": False}]
)
def test_settings_of_this_run_that_are_the_parents_fit(same: dict[str, Any]) -> None:
    adopted = with_adapter_of(PARENT, {"model": "m", **same}, list(same))
    assert same.items() <= adopted.items()
    assert adopted["loraR"] == 8
