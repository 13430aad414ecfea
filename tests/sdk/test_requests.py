"""Settings and rows of a program: what is refused before a run starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from arkor_dev.contract.errors import BadRequestError
from arkor_dev.sdk.requests import fields_of, write_rows

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    "settings",
    [
        {"epochs": 1, "num_train_epochs": 9999},
        {"numTrainEpochs": 9999, "epochs": 1},
        {"lora": {"r": 4}, "lora_r": 64},
        {"lora": {"alpha": 4, "lora_alpha": 64}},
    ],
)
def test_two_names_of_one_setting_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(BadRequestError, match="the same setting"):
        fields_of(settings)


def test_a_rows_file_with_other_content_is_refused(
    tmp_path: Path,
) -> None:
    rows = [{"prompt": "a", "completion": "b"}]
    path = tmp_path / write_rows(tmp_path, rows)
    assert tmp_path / write_rows(tmp_path, rows) == path
    for edited in (b'{"prompt": "a", "completion": "c"}\n', path.read_bytes() * 2, b""):
        path.write_bytes(edited)
        with pytest.raises(BadRequestError, match="was changed"):
            write_rows(tmp_path, rows)
        assert path.read_bytes() == edited
