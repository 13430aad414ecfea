"""The model card of what a job made (docs/contract.md#model-card), where the feature is named."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .test_features import named
from .test_order import need

if TYPE_CHECKING:
    from .conftest import Cancelled, Finished
    from .target import Target


def test_a_finished_job_has_a_card(target: Target, finished: Finished) -> None:
    need(target, "card")
    card = target.get(f"/v1/jobs/{finished.id}/card")["card"]
    fence, front, body = card.split("---\n", 2)
    assert fence == ""
    assert "pipeline_tag:" in front
    assert "\n# " in body
    if "evaluation" in finished.job:
        sentence = finished.job["evaluation"]["sentence"]
        assert sentence.partition(":")[0] in body, "it says how it compares with its base"


def test_a_checkpoint_has_a_card(target: Target, finished: Finished) -> None:
    need(target, "card")
    step = finished.of("checkpoint.saved")[-1].json["step"]
    answer = target.call("GET", f"/v1/jobs/{finished.id}/card", query={**target.scope, "step": str(step)})
    assert answer.status == 200
    assert "pipeline_tag:" in answer.json["card"]


def test_jobs_without_a_card_are_404(target: Target, finished: Finished, cancelled: Cancelled) -> None:
    need(target, "card")
    for path, asked, status in (
        (f"{cancelled.id}/card", {}, 404),
        ("no-such-job/card", {}, 404),
        (f"{finished.id}/card", {"step": "999999"}, 404),
        (f"{finished.id}/card", {"step": "last"}, 400),
    ):
        answer = target.call("GET", f"/v1/jobs/{path}", query={**target.scope, **asked})
        assert (answer.status, bool(answer.error)) == (status, True), path


def test_without_the_feature_cards_are_404(target: Target, finished: Finished) -> None:
    if "card" not in named(target):
        assert target.call("GET", f"/v1/jobs/{finished.id}/card").status == 404
