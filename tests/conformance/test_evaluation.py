"""Whether an adapter is better than its base (docs/contract.md#evaluation), where the feature is named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from .test_features import named
from .test_order import need

if TYPE_CHECKING:
    from .conftest import Cancelled, Evaluated, Finished
    from .target import Target

VERDICTS = {"better", "same", "worse", "unclear"}


def check(evaluation: dict[str, Any]) -> None:
    assert evaluation["verdict"] in {*VERDICTS, "mixed"}
    assert evaluation["sentence"].strip()
    assert evaluation["margin"] >= evaluation["noiseFloor"] >= 0
    for name in ("heldOut", "general"):
        if name in evaluation:
            part = evaluation[name]
            assert part["rows"] >= 1
            assert part["verdict"] in VERDICTS
            assert part["confidence"] in (95, 99)
            assert part["sentence"].strip()
            difference = part["difference"]
            assert difference["low"] <= difference["mean"] <= difference["high"]
            assert difference["mean"] == pytest.approx(part["base"] - part["adapter"], abs=1e-3)
            assert part.get("of", part["rows"] + 1) > part["rows"]
    if "bestVerdict" in evaluation:
        assert evaluation["bestVerdict"] in VERDICTS
        assert evaluation["bestStep"] >= 1
        assert evaluation["bestKept"] in (True, False)
    if "split" in evaluation:
        split = evaluation["split"]
        assert 1 <= split["groups"] <= split["rows"]
        assert isinstance(split["sentence"], str)
    if "heldOut" in evaluation:
        task, beyond = (evaluation.get(name, {}).get("verdict") for name in ("heldOut", "general"))
        worse = "mixed" if task == "better" else "worse"
        assert evaluation["verdict"] == (worse if beyond == "worse" else task), "of both together"


def check_own(evaluation: dict[str, Any]) -> None:
    """Two sets of the same rows: of one the answers are scored, and of the other the loss is measured."""
    answers, losses = evaluation["sets"]
    for part, name, metric in ((answers, "answers", "exact_match"), (losses, "losses", "loss")):
        assert (part["name"], part.get("metric", "loss")) == (name, metric)
        assert part["rows"] >= 1
        assert part["verdict"] in VERDICTS
        assert part["sentence"].strip()
        # Above zero the adapter is better: of a loss less is, of a score more.
        gain = part["base"] - part["adapter"] if metric == "loss" else part["adapter"] - part["base"]
        assert part["difference"]["mean"] == pytest.approx(gain, abs=1e-3)
        assert part["difference"]["low"] <= part["difference"]["mean"] <= part["difference"]["high"]
    assert 0 <= answers["base"] <= 1
    assert 0 <= answers["adapter"] <= 1


def check_rows(found: dict[str, Any]) -> None:
    assert found["rows"]
    for row in found["rows"]:
        assert {"row", "tokens", "base", "adapter", "question", "wanted"} <= row.keys()
        assert row["tokens"] >= 1


def test_a_job_with_held_out_rows_ends_with_an_evaluation(target: Target, finished: Finished) -> None:
    need(target, "evaluation")
    *_, event = finished.of("evaluation.completed")
    names = [frame.event for frame in finished.frames]
    assert names.index("evaluation.completed") < names.index("training.completed")
    check(event.json["evaluation"])
    assert finished.job["evaluation"] == event.json["evaluation"]
    found = target.get(f"/v1/jobs/{finished.id}/evaluation")
    assert found["evaluation"] == event.json["evaluation"]
    check_rows(found)
    saved = {frame.json["step"] for frame in finished.of("checkpoint.saved")}
    if found["evaluation"].get("bestKept"):
        assert found["evaluation"]["bestStep"] in saved
        (best,) = [each for each in finished.artifacts if each.get("name") == "best"]
        assert best["step"] == found["evaluation"]["bestStep"]


def test_a_checkpoint_is_evaluated(target: Target, evaluated: Evaluated | None) -> None:
    need(target, "evaluation")
    assert evaluated is not None
    check(evaluated.checkpoint["evaluation"])
    check_rows(evaluated.checkpoint)
    assert evaluated.checkpoint["evaluation"]["step"] == evaluated.step
    assert evaluated.amid == evaluated.first["evaluation"], "a checkpoint's is not the job's"


def test_repeating_an_evaluation_gives_the_same_figures(target: Target, evaluated: Evaluated | None) -> None:
    need(target, "evaluation")
    assert evaluated is not None
    check(evaluated.again["evaluation"])
    before, after = (
        [row["adapter"] for row in found["rows"]] for found in (evaluated.first, evaluated.again)
    )
    assert after == pytest.approx(before, abs=1e-3)
    assert evaluated.again["evaluation"]["verdict"] == evaluated.first["evaluation"]["verdict"]
    assert target.job(evaluated.id)["evaluation"] == evaluated.again["evaluation"]
    assert target.history(evaluated.id) == evaluated.history, "nothing is added to a history that is over"


def test_two_adapters_are_compared_row_by_row(target: Target, evaluated: Evaluated | None) -> None:
    need(target, "evaluation")
    assert evaluated is not None
    part = evaluated.beside["comparison"]
    assert part["verdict"] in VERDICTS
    assert part["sentence"].strip()
    assert part["rows"] == len(evaluated.again["rows"]) == len(evaluated.checkpoint["rows"])
    assert part["difference"]["low"] <= part["difference"]["mean"] <= part["difference"]["high"]
    assert part["difference"]["mean"] == pytest.approx(part["base"] - part["adapter"], abs=1e-3)
    assert evaluated.itself["comparison"]["verdict"] != "worse"
    path = f"/v1/jobs/{evaluated.id}/evaluation"
    for query, status in (
        ({"against": "no-such-job"}, 404),
        ({"against": evaluated.id, "againstStep": "999999"}, 404),
        ({"against": evaluated.id, "againstStep": "x"}, 400),
        ({"against": evaluated.id, "data": "no/such.jsonl"}, 404),
        ({"data": "no/such.jsonl"}, 404),
        ({"against": evaluated.id, "seeds": "true"}, 409),
    ):
        answer = target.call("GET", path, query={**target.scope, **query})
        assert (answer.status, bool(answer.error)) == (status, True), query


def test_evaluation_sets_are_evaluated(target: Target, own_sets: dict[str, Any] | None) -> None:
    need(target, "evaluation")
    if own_sets is None:
        pytest.skip("which files this backend's project has is not known")
    check(own_sets)
    check_own(own_sets)


@pytest.mark.parametrize(
    "wrong",
    [
        [{"name": "n"}],
        [{"name": "n", "path": "data/chats.jsonl", "metric": "rm -rf"}],
        [{"name": "n", "path": "data/chats.jsonl", "metric": "json_schema"}],
        [{"name": "n", "path": "data/chats.jsonl"}] * 2,
        "data/chats.jsonl",
    ],
)
def test_invalid_evaluation_sets_are_refused(target: Target, wrong: object) -> None:
    need(target, "evaluation")
    if not target.ours:
        pytest.skip("what a backend refuses of settings that it knows is its own matter")
    answer = target.call("POST", "/v1/jobs", {"name": "n", "config": {**target.quick, "evaluations": wrong}})
    assert (answer.status, bool(answer.error)) == (400, True)


def test_invalid_evaluations_are_refused(
    target: Target, finished: Finished, cancelled: Cancelled, endless: str
) -> None:
    need(target, "evaluation")
    for job_id, body, status in (
        (finished.id, {"step": 999_999}, 404),
        (finished.id, {"step": "last"}, 400),
        (finished.id, {"step": 0}, 400),
        (finished.id, {"data": "../outside.jsonl"}, 400),
        (finished.id, {"data": 7}, 400),
        (cancelled.id, {}, 409),
        (endless, {}, 409),
        ("no-such-job", {}, 404),
    ):
        answer = target.call("POST", f"/v1/jobs/{job_id}/evaluate", body)
        assert (answer.status, bool(answer.error)) == (status, True), (job_id, body)
    assert target.call("GET", f"/v1/jobs/{cancelled.id}/evaluation").status == 404


def test_without_the_feature_evaluation_is_404(target: Target, finished: Finished) -> None:
    if "evaluation" not in named(target):
        assert target.call("POST", f"/v1/jobs/{finished.id}/evaluate", {}).status == 404
        assert target.call("GET", f"/v1/jobs/{finished.id}/evaluation").status == 404
