"""What is known of a model without torch, against what torch and the loaded model say."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

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
WITH_TORCH = """
import json, sys
from pathlib import Path
from arkor_dev.local.modeling.base_model import load_base
base = load_base(Path(sys.argv[1]))
print(json.dumps([base.device, base.context, base.tokenizer("my parcel").input_ids]))
"""


def said(script: str, model: Path) -> list[object]:
    """What a script prints of a model, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", script, str(model)], check=True, capture_output=True, text=True
    )
    value: list[object] = json.loads(done.stdout)
    return value


def test_a_model_is_the_same_without_torch(tiny: Path) -> None:
    without = said(WITHOUT_TORCH, tiny)
    assert without == said(WITH_TORCH, tiny)
    assert without[1] == 256
