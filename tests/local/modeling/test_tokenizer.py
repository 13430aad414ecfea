"""What is known of a model without torch, against what torch and the loaded model say."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("torch")

from arkor_dev.contract.gpus import Gpu
from arkor_dev.local.modeling import tokenizer
from arkor_dev.local.modeling.base_model import load_base
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.engine

WITHOUT_TORCH = """
import json, sys
sys.modules["torch"] = None
from pathlib import Path
from arkor_dev.local.modeling.tokenizer import likely_device, load_context, load_tokenizer
tokenizer = load_tokenizer(Path(sys.argv[1]))
print(json.dumps([likely_device(), load_context(Path(sys.argv[1])), tokenizer("my parcel").input_ids]))
"""


def test_a_missing_model_folder_is_not_looked_up_on_the_hub(tmp_path: Path) -> None:
    with pytest.raises(JobFailure, match=r"no longer exists\. If the project was moved or renamed"):
        load_base(tmp_path / "renamed" / "models" / "tiny")


def test_model_metadata_is_the_same_without_torch(tiny: Path) -> None:
    """What a process without torch prints of a model, and what this one reads of it with torch."""
    argv = [sys.executable, "-c", WITHOUT_TORCH, str(tiny)]
    without = json.loads(subprocess.run(argv, check=True, capture_output=True, text=True).stdout)
    base = load_base(tiny)
    assert without == [base.device, base.context, base.tokenizer("my parcel").input_ids]
    assert without[1] == 256


@pytest.mark.parametrize(
    ("system", "build", "amd", "device", "length"),
    [
        ("linux", "rocm", 1, "cuda", 1024),
        ("linux", "rocm", 0, "cpu", 512),
        ("linux", "cpu", 1, "cpu", 512),
        ("darwin", "cpu", 0, "mps", 1024),
    ],
)
def test_truncation_matches_the_training_device(
    monkeypatch: pytest.MonkeyPatch, system: str, build: str, amd: int, device: str, length: int
) -> None:
    monkeypatch.setattr(tokenizer, "torch_build", lambda: build)
    monkeypatch.setattr(tokenizer, "amd_gpus", lambda: [Gpu("AMD GPU", "0")] * amd)
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    assert tokenizer.likely_device() == device
    assert tokenizer.default_length(device) == length
