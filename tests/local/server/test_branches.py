"""What a new job may begin from, and that it keeps it for itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.contract.errors import ConflictError
from arkor_dev.local.jobs.job_folder import parent_folder
from arkor_dev.local.server.branches import check_fits, copy_parent

if TYPE_CHECKING:
    from pathlib import Path

PARENT: Any = {"name": "support-bot", "config": {"model": "m", "loraTargetModules": ["q", "v"]}}
FITS: dict[str, Any] = {"model": "m", "loraTargetModules": ["v", "q"]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "final"
    made.mkdir()
    (made / "adapter_config.json").write_text(json.dumps({"r": 8, "lora_alpha": 16, "use_dora": False}))
    (made / "adapter_model.safetensors").write_bytes(b"weights")
    (made / "state.pt").write_bytes(b"state")
    (made / "manifest.json").write_text("{}")
    return made


def config(more: dict[str, Any]) -> Any:
    return {**FITS, **more}


@pytest.mark.parametrize("more", [{}, {"loraR": 8}, {"loraAlpha": 16, "learningRate": 1.0}])
def test_an_adapter_of_the_same_form_fits(folder: Path, more: dict[str, Any]) -> None:
    check_fits(PARENT, folder, config(more))


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ({"model": "other"}, "model is m there, other here"),
        ({"loraR": 16}, "lora.r is 8 there, 16 here"),
        ({"loraAlpha": 8}, "lora.alpha is 16 there, 8 here"),
        ({"useDora": True}, "lora.use_dora is False there, True here"),
        ({"loraTargetModules": "q"}, "lora.target_modules"),
        ({"loraTargetModules": None}, "lora.target_modules is .* there, .'all-linear'. here"),
        ({"fullFineTuning": True}, "full_fine_tuning is False there, True here"),
        ({"initLoraWeights": "pissa"}, "lora.init_lora_weights"),
    ],
)
def test_an_adapter_of_another_form_is_refused(folder: Path, more: dict[str, Any], what: str) -> None:
    with pytest.raises(ConflictError, match=what):
        check_fits(PARENT, folder, config(more))


def test_a_branch_copies_only_the_adapter(folder: Path, tmp_path: Path) -> None:
    copy_parent(tmp_path, "job_b", folder)
    kept = parent_folder(tmp_path, "job_b")
    assert sorted(path.name for path in kept.iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
        "manifest.json",
    ]
    assert json.loads((kept / "manifest.json").read_text())["files"].keys() == {
        "adapter_config.json",
        "adapter_model.safetensors",
    }
