"""An adapter's answers come from merged weights: the same within rounding, and nobody else's are changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.local.tiny_model import PHRASE

from .asking import Asking, ask
from .test_adapter_scale import final, logits

if TYPE_CHECKING:
    from pathlib import Path

    from tests.local.conftest import Trained

pytestmark = [
    pytest.mark.engine,
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"),
]


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Any:
    """An engine with packed weights in float32, on one thread."""
    import torch

    from arkor_dev.local.inference import transformers_engine as engine_module
    from arkor_dev.local.inference.answer_speed import ComputePlan

    monkeypatch.setattr(engine_module, "fastest_plan", lambda *_: ComputePlan(torch.float32, True, 1, 1))
    return engine_module.TransformersEngine()


def test_merged_weights_equal_peft(engine: Any, trained: Trained, tiny: Path) -> None:
    import torch

    base = logits(engine, ask(tiny, None))
    merged = logits(engine, ask(tiny, final(trained)))
    (weights,) = engine._merged.values()
    weights.leave()
    unmerged = logits(engine, ask(tiny, final(trained)))
    torch.testing.assert_close(merged, unmerged, rtol=1e-4, atol=1e-4)
    assert not torch.equal(merged, unmerged), "other products"
    engine._deactivate()
    assert torch.equal(logits(engine, ask(tiny, final(trained))), merged)
    assert torch.equal(logits(engine, ask(tiny, None)), base)
    half = logits(engine, ask(tiny, final(trained), strength=0.5))
    assert not torch.allclose(half, merged, atol=1e-2)
    assert torch.equal(logits(engine, ask(tiny, final(trained))), merged)


def test_without_enough_memory_weights_are_not_merged(
    engine: Any, trained: Trained, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from arkor_dev.local.inference import merged_weights
    from arkor_dev.local.workers.machine import Memory

    monkeypatch.setattr(merged_weights, "memory", lambda: Memory(1000, 10**10))
    assert Asking(engine).answer(ask(tiny, final(trained)))[0] == PHRASE
    assert not engine._merged


def test_an_answer_in_progress_keeps_its_weights(
    engine: Any, trained: Trained, tiny: Path, tmp_path: Path
) -> None:
    import shutil

    other = tmp_path / "other"
    shutil.copytree(final(trained), other)
    asking = Asking(engine)
    first = asking.ask(ask(tiny, final(trained)))
    asking.turn(2)
    merged = dict(engine._merged)
    second = asking.ask(ask(tiny, other))
    asking.turn(2)
    assert not first.over
    assert engine._merged == merged, "the second one waits for nothing, and PEFT computes it"
    asking.finish(first, second)
    assert (first.text, second.text) == (PHRASE, PHRASE)
    assert asking.answer(ask(tiny, other))[0] == PHRASE
    assert engine._merged.keys() != merged.keys()
