"""What a run's preparation reads and refuses of an embedder's corpus, before a model is loaded."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from arkor_dev.local.execution.messages import JobRequest
from arkor_dev.local.training import preparation as module
from arkor_dev.local.training.preparation import RunPreparation
from arkor_dev.local.training.run_events import RunEvents
from arkor_dev.local.workers.errors import JobFailure
from tests.local.job_configs import config_of
from tests.local.tiny_model import write_jsonl

if TYPE_CHECKING:
    from pathlib import Path

PAIRS: list[dict[str, object]] = [
    {"anchor": f"question {number}", "positive": f"answer {number}"} for number in range(12)
]
SCORED: list[dict[str, object]] = [
    {"sentence1": f"a {number}", "sentence2": f"b {number}", "score": number / 12} for number in range(12)
]


def read(
    project: Path,
    documents: list[dict[str, object]],
    rows: list[dict[str, object]],
    said: list[str] | None = None,
    **more: object,
) -> RunPreparation:
    """Read a job's rows and its corpus; the run's sentences go to ``said``."""
    write_jsonl(project / "rows.jsonl", rows)
    write_jsonl(project / "documents.jsonl", documents)
    config = {
        "model": "m",
        "method": "embed",
        "datasetSource": {"type": "file", "path": "rows.jsonl"},
        "datasetSplit": 0.5,
        "corpus": "documents.jsonl",
        **more,
    }
    job = JobRequest(id="job_000000000000", config=config_of(config), data=str(project), project=str(project))
    told = said if said is not None else []
    emit = RunEvents(lambda event: told.append(str(event.get("message"))))
    preparation = RunPreparation(job, emit, lambda *_: None)
    preparation.read()
    return preparation


def test_documents_of_a_corpus_are_searched_and_not_learned(tmp_path: Path) -> None:
    found = read(tmp_path, [{"text": "one"}, {"document": "two", "id": 7}], [*PAIRS])
    assert [row.extra["positive"] for row in found.corpus_rows] == ["one", "two"]
    assert len(found.train_rows) + len(found.eval_rows) == len(PAIRS)


def test_a_corpus_is_not_read_if_no_row_is_held_out(tmp_path: Path) -> None:
    said: list[str] = []
    assert read(tmp_path, [{"text": "one"}], [*PAIRS], said, datasetSplit=0).corpus_rows == []
    assert "No row is held out, so nothing searches the corpus" in said


def test_of_a_file_with_too_many_documents_no_more_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_DOCUMENTS", 3)
    unread: list[dict[str, object]] = [{"text": str(at) if at < 4 else " "} for at in range(5)]
    with pytest.raises(JobFailure, match="has more than 3 documents"):
        read(tmp_path, unread, [*PAIRS])


class Words:
    """A tokenizer of words, whose number is their length."""

    def __call__(
        self, text: str, *, truncation: bool = False, max_length: int | None = None
    ) -> dict[str, list[int]]:
        return {"input_ids": [len(word) for word in text.split()][: max_length if truncation else None]}


def test_truncated_documents_of_a_corpus_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In parts of which only the documents are kept, in their order."""
    pytest.importorskip("torch")
    monkeypatch.setattr(module, "DOCUMENTS_AT_ONCE", 2)
    said: list[str] = []
    documents: list[dict[str, object]] = [{"text": "a bb"}, {"text": "a bb ccc dddd"}, {"text": "ccc"}]
    preparation = read(tmp_path, documents, [*PAIRS], said)
    preparation.base = SimpleNamespace(tokenizer=Words())  # type: ignore[assignment]
    preparation.longest = 4
    preparation.encode()
    assert [document.ids[:-1] for document in preparation.corpus] == [[1, 2], [1, 2, 3], [3]]
    assert "1 of 3 documents of the corpus is longer than max_length 4 and was truncated" in said


@pytest.mark.parametrize(
    ("documents", "rows", "words"),
    [
        ([{"text": "one"}], SCORED, "rows with scores are compared in pairs: remove corpus"),
        ([{"text": "one"}, {"text": " "}], PAIRS, "has an empty text: fill it in, or remove the row"),
        ([{"body": "one"}], PAIRS, "documents.jsonl"),
        ([{"text": str(at)} for at in range(4)], PAIRS, "has more than 3 documents, which is the most"),
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
