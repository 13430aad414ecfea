"""``[[evaluation]]`` in arkor.toml: what comes of it, and what is wrong by line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from arkor_dev.contract.errors import BadRequestError
from arkor_dev.project.arkor_toml import parse

if TYPE_CHECKING:
    from pathlib import Path

TRAINER = '[[trainer]]\nname = "a"\nmodel = "m"\ndataset = "d.jsonl"\n'


@pytest.fixture
def own(tmp_path: Path) -> Path:
    for name in ("d.jsonl", "refunds.jsonl"):
        (tmp_path / name).write_text('{"prompt": "a", "completion": "b"}\n')
    (tmp_path / "answer.schema.json").write_text('{"type": "object"}')
    (tmp_path / "broken.json").write_text("{")
    return tmp_path


def test_evaluation_sets_apply_to_every_trainer(own: Path) -> None:
    text = (
        TRAINER
        + TRAINER.replace('"a"', '"b"')
        + '[[evaluation]]\nfile = "refunds.jsonl"\n'
        + '[[evaluation]]\nname = "valid"\nfile = "./refunds.jsonl"\nmetric = "json_schema"\n'
        + 'schema = "answer.schema.json"\n'
        + '[[evaluation]]\nname = "numbers"\nfile = "refunds.jsonl"\nmetric = "regex"\npattern = \'^\\d+$\'\n'
    )
    expected = [
        {"name": "refunds", "path": "refunds.jsonl", "metric": "loss"},
        {"name": "valid", "path": "refunds.jsonl", "metric": "json_schema", "schema": {"type": "object"}},
        {"name": "numbers", "path": "refunds.jsonl", "metric": "regex", "pattern": r"^\d+$"},
    ]
    assert [trainer["config"]["evaluations"] for trainer in parse(own, text)] == [expected, expected]
    assert "evaluations" not in parse(own, TRAINER)[0]["config"]


@pytest.mark.parametrize(
    ("block", "said"),
    [
        ("[[evaluation]]\n", "arkor.toml:5: file is missing"),
        ('[evaluation]\nfile = "refunds.jsonl"\n', "arkor.toml:5: write [[evaluation]] with two brackets"),
        ('[[evaluation]]\nfile = "gone.jsonl"\n', 'arkor.toml:6: file "gone.jsonl" is not in the project'),
        ('[[evaluation]]\nfile = "../x.jsonl"\n', "outside the project"),
        ('[[evaluation]]\nfile = "refunds.jsonl"\nmetrics = "loss"\n', "arkor.toml:7: unknown key"),
        (
            '[[evaluation]]\nfile = "refunds.jsonl"\nmetric = "accuracy"\n',
            "arkor.toml:7: metric must be one of loss",
        ),
        (
            '[[evaluation]]\nfile = "refunds.jsonl"\nmetric = "json_schema"\nschema = "broken.json"\n',
            "arkor.toml:8: schema cannot be read",
        ),
        ('[[evaluation]]\nfile = "refunds.jsonl"\nmetric = "json_schema"\n', "schema is missing"),
        (
            '[[evaluation]]\nfile = "refunds.jsonl"\n[[evaluation]]\nfile = "refunds.jsonl"\n',
            "name is used by another [[evaluation]]",
        ),
    ],
)
def test_invalid_evaluation_sets_are_reported_with_their_line(own: Path, block: str, said: str) -> None:
    with pytest.raises(BadRequestError) as fault:
        parse(own, TRAINER + block)
    assert said in str(fault.value)
