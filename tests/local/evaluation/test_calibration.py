"""Temperatures of a classifier's probabilities: found again, judged on rows that did not determine them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from arkor_dev.local.evaluation.calibration import (
    Calibration,
    calibrated,
    calibration_error,
    scaled,
    temperature,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROWS = 4000


def drawn(rows: int, sharpness: float, seed: int = 5) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Log probabilities whose logits are ``sharpness`` times those that the labels are drawn from."""
    chance = np.random.default_rng(seed)
    logits = chance.normal(scale=1.5, size=(rows, 3))
    probabilities = np.exp(scaled(logits, 1.0))
    labels = (probabilities.cumsum(1) > chance.random((rows, 1))).argmax(1)
    return scaled(logits * sharpness, 1.0), labels


def found(rows: int, sharpness: float) -> Calibration | None:
    logs, labels = drawn(rows, sharpness)
    keys = [f"{place:08}" for place in range(rows)]
    return calibrated(logs.tolist(), labels.tolist(), keys, range(rows))


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 3.0])
def test_the_temperature_undoes_how_sharp_the_probabilities_are(sharpness: float) -> None:
    assert temperature(*drawn(ROWS, sharpness)) == pytest.approx(sharpness, rel=0.08)


def test_overconfident_probabilities_are_mended_on_rows_that_did_not_determine_the_temperature() -> None:
    result = found(ROWS, 3.0)
    assert result
    assert result.error_before > 0.1
    assert result.error_after < 0.04
    assert result.loss_after < result.loss_before
    figures = result.figures()
    assert figures["temperature"] == pytest.approx(3, rel=0.08)
    assert figures["error"] < figures["errorBefore"]
    assert "with a temperature of 3" in result.sentence()


def test_calibrated_probabilities_stay_as_they_are() -> None:
    result = found(ROWS, 1.0)
    assert result
    assert result.temperature == pytest.approx(1, abs=0.08)
    assert result.loss_before - 0.002 < result.loss_after <= result.loss_before


def test_each_half_is_scaled_by_the_other_halfs_temperature() -> None:
    """Rows of one half are sharp and those of the other are not, so each half's temperature is wrong for the
    other, and none is kept, although one of all rows would lower their log loss.
    """
    sharp, labels = drawn(200, 4.0, seed=1)
    flat, more = drawn(200, 0.4, seed=2)
    logs = np.empty((400, 3))
    logs[::2], logs[1::2] = sharp, flat
    wanted = np.empty(400, dtype=int)
    wanted[::2], wanted[1::2] = labels, more
    keys = [f"{place:08}" for place in range(400)]  # halves are every other row
    result = calibrated(logs.tolist(), wanted.tolist(), keys, range(400))
    assert result
    assert temperature(logs, wanted) > 1.5
    assert (result.temperature, result.error_after) == (1, result.error_before)
    assert result.sentence().endswith("; no temperature brings them closer.")


def test_rows_that_are_all_right_do_not_drive_it_to_zero() -> None:
    logs = scaled(np.array([[2.0, 0.0]] * 40), 1.0)
    found = temperature(logs, np.zeros(40, dtype=int))
    # As one wrong row in 42 would: log(41) / 2 is the sharpness that the smoothed targets ask for.
    assert found == pytest.approx(2 / np.log(41), rel=0.01)


def test_the_calibration_error_is_that_of_guo() -> None:
    # Two rows with 0.9, of which one is right, and two with 0.6, of which both are: 0.4 and 0.4.
    logs = np.log(np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.6, 0.4]]))
    assert calibration_error(logs, np.array([0, 1, 0, 0])) == pytest.approx(0.4)


def test_few_rows_have_no_calibration() -> None:
    assert found(15, 1.0) is None
    assert found(16, 1.0) is not None
