"""What a run's preparation reads and refuses of an embedder's corpus, before a model is loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from arkor_dev.local.execution.messages import JobRequest
from arkor_dev.local.training import preparation as module
from arkor_dev.local.training.preparation import RunPreparation
from arkor_dev.local.training.run_events import RunEvents
from arkor_dev.local.workers.errors import JobFailure
from tests.local.tiny_model import write_jsonl

if TYPE_CHECKING:
    from pathlib import Path

PAIRS: list[dict[str, object]] = [
    {"anchor": f"question {number}", "positive": f"answer {number}"} for number in range(12)
]
SCORED: list[dict[str, object]] = [
    {"sentence1": f"a {number}", "sentence2": f"b {number}", "score": number / 12} for number in range(12)
]


def read(project: Path, documents: list[dict[str, object]], rows: list[dict[str, object]]) -> RunPreparation:
    """Read a job's rows and its corpus."""
    write_jsonl(project / "rows.jsonl", rows)
    write_jsonl(project / "documents.jsonl", documents)
    config = {
        "model": "m",
        "method": "embed",
        "datasetSource": {"type": "file", "path": "rows.jsonl"},
        "datasetSplit": 0.5,
        "corpus": "documents.jsonl",
    }
    job = JobRequest(id="job_000000000000", config=config, data=str(project), project=str(project))
    preparation = RunPreparation(job, RunEvents(), lambda *_: None)
    preparation.read()
    return preparation


def test_documents_of_a_corpus_are_searched_and_not_learned(tmp_path: Path) -> None:
    found = read(tmp_path, [{"text": "one"}, {"document": "two", "id": 7}], [*PAIRS])
    assert [row.extra["positive"] for row in found.corpus_rows] == ["one", "two"]
    assert len(found.train_rows) + len(found.eval_rows) == len(PAIRS)


@pytest.mark.parametrize(
    ("documents", "rows", "words"),
    [
        ([{"text": "one"}], SCORED, "rows with scores are compared in pairs: remove corpus"),
        ([{"text": "one"}, {"text": " "}], PAIRS, "has an empty text: fill it in, or remove the row"),
        ([{"body": "one"}], PAIRS, "documents.jsonl"),
        ([{"text": str(at)} for at in range(4)], PAIRS, "has 4 documents, and at most 3 are searched"),
    ],
)
def test_an_unusable_corpus_is_refused_in_a_sentence(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    documents: list[dict[str, object]],
    rows: list[dict[str, object]],
    words: str,
) -> None:
    monkeypatch.setattr(module, "MOST_DOCUMENTS", 3)
    with pytest.raises(JobFailure) as refused:
        read(tmp_path, documents, [*rows])
    assert words in str(refused.value)
