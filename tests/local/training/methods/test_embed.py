"""Embedding: sentence-transformers' losses, the same bits after a pause, rows that do not fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.in_ci import in_ci

pytest.importorskip("torch")

import torch
from torch.nn.functional import normalize

from arkor_dev.data.row_parser import row_of
from arkor_dev.data.text_pairs import TEXT_PAIRS
from arkor_dev.local.cpu_kernels.patch_model import use_plain_attention
from arkor_dev.local.datasets.tokens import tokenize_row
from arkor_dev.local.modeling.embedder import Embedder, is_embedder
from arkor_dev.local.modeling.example import Example
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

PAIRS: list[dict[str, Any]] = [
    {"anchor": asked, "positive": f"{asked} {'Yes, of course.' * (1 + place % 3)}"}
    for place, asked in enumerate(QUESTIONS[:6])
]
TRIPLETS = [{**row, "negative": f"No: {QUESTIONS[-place - 1]}"} for place, row in enumerate(PAIRS)]
SCORED = [
    {"sentence1": row["anchor"], "sentence2": row["positive"], "score": (place % 4) / 4}
    for place, row in enumerate(PAIRS)
]
CONFIG: dict[str, Any] = {
    "method": "embed", "maxSteps": 6, "learningRate": 1e-2, "batchSize": 6, "loggingSteps": 1,
}  # fmt: skip


def rows_of(records: Sequence[dict[str, Any]]) -> list[Row]:
    return [row_of(record, f"row {at}", None, {}, forms=TEXT_PAIRS) for at, record in enumerate(records, 1)]


def run_of(
    tiny: Path, folder: Path, records: Sequence[dict[str, Any]] = PAIRS, **config: Any
) -> TrainingLoop:
    resume_plan, job = config.pop("resume_plan", None), {**CONFIG, **config}
    encoding = Encoding.of(EffectiveSettings(job), 512)
    train, _ = method("embed").encode_all(load_tokenizer(tiny), rows_of(records), encoding, lambda _: None)
    facts: dict[str, Any] = {"train": train, "method": method("embed"), "job_id": "job"}
    return set_up(tiny, folder, job, **facts, resume_plan=resume_plan)


def begun(tiny: Path, folder: Path, records: Sequence[dict[str, Any]], **config: Any) -> Any:
    """A run that has not taken a step, whose adapter computes something other than its base."""
    run = run_of(tiny, folder, records, **config)
    run.begin()
    torch.manual_seed(3)
    with torch.no_grad():
        for name, weight in run.model.named_parameters():
            if ".lora_B." in name:
                weight.normal_(std=0.1)
    return run


def test_held_out_pairs_are_measured_among_as_many_as_in_training(tiny: Path, tmp_path: Path) -> None:
    """A pair's loss grows with the negatives of its batch: in a larger one, it would look worse."""
    run = begun(tiny, tmp_path, PAIRS, batchSize=2)
    run.held_out = run.train
    longest_first = sorted(run.held_out, key=lambda example: -example.tokens)
    batches = [longest_first[start : start + 2] for start in range(0, len(PAIRS), 2)]
    expected = [loss for batch in batches for loss, _ in run.loss.row_losses(batch)]
    assert run.evaluate().loss == pytest.approx(sum(expected) / len(PAIRS), rel=1e-4)


def in_sentence_transformers(run: Any, tiny: Path, pooling: str = "mean") -> Any:
    """A `SentenceTransformer` whose layers are those of the run's model, with their adapter."""
    pytest.importorskip("sentence_transformers")  # seconds, and with it scikit-learn
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    use_plain_attention(run.loss._inner)
    # Else it puts texts into the model's chat template.
    text = {"text": {"method": "forward", "method_output_name": "last_hidden_state"}}
    transformer = Transformer(str(tiny), modality_config=text, module_output_name="token_embeddings")
    transformer.model = run.loss._inner.base_model
    return SentenceTransformer(modules=[transformer, Pooling(128, pooling_mode=pooling)], device="cpu")


