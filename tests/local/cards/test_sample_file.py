"""Samples are kept as they are sent, and those that count no more are dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arkor_dev.local.cards.sample_file import sample_observer, samples_in
from arkor_dev.local.training.run_events import RunEvents

if TYPE_CHECKING:
    from pathlib import Path


def test_samples_are_stored_until_they_are_rolled_back(tmp_path: Path) -> None:
    send = RunEvents(lambda _: None, sample_observer(tmp_path))
    assert samples_in(tmp_path) == []
    for step in (0, 10, 20):
        send(
            {
                "type": "sample.created",
                "step": step,
                "number": 1,
                "prompt": "Wh\u00e9re?\n",
                "answer": str(step),
            }
        )
        send({"type": "training.log", "step": step, "loss": 1.0})
    assert [each["answer"] for each in samples_in(tmp_path)] == ["0", "10", "20"]
    send({"type": "training.resumed", "step": 10})
    assert [each["answer"] for each in samples_in(tmp_path)] == ["0", "10"]
    send({"type": "training.resumed", "step": 0})
    assert samples_in(tmp_path) == []
    assert sorted(path.name for path in (tmp_path / "evaluation").iterdir()) == ["samples.jsonl"]


def test_unreadable_sample_files_are_ignored(tmp_path: Path) -> None:
    send = RunEvents(lambda _: None, sample_observer(tmp_path))
    send({"type": "sample.created", "step": 0, "number": 1, "prompt": "a", "answer": "b"})
    path = tmp_path / "evaluation" / "samples.jsonl"
    path.write_bytes(path.read_bytes() + b"[1]\n{half\n\xff\n" + b"[" * 5000)
    assert samples_in(tmp_path) == [
        {"type": "sample.created", "step": 0, "number": 1, "prompt": "a", "answer": "b"}
    ]
    send({"type": "sample.created", "step": 10, "number": 1, "prompt": "a", "answer": "c"})
    assert samples_in(tmp_path)[1:] == [
        {"type": "sample.created", "step": 10, "number": 1, "prompt": "a", "answer": "c"}
    ]
    path.unlink()
    path.mkdir()
    send({"type": "sample.created", "step": 0, "number": 1, "prompt": "a", "answer": "b"})
    assert samples_in(tmp_path) == []
