"""Settings changed by hand: held to the table, and what they make of a config."""

from __future__ import annotations

import pytest

from arkor_dev.contract.changes import applied, complete, conflict, problem
from arkor_dev.contract.settings import by_field


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"loraR": 0}, "settings.loraR must be a whole number from 1 to 1,024, not 0"),
        ({"loraR": True}, "settings.loraR must be a whole number from 1 to 1,024, not true"),
        ({"maxSteps": -1}, "settings.maxSteps must be a whole number from 1 to 10,000,000, not -1"),
        ({"model": None}, "settings.model must be a model's name"),
        ({"datasetSource": {}}, 'settings."datasetSource" is not a trainer setting'),
        ({"\x1b[2J": 1}, 'settings."\\u001b[2J" is not a trainer setting'),
        ({"maxSteps": 3, "numTrainEpochs": 1}, "steps and epochs are both set. Remove one of the two"),
    ],
)
def test_invalid_changes_use_the_messages_of_the_settings_table(
    changes: dict[str, object], said: str
) -> None:
    found = problem(changes)
    assert found is not None
    assert found.startswith(said)


def test_every_setting_may_be_set_to_its_sample_or_removed() -> None:
    for field, row in by_field().items():
        assert problem({field: row.sample_value}) is None
        assert (problem({field: None}) is None) is not row.required


def test_steps_and_epochs_replace_each_other() -> None:
    config = {"model": "m", "numTrainEpochs": 2, "loraR": 4}
    assert applied(config, {"maxSteps": 9, "loraR": None}) == {"model": "m", "maxSteps": 9}
    assert list(complete(config, {"loraR": 8, "maxSteps": 9})) == ["maxSteps", "numTrainEpochs", "loraR"]
    assert applied(config, {"numTrainEpochs": 1}) == {**config, "numTrainEpochs": 1}
    # Neither is needed, and what is taken away takes nothing else with it.
    assert applied(config, {"maxSteps": None}) == config


def test_changes_that_cause_a_conflict_are_found() -> None:
    config = applied(
        {"model": "m", "lrSchedulerType": "polynomial", "lrPower": 2.0}, {"lrSchedulerType": None}
    )
    said = conflict(config)
    assert said is not None
    assert said.startswith("lr_scheduler_kwargs.power applies only when scheduler is")
    assert conflict(applied(config, {"lrPower": None})) is None
