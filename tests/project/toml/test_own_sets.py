"""``[[evaluation]]`` in arkor.toml: what comes of it, and what is wrong by line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from arkor_dev.contract.errors import BadRequestError
from arkor_dev.project.arkor_toml import parse

if TYPE_CHECKING:
    from pathlib import Path

RUBRIC = '[[evaluation]]\nfile = "refunds.jsonl"\nmetric = "rubric"\n'
JUDGE = 'judge = { teacher = "http://localhost:1/v1", model = "wise", key_env = "API_KEY" }\n'
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


def test_a_rubric_is_a_text_or_a_file_with_its_judge(own: Path) -> None:
    (own / "rubric.md").write_text("1: polite\n")
    named = "".join(
        f'{RUBRIC}name = "{number}"\nrubric = "{rubric}"\n{JUDGE}'
        for number, rubric in enumerate(("rubric.md", "1: polite"))
    )
    text = TRAINER + named
    sets = parse(own, text)[0]["config"]["evaluations"]
    assert [each["rubric"] for each in sets] == ["1: polite", "1: polite"]
    known = {"teacher": "http://localhost:1/v1", "model": "wise", "keyEnv": "API_KEY"}
    assert [each["judge"] for each in sets] == [known, known]


@pytest.mark.parametrize(
    ("block", "said"),
    [
        (f'{RUBRIC}rubric = ""\n', "arkor.toml:8: rubric must be text of 1 to 8,000 characters"),
        (f'{RUBRIC}rubric = "gone.md"\n', 'arkor.toml:8: rubric "gone.md" is not in the project'),
        (f'{RUBRIC}rubric = "x"\n', "judge must name a model, such as"),
        (
            f'{RUBRIC}rubric = "x"\njudge = {{ key_env = 1 }}\n',
            ":9: judge has no valid teacher: it must be",
        ),
        (f'{RUBRIC}rubric = "x"\nrange = [1, 0]\n{JUDGE}', "arkor.toml:9: range must be the lowest and the"),
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