def theirs(model: Any, loss: Any, records: Sequence[dict[str, Any]], prompts: tuple[str, str]) -> Any:
    """Their loss of one batch with these rows."""
    keys = [key for key in ("anchor", "sentence1", "positive", "sentence2", "negative") if key in records[0]]
    features = []
    for at, key in enumerate(keys):
        features.append(model.preprocess([prompts[at > 0] + row[key] for row in records]))
    scores = torch.tensor([row.get("score", 0.0) for row in records])
    return loss(features, scores)


def gradients(run: Any) -> dict[str, Any]:
    found = {name: weight.grad for name, weight in run.model.named_parameters() if weight.requires_grad}
    run.model.zero_grad(set_to_none=True)
    return found


@pytest.mark.parametrize("pooling", ["mean", "lasttoken"])
@pytest.mark.parametrize(
    ("records", "kind"),
    [
        (PAIRS, "MultipleNegativesRankingLoss"),
        (TRIPLETS, "MultipleNegativesRankingLoss"),
        (SCORED, "CosineSimilarityLoss"),
        (SCORED, "CoSENTLoss"),
    ],
)
def test_loss_and_gradients_equal_those_of_sentence_transformers(
    tiny: Path, tmp_path: Path, records: list[dict[str, Any]], kind: str, pooling: str
) -> None:
    pytest.importorskip("sentence_transformers")
    from sentence_transformers.sentence_transformer import losses

    prompts = ("query: ", "passage: ")
    # Gradients grow with the scale: at 10, float32 itself is up to 1.4e-5 off on some processors.
    scale = {} if kind == "CosineSimilarityLoss" else {"scale": 5.0}
    run = begun(
        tiny, tmp_path, records, loss=kind, poolingMode=pooling, matryoshkaDims=[32, 64],
        queryPrompt=prompts[0], documentPrompt=prompts[1], **scale,
    )  # fmt: skip
    summed, count = run.loss(run.train)
    ours = summed / count
    ours.backward()
    found = gradients(run)
    assert any(float(gradient.abs().max()) > 1e-4 for gradient in found.values())
    model = in_sentence_transformers(run, tiny, pooling)
    inner = getattr(losses, kind)(model, **scale)
    their_loss = theirs(model, losses.MatryoshkaLoss(model, inner, [128, 64, 32]), records, prompts)
    their_loss.backward()
    assert float(ours.detach()) == pytest.approx(float(their_loss.detach()), abs=1e-5)
    for name, gradient in gradients(run).items():
        torch.testing.assert_close(found[name], gradient, atol=1e-5, rtol=1e-4, msg=name)


def test_the_same_text_is_no_negative_of_itself(tiny: Path, tmp_path: Path) -> None:
    twice = [PAIRS[0], PAIRS[1], {"anchor": "Another question?", "positive": PAIRS[0]["positive"]}]
    run = begun(tiny, tmp_path, twice)
    alone = run.loss.row_losses(run.train[:2])[0][0]
    assert run.loss.row_losses(run.train)[0][0] == pytest.approx(alone, abs=1e-5)
    other = begun(tiny, tmp_path, [*twice[:2], {**PAIRS[2], "anchor": PAIRS[0]["anchor"]}])
    assert other.loss.row_losses(other.train)[0][0] == pytest.approx(alone, abs=1e-5)


def test_vectors_are_the_pooled_states_of_the_text_alone(tiny: Path, tmp_path: Path) -> None:
    run = begun(tiny, tmp_path, PAIRS)
    ids = run.train[0].ids[:-1]
    (vector,) = run.loss.vectors(run.train[:1])
    use_plain_attention(run.loss._inner)
    run.model.eval()
    with torch.no_grad():
        hidden = run.loss._inner.base_model(torch.tensor([ids])).last_hidden_state[0]
    torch.testing.assert_close(torch.tensor(vector), normalize(hidden.mean(0), dim=-1), atol=1e-5, rtol=0)


