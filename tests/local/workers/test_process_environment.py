"""What a worker process is given of the environment, by what it does there."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("torch")

from arkor_dev.local.workers.process import DEFAULTS, QUIET, passed

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.engine
LENGTHS = """
import torch
from arkor_dev.local.workers import resources
torch.set_num_threads(1)
layer = torch.nn.Linear(256, 512).to(torch.bfloat16)
def learn(tokens):
    layer(torch.ones(tokens, 256, dtype=torch.bfloat16)).sum().backward()
for tokens in range(1, 65):
    learn(tokens)
before = resources.resident_memory()
for tokens in range(65, 365):
    learn(tokens)
print(resources.resident_memory() - before)
"""


@pytest.mark.parametrize("name", ["HIP_VISIBLE_DEVICES", "HSA_OVERRIDE_GFX_VERSION", "CUDA_VISIBLE_DEVICES"])
def test_gpu_selection_is_passed_to_workers(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "1")
    monkeypatch.setenv("HF_TOKEN", "secret")
    assert passed()[name] == "1"
    assert "HF_TOKEN" not in passed()


@pytest.mark.ci
def test_compiled_kernels_per_length_are_bounded() -> None:
    """Three hundred lengths in 16 bit, each of its own: all kept, they take 230 MB here."""
    others = {name: value for name, value in os.environ.items() if name not in DEFAULTS}
    env = {**others, **DEFAULTS}
    done = subprocess.run([sys.executable, "-c", LENGTHS], env=env, stdout=subprocess.PIPE, check=True)
    assert int(done.stdout) < 60e6


ADAPTER = """
import sys
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM
get_peft_model(AutoModelForCausalLM.from_pretrained(sys.argv[1]), LoraConfig(target_modules=["q_proj"]))
"""


@pytest.mark.ci
def test_a_worker_says_nothing_of_a_librarys_own_deprecation(tiny: Path) -> None:
    """Peft reads an attribute of models that transformers has renamed."""
    env = {**os.environ, **QUIET}
    done = subprocess.run(
        [sys.executable, "-c", ADAPTER, str(tiny)], env=env, capture_output=True, check=True
    )
    assert done.stderr == b""
