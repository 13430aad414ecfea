"""Reranking: sentence-transformers' loss and gradients, the same bits after a pause, rows that do not fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("torch")

import torch
from peft import PeftModel
from transformers import AutoModelForSequenceClassification

from arkor_dev.data.relevance import RELEVANCE
from arkor_dev.data.row_parser import row_of
from arkor_dev.data.rows import RowError
from arkor_dev.local.modeling.reranker import is_reranker
from arkor_dev.local.modeling.tokenizer import load_tokenizer
from arkor_dev.local.training.job_settings import EffectiveSettings
from arkor_dev.local.training.methods import method
from arkor_dev.local.training.rows.encoding import Encoding
from arkor_dev.local.workers.errors import JobFailure
from tests.local.tiny_model import QUESTIONS
from tests.local.tiny_run import losses_of, set_up
from tests.local.training.test_going_on import bytes_of, pausing_after, points

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from arkor_dev.data.rows import Row
    from arkor_dev.local.training.run import TrainingLoop

pytestmark = [
    pytest.mark.engine,
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"),
]

ROWS: list[dict[str, Any]] = [
    {"query": asked, "document": f"{'Yes' if good else 'Never'}: {asked}", "label": good}
    for asked in QUESTIONS[:6]
    for good in (False, True)
]
CONFIG: dict[str, Any] = {
    "method": "rerank", "maxSteps": 12, "learningRate": 1e-2, "batchSize": 4, "loggingSteps": 1,
}  # fmt: skip


def rows_of(records: Sequence[dict[str, Any]]) -> list[Row]:
    return [row_of(record, f"row {at}", None, {}, forms=RELEVANCE) for at, record in enumerate(records, 1)]


def run_of(tiny: Path, folder: Path, records: Sequence[dict[str, Any]] = ROWS, **config: Any) -> TrainingLoop:
    resume_plan, job = config.pop("resume_plan", None), {**CONFIG, **config}
    rerank, rows = method("rerank"), rows_of(records)
    classes = rerank.classes(rows, (), EffectiveSettings(job))
    train, _ = rerank.encode_all(load_tokenizer(tiny), rows, Encoding(512), lambda _: None)
    facts: dict[str, Any] = {"train": train, "method": rerank, "job_id": "job", "classes": classes}
    return set_up(tiny, folder, job, **facts, resume_plan=resume_plan)


@pytest.mark.parametrize("records", [ROWS, [{**row, "label": at / 12} for at, row in enumerate(ROWS)]])
def test_loss_and_gradients_equal_those_of_sentence_transformers(
    tiny: Path, tmp_path: Path, records: list[dict[str, Any]]
) -> None:
    library = pytest.importorskip("sentence_transformers")
    from sentence_transformers.cross_encoder.losses import BinaryCrossEntropyLoss

    run: Any = run_of(tiny, tmp_path, records)
    run.begin()
    torch.manual_seed(3)
    with torch.no_grad():
        for name, weight in run.model.named_parameters():
            if ".lora_B." in name:
                weight.normal_(std=0.1)
    summed, count = run.loss(run.train)
    (summed / count).backward()
    run.save(saved := tmp_path / "saved")
    assert is_reranker(saved)
    base = AutoModelForSequenceClassification.from_pretrained(tiny, num_labels=1, dtype=torch.float32)
    adapted = PeftModel.from_pretrained(base, str(saved), is_trainable=True).eval()
    plain = tmp_path / "plain"
    base_only = AutoModelForSequenceClassification.from_pretrained(tiny, num_labels=1, dtype=torch.float32)
    base_only.config.pad_token_id = load_tokenizer(tiny).pad_token_id
    base_only.save_pretrained(plain)
    tokenizer = load_tokenizer(tiny)
    tokenizer.chat_template = None  # else it puts pairs into the chat template
    tokenizer.save_pretrained(plain)
    model = library.CrossEncoder(str(plain), device="cpu")
    adapted.config.pad_token_id = tokenizer.pad_token_id
    model[0].model = adapted
    texts = [[row[key] for row in records] for key in ("query", "document")]
    expected = BinaryCrossEntropyLoss(model)(texts, torch.tensor([float(row["label"]) for row in records]))
    expected.backward()
    assert float(summed.detach()) / count == pytest.approx(float(expected.detach()), abs=1e-5)

    def named(model: Any) -> dict[str, Any]:
        return {
            name.replace(".default", "").replace(".modules_to_save", ""): weight.grad
            for name, weight in model.named_parameters()
            if weight.requires_grad
        }

    ours, others = named(run.model), named(adapted)
    assert ours.keys() == others.keys()
    for name, gradient in ours.items():
        torch.testing.assert_close(gradient, others[name], atol=1e-5, rtol=1e-4, msg=name)


def test_it_learns_and_resumes_to_the_same_bits(tiny: Path, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for data in (whole, parts):
        data.mkdir()
    run = run_of(tiny, whole, loraDropout=0.1)
    losses = losses_of(run)
    assert losses[-1] < 0.5 * losses[0]
    paused = run_of(tiny, parts, loraDropout=0.1)
    pausing_after(5)(paused)
    assert paused.run().status == "paused"
    resumed = run_of(tiny, parts, loraDropout=0.1, resume_plan=points(parts))
    assert resumed.run().status == "completed"
    assert bytes_of(parts) == bytes_of(whole)


def test_rows_are_read_with_their_relevance() -> None:
    for value, score in ((True, 1), ("false", 0), ("1", 1), (0.25, 0.25)):
        (row,) = rows_of([{"query": "a", "document": "b", "label": value}])
        assert (row.text, row.extra["document"], row.extra["score"]) == ("a", "b", score)
    (scored,) = rows_of([{"query": "a", "document": "b", "score": 0.5}])
    assert scored.form == "query-document-score"
    assert scored.origins == {}  # the document is what is learned, not where the row comes from
    for value, words in ((2, "label must be from 0"), ("much", "label must be a number")):
        with pytest.raises(RowError, match=words):
            rows_of([{"query": "a", "document": "b", "label": value}])


def test_rows_and_settings_that_do_not_fit_are_refused_with_a_remedy() -> None:
    rerank = method("rerank")
    same = rows_of([row for row in ROWS if row["label"]])
    with pytest.raises(JobFailure, match=r"relevance 1.* add documents that are not relevant"):
        rerank.check_rows(same, EffectiveSettings(CONFIG))
    for field, value in (("fullFineTuning", True), ("labelSmoothingFactor", 0.1)):
        with pytest.raises(JobFailure, match="remove"):
            rerank.check(EffectiveSettings({**CONFIG, field: value}))