@pytest.mark.parametrize("records", [TRIPLETS, in_ci(SCORED)])
def test_it_learns_and_resumes_to_the_same_bits(
    tiny: Path, tmp_path: Path, records: list[dict[str, Any]]
) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for data in (whole, parts):
        data.mkdir()
    config: dict[str, Any] = {
        "loraDropout": 0.1, "maxSteps": 12, "batchSize": 3, "gradientAccumulationSteps": 2,
        "matryoshkaDims": [32], "documentPrompt": "text: ",
    }  # fmt: skip
    run = run_of(tiny, whole, records, **config)
    losses = losses_of(run)
    assert losses[-1] < 0.7 * losses[0]
    paused = run_of(tiny, parts, records, **config)
    pausing_after(5)(paused)
    assert paused.run().status == "paused"
    resumed = run_of(tiny, parts, records, **config, resume_plan=points(parts))
    assert resumed.run().status == "completed"
    assert bytes_of(parts) == bytes_of(whole)
    final = whole / "jobs" / "job" / "final"
    assert is_embedder(final)
    assert Embedder.read(final) == Embedder("mean", "", "text: ", (32, 128))


def test_negatives_come_from_the_batch_alone_when_gradients_accumulate(tiny: Path, tmp_path: Path) -> None:
    run = begun(tiny, tmp_path, PAIRS)
    halves = run.train[:3], run.train[3:]
    apart = sum(float(run.loss(half)[0].detach()) for half in halves) / 6
    assert apart < float(run.loss(run.train)[0].detach()) / 6
    assert run.learn(*halves) == pytest.approx(apart, abs=1e-5)


def test_a_long_text_keeps_its_beginning(tiny: Path) -> None:
    (row,) = rows_of([{"anchor": "word " * 50, "positive": "short"}])
    tokenizer = load_tokenizer(tiny)
    (example,), cut = method("embed").encode(tokenizer, row, Encoding(10))
    assert cut
    assert example.ids[:-1] == tokenizer("word " * 50)["input_ids"][:9]
    assert (example.weight, example.learned) == (1, 9)


def test_rows_and_settings_that_do_not_fit_are_refused_with_a_remedy() -> None:
    embed = method("embed")
    refused: list[tuple[dict[str, Any], str]] = [
        ({"fullFineTuning": True}, "remove full_fine_tuning"),
        ({"packing": True}, "remove packing"),
        ({"workers": 2}, "trains on one worker: remove workers"),
        ({"labelSmoothingFactor": 0.1}, "remove label_smoothing_factor"),
        ({"evaluations": [{"name": "own", "path": "own.jsonl"}]}, "an embedder gives none"),
    ]
    for config, words in refused:
        with pytest.raises(JobFailure, match=words):
            embed.check(EffectiveSettings({"method": "embed", **config}))
    unfit: list[tuple[list[dict[str, Any]], dict[str, Any], str]] = [
        ([*PAIRS, SCORED[0]], {}, "row 7 has a score, and row 1 has none"),
        (SCORED, {"loss": "MultipleNegativesRankingLoss"}, 'set loss = "CoSENTLoss"'),
        (PAIRS, {"loss": "CoSENTLoss"}, "the rows have none: add a column score"),
        ([{**SCORED[0], "score": 4}], {"loss": "CosineSimilarityLoss"}, "the score 4 is not a cosine"),
        (PAIRS, {"batchSize": 1}, "set batch_size to 2 or more"),
    ]
    for records, config, words in unfit:
        with pytest.raises(JobFailure, match=words):
            embed.check_rows(rows_of(records), EffectiveSettings({"method": "embed", **config}))


def test_more_dimensions_than_the_model_has_are_refused(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(JobFailure, match="embeddings have 128 numbers, so 256 is too many"):
        run_of(tiny, tmp_path, matryoshkaDims=[64, 256]).begin()


def test_the_data_page_shows_the_texts_with_their_prompts(tiny: Path) -> None:
    (row,) = rows_of(TRIPLETS[:1])
    encoding = Encoding(512, embedder=Embedder(query_prompt="query: "))
    found = tokenize_row(load_tokenizer(tiny), row, method("embed"), encoding)
    tokenizer = load_tokenizer(tiny)
    shown = [tokenizer.decode(part.coded.ids) for part in found.parts]
    assert shown == [f"query: {row.text}", row.extra["positive"], row.extra["negative"]]


def test_a_rows_score_is_part_of_its_hash() -> None:
    from arkor_dev.local.checkpoints.origin import hash_of_rows

    hashes = {hash_of_rows([Example([1], [1], score=score)]) for score in (None, 0.0, 0.5)}
    assert len(hashes) == 3
