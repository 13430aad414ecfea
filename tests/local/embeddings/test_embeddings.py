"""Embeddings of a data set over the wire: made on demand by a true model, kept, and removed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("numpy")

import numpy as np

from tests.local.harness import until
from tests.local.tiny_model import write_jsonl

if TYPE_CHECKING:
    from pathlib import Path

    from tests.local.harness import Backend

pytestmark = pytest.mark.engine
PARCEL, COOKING = "Where is my parcel?", "How long do eggs boil in hot water?"


def chat(question: str, answer: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}


ROWS = [chat(PARCEL, f"It arrives in {days} days.") for days in range(2, 8)]
ROWS += [chat(COOKING, f"{minutes} minutes, in a pan.") for minutes in range(2, 8)]


@pytest.fixture
def rows(shared: Backend, shared_project: Path) -> str:
    """The path of an open view of `ROWS`, the first of which the evaluation set has, too."""
    write_jsonl(shared_project / "meaning.jsonl", ROWS)
    write_jsonl(shared_project / "meaning-eval.jsonl", ROWS[:1])
    return opened(shared)


def opened(shared: Backend) -> str:
    config = {
        "model": "./models/tiny",
        "datasetSource": {"type": "file", "path": "meaning.jsonl"},
        "evalDatasetSource": {"type": "file", "path": "meaning-eval.jsonl"},
    }
    view = shared.call("POST", "/v1/datasets", {"config": config})
    assert view.status == 200, view.body
    path = f"/v1/datasets/{view.json['dataset']['id']}"
    until(lambda: shared.call("GET", path).json["dataset"]["state"] == "ready", 120, every=0.05)
    return path


def embedded(shared: Backend, path: str) -> dict[str, Any]:
    assert shared.call("POST", f"{path}/embeddings").json["embeddings"]["state"] in ("waiting", "running")

    def told() -> dict[str, Any] | None:
        found = shared.call("GET", f"{path}/embeddings").json["embeddings"]
        return found if found["state"] in ("completed", "failed") else None

    found: dict[str, Any] = until(told, 240, every=0.05)
    return found


def test_rows_are_embedded_once_kept_and_removed(
    shared: Backend, rows: str, shared_data: Path, shared_project: Path
) -> None:
    assert shared.call("GET", f"{rows}/similar?row=1").status == 409
    assert shared.call("GET", f"{rows}/embeddings").json == {"embeddings": {"state": "none"}}
    assert embedded(shared, rows) == {"state": "completed"}
    # Nothing is computed again for the same rows.
    assert shared.call("POST", f"{rows}/embeddings").json["embeddings"] == {"state": "completed"}
    similar = shared.call("GET", f"{rows}/similar?row=8&count=5").json["similar"]
    assert sorted(each["row"] for each in similar) == [7, 9, 10, 11, 12]
    assert all(COOKING in each["excerpt"] for each in similar)
    likeness = [each["similarity"] for each in similar]
    assert likeness == sorted(likeness, reverse=True)
    surprising = shared.call("GET", f"{rows}/surprising?from=2&count=4").json["surprising"]
    losses = [each["loss"] for each in surprising]
    assert len(losses) == 4
    assert losses == sorted(losses, reverse=True)
    groups = shared.call("GET", f"{rows}/groups").json["groups"]
    assert (groups["rows"], groups["heldOut"], groups["skipped"]) == (12, 1, 0)
    drawn = shared.call("GET", f"{rows}/map").json["map"]
    assert drawn["rows"] == list(range(1, 13))
    assert max(map(abs, drawn["x"])) == 1.0
    assert shared.call("GET", f"{rows}/similar?row=99").status == 404
    assert shared.call("GET", f"{rows}/find?want=text&group=77").json["found"]["row"] is None

    folder = shared_data / "embeddings"
    before = {path: np.load(path)["vectors"] for path in folder.glob("*.npz")}
    write_jsonl(shared_project / "meaning.jsonl", [*ROWS[:11], chat("What is new?", "This row is.")])
    path = opened(shared)
    assert shared.call("GET", f"{path}/embeddings").json["embeddings"]["state"] == "none"
    assert embedded(shared, path) == {"state": "completed"}
    (after,) = (np.load(each)["vectors"] for each in folder.glob("*.npz") if each not in before)
    assert any((after[:11] == vectors[:11]).all() for vectors in before.values())

    use = shared.call("GET", "/v1/disk").json["disk"]
    assert use["embeddings"] == sum(each.stat().st_size for each in folder.iterdir()) > 0
    assert shared.call("POST", "/v1/disk/clean").json["freed"] >= use["embeddings"]
    assert not folder.exists()
    assert shared.call("GET", f"{path}/embeddings").json["embeddings"]["state"] == "none"


def test_losses_and_vectors_are_those_of_each_row_alone(tiny: Path) -> None:
    """Padding to the batch's longest row changes neither."""
    import torch

    from arkor_dev.local.embeddings.vectors import Embedder, batches
    from arkor_dev.local.modeling.base_model import load_base
    from arkor_dev.local.modeling.example import IGNORED, Example

    base = load_base(tiny)
    examples = [
        Example(ids, [IGNORED] * 2 + ids[2:]) for ids in ([5, 6, 7, 8], [9, 8, 7, 6, 5, 4, 3], [4, 4, 9])
    ]
    embedder = Embedder(base.model, base.device)
    together, losses = embedder(examples)
    for place, example in enumerate(examples):
        ids = torch.tensor([example.ids])
        output = base.model(ids, labels=torch.tensor([example.labels]), output_hidden_states=True)
        assert losses[place] == pytest.approx(output.loss.item(), abs=1e-4)
        assert torch.allclose(together[place], output.hidden_states[-1][0].mean(0), atol=1e-4)
    assert sorted(place for batch in batches(examples) for place in batch) == [0, 1, 2]


def test_an_interrupted_worker_leaves_what_is_done(tmp_path: Path) -> None:
    from arkor_dev.local.embeddings.store import EmbeddedRows, known, read

    digests, vectors = np.array([3, 9], np.uint64), np.ones((2, 4), np.float16)
    empty, flat = np.zeros(2, np.int16), np.zeros((2, 2), np.float32)
    part = EmbeddedRows(empty, digests, vectors, np.ones(2, np.float32), empty, empty, flat, {})
    part.write(tmp_path / "model-part.npz")
    assert set(known(tmp_path, "model")) == {3, 9}
    assert known(tmp_path, "other") == {}
    path = tmp_path / "model-rows.npz"
    path.write_bytes((tmp_path / "model-part.npz").read_bytes()[:200])
    assert read(path) is None
    assert set(known(tmp_path, "model")) == {3, 9}
