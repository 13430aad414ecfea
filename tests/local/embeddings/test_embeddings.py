"""Embeddings of a data set over the wire: made on demand by a true model, kept, and removed."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("numpy")

import numpy as np

from arkor_dev.local.embeddings.store import RowLosses
from arkor_dev.local.embeddings.token_vectors import TokenVectors
from arkor_dev.local.workers.errors import JobFailure
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


def embedded(shared: Backend, path: str, wanted: str = "embeddings") -> dict[str, Any]:
    assert shared.call("POST", f"{path}/{wanted}").json[wanted]["state"] in ("waiting", "running")

    def told() -> dict[str, Any] | None:
        found = shared.call("GET", f"{path}/{wanted}").json[wanted]
        return found if found["state"] in ("completed", "failed") else None

    found: dict[str, Any] = until(told, 240, every=0.05)
    return found


def test_embeddings_are_computed_stored_and_deleted(shared: Backend, rows: str, shared_data: Path) -> None:
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
    groups = shared.call("GET", f"{rows}/groups").json["groups"]
    assert (groups["rows"], groups["heldOut"], groups["skipped"]) == (12, 1, 0)
    drawn = shared.call("GET", f"{rows}/map").json["map"]
    assert drawn["rows"] == list(range(1, 13))
    assert max(map(abs, drawn["x"])) == 1.0
    assert shared.call("GET", f"{rows}/similar?row=99").status == 404
    assert shared.call("GET", f"{rows}/find?want=text&group=77").json["found"]["row"] is None

    folder = shared_data / "embeddings"
    use = shared.call("GET", "/v1/disk").json["disk"]
    assert use["embeddings"] == sum(each.stat().st_size for each in folder.iterdir()) > 0
    assert shared.call("POST", "/v1/disk/clean").json["freed"] >= use["embeddings"]
    assert not folder.exists()
    assert shared.call("GET", f"{rows}/embeddings").json["embeddings"]["state"] == "none"


def test_row_losses_are_measured_once(
    shared: Backend, rows: str, shared_data: Path, shared_project: Path
) -> None:
    assert shared.call("GET", f"{rows}/surprising").status == 409
    assert embedded(shared, rows, "losses") == {"state": "completed"}
    surprising = shared.call("GET", f"{rows}/surprising?from=2&count=4").json["surprising"]
    losses = [each["loss"] for each in surprising]
    assert len(losses) == 4
    assert losses == sorted(losses, reverse=True)
    assert shared.call("POST", f"{rows}/losses/0123abcd").status == 404

    # A loss that is known is not measured again: a changed one shows.
    (file,) = (shared_data / "embeddings").glob("losses-*.npz")
    found = RowLosses.read(file)
    assert found is not None
    replace(found, losses=found.losses + 100).write(file)
    write_jsonl(shared_project / "meaning.jsonl", [*ROWS[:11], chat("What is new?", "This row is.")])
    path = opened(shared)
    assert shared.call("GET", f"{path}/losses").json["losses"]["state"] == "none"
    assert embedded(shared, path, "losses") == {"state": "completed"}
    surprising = shared.call("GET", f"{path}/surprising").json["surprising"]
    assert [each["row"] for each in surprising if each["loss"] < 100] == [12]


def test_batched_losses_equal_single_ones(tiny: Path) -> None:
    """Padding to the batch's longest row does not change them."""
    import torch

    from arkor_dev.local.embeddings.losses import batches, losses_of
    from arkor_dev.local.modeling.base_model import load_base
    from arkor_dev.local.modeling.example import IGNORED, Example

    base = load_base(tiny)
    examples = [
        Example(ids, [IGNORED] * 2 + ids[2:]) for ids in ([5, 6, 7, 8], [9, 8, 7, 6, 5, 4, 3], [4, 4, 9])
    ]
    losses = losses_of(base.model.eval(), examples, base.device)
    for place, example in enumerate(examples):
        ids = torch.tensor([example.ids])
        output = base.model(ids, labels=torch.tensor([example.labels]))
        assert losses[place] == pytest.approx(output.loss.item(), abs=1e-4)
    assert sorted(place for batch in batches(examples) for place in batch) == [0, 1, 2]


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")
def test_losses_depend_on_the_adapter(tiny: Path, tmp_path: Path) -> None:
    import torch
    from peft import LoraConfig, get_peft_model

    from arkor_dev.data.rows import Row
    from arkor_dev.local.embeddings.losses_worker import measure
    from arkor_dev.local.embeddings.rows import Read
    from arkor_dev.local.modeling.base_model import load_base
    from arkor_dev.local.training.job_settings import EffectiveSettings

    torch.manual_seed(1)
    config = LoraConfig(r=2, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    get_peft_model(load_base(tiny).model, config).save_pretrained(str(tmp_path / "adapter"))
    rows = [Read(at, at, Row(each["messages"], ""), trained=True) for at, each in enumerate(ROWS[:3], 1)]
    quiet: Any = SimpleNamespace(progress=lambda *_: None)
    found = []
    for name, adapter in (("base", None), ("adapted", tmp_path / "adapter")):
        target = tmp_path / "data" / "embeddings" / f"losses-{name}-rows.npz"
        assert measure(rows, EffectiveSettings({"model": str(tiny)}), tiny, adapter, target, quiet) == 3
        measured = RowLosses.read(target)
        assert measured is not None
        found.append(measured.losses)
    assert np.isfinite(found).all()
    assert (np.abs(found[0] - found[1]) > 1e-4).all()


def test_an_interrupted_worker_keeps_finished_rows(tmp_path: Path) -> None:
    digests, numbers = np.array([3, 9], np.uint64), np.zeros(2, np.uint32)
    part = RowLosses(facts={}, numbers=numbers, hashes=digests, losses=np.ones(2, np.float32))
    part.write(tmp_path / "losses-model-part.npz")
    assert set(RowLosses.known(tmp_path, "model")) == {3, 9}
    assert RowLosses.known(tmp_path, "other") == {}
    path = tmp_path / "losses-model-rows.npz"
    path.write_bytes((tmp_path / "losses-model-part.npz").read_bytes()[:200])
    assert RowLosses.read(path) is None
    assert set(RowLosses.known(tmp_path, "model")) == {3, 9}


@pytest.mark.parametrize("numbers", ["F32", "F16", "BF16"])
def test_rows_with_rare_shared_tokens_are_similar(tmp_path: Path, numbers: str) -> None:
    table = np.random.default_rng(1).normal(size=(40, 16)).astype(np.float32) + 3
    write_weights(tmp_path, numbers, table)
    # Token 0 is in each row; 9 and 50 are in two rows each, and 50 has no embedding.
    rows = [[0, 9, 1, 2], [0, 3, 9, 4], [0, 5, 6, 50], [0, 7, 8, 50], [0]]
    done: list[int] = []
    vectors = TokenVectors(tmp_path).embed(rows, done.append).astype(np.float32)
    assert done == [1, 2, 3, 4, 5]
    assert np.allclose(np.linalg.norm(vectors[:4], axis=1), 1, atol=1e-2)
    likeness = vectors @ vectors.T
    assert likeness[0, 1] == pytest.approx(max(likeness[0, 1:]))
    if numbers == "F32":
        unit = table - table.mean(0)
        unit /= np.linalg.norm(unit, axis=1, keepdims=True)
        rare = {token: np.log(1 + 5 / sum(token in row for row in rows)) for token in (0, 9, 1, 2)}
        expected = sum(rare[token] * unit[token] for token in rare)
        assert np.allclose(vectors[0], expected / np.linalg.norm(expected), atol=2e-3)


def write_weights(folder: Path, numbers: str, table: Any) -> None:
    """Write token embeddings as safetensors has them, beside position embeddings."""
    coded = {
        "F32": table,
        "F16": table.astype(np.float16),
        "BF16": (table.view(np.uint32) >> 16).astype(np.uint16),
    }[numbers].tobytes()
    offsets = [396, 396 + len(coded)]
    header = json.dumps(
        {
            "__metadata__": {"format": "pt"},
            "model.embed_positions.weight": {"dtype": "F32", "shape": [99, 1], "data_offsets": [0, 396]},
            "model.embed_tokens.weight": {"dtype": numbers, "shape": table.shape, "data_offsets": offsets},
        }
    ).encode()
    content = len(header).to_bytes(8, "little") + header + bytes(396) + coded
    (folder / "model.safetensors").write_bytes(content)


def test_a_model_without_readable_embeddings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(JobFailure, match="no token embeddings"):
        TokenVectors(tmp_path)
    write_weights(tmp_path, "F16", np.ones((4, 2), np.float32))
    path = tmp_path / "model.safetensors"
    content = path.read_bytes()
    path.write_bytes(content.replace(b"F16", b"I16"))
    with pytest.raises(JobFailure, match="stored as I16"):
        TokenVectors(tmp_path)
    path.write_bytes(content[:-10])
    with pytest.raises(JobFailure, match="cannot be read"):
        TokenVectors(tmp_path)
