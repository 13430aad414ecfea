"""``--set``: values as TOML or as a bare word, suggestions for keys, bounds; ``--changes``: as JSON."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest

from arkor_dev.cli.set_option import parse_settings, read_changes
from arkor_dev.contract.errors import BadRequestError
from arkor_dev.contract.settings import SETTINGS
from arkor_dev.project.toml.edit import to_toml

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("lora.r=16", "loraR", 16),
        (" lora.r = 16 ", "loraR", 16),
        ("learning_rate=2e-4", "learningRate", 2e-4),
        ("epochs=2", "numTrainEpochs", 2),
        ("load_in_4bit=true", "loadIn4bit", True),
        ("scheduler=cosine", "lrSchedulerType", "cosine"),
        ('scheduler="cosine"', "lrSchedulerType", "cosine"),
        ("model=a/b=c", "model", "a/b=c"),
        ("model=7", "model", "7"),
        ("model='a \"b\"'", "model", 'a "b"'),
        ("optim=sgd", "optim", "sgd"),
        ("lora.target_modules=q_proj,v_proj", "loraTargetModules", ["q_proj", "v_proj"]),
        ('lora.target_modules=["q_proj"]', "loraTargetModules", ["q_proj"]),
        ("lora.target_modules=all-linear", "loraTargetModules", "all-linear"),
        ("lora.layers_to_transform=0, 1", "loraLayersToTransform", [0, 1]),
        ("lora.layers_to_transform=3", "loraLayersToTransform", 3),
        ("lora.lora_alpha=3", "loraAlpha", 3),
        ("steps=", "maxSteps", None),
        ("steps=1_000 # a thousand", "maxSteps", 1000),
    ],
)
def test_set_parses_values(text: str, field: str, value: object) -> None:
    assert parse_settings([text]) == {field: value}


def test_set_parses_every_setting() -> None:
    for row in SETTINGS:
        assert parse_settings([f"{row.key}={to_toml(row.sample_value)}"]) == {row.field: row.sample_value}


def test_the_last_of_repeated_settings_counts() -> None:
    assert parse_settings(["steps=1", "lora.r=2", "steps=3"]) == {"maxSteps": 3, "loraR": 2}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("lora.rr=16", "unknown setting lora.rr. Did you mean lora.r?"),
        ("rank=16", "unknown setting rank. Did you mean lora.r?"),
        ("r=16", "unknown setting r. Did you mean lora.r?"),
        ("lora_r=16", "unknown setting lora_r. Did you mean lora.r?"),
        ("loraR=16", "unknown setting loraR. Did you mean lora.r?"),
        ("lr=1", "unknown setting lr. Did you mean learning_rate?"),
        ("maxSteps=1", "unknown setting maxSteps. Did you mean steps?"),
        ("Batch-Size=1", "unknown setting Batch-Size. Did you mean batch_size?"),
        ("qqq=1", "unknown setting qqq. There are: model, steps, "),
        ("\x1b[31m=1", 'unknown setting "\\u001b[31m". '),
        ("=1", 'unknown setting "". '),
        ("steps", '--set needs a key and a value: --set key=value, not "steps"'),
        ("lora.target_modules=all-linear,x", 'lora.target_modules = ["all-linear", "x"] is invalid;'),
        ("lora.r=0", "lora.r = 0 is invalid; expected a whole number from 1 to 1,024"),
        ("lora.r=2.5", "lora.r = 2.5 is invalid; expected a whole number from 1 to 1,024"),
        ("lora.r=many", 'lora.r = "many" is invalid; expected a whole number from 1 to 1,024'),
        ("learning_rate=nan", "learning_rate = NaN is invalid; expected a number above 0, 1 at most"),
        ("load_in_4bit=yes", 'load_in_4bit = "yes" is invalid; expected true or false'),
        ("scheduler=linera", 'scheduler = "linera" is invalid; expected one of "linear", "cosine"'),
        ("model=", 'model = "" is invalid; expected a model\'s name'),
        ("steps=3\nseed = 1", 'steps = "3\\nseed = 1" is invalid;'),
        ("model=a\nb", 'model = "a\\nb" is invalid;'),
        (f"steps={'9' * 5000}", 'steps = "999'),
        (f"model={'[' * 3000}", 'model = "[[['),
    ],
)
def test_invalid_settings_are_refused(text: str, said: str) -> None:
    with pytest.raises(BadRequestError) as refused:
        parse_settings([text])
    assert refused.value.text.startswith(said)
    assert len(refused.value.text) < 1800


def test_steps_and_epochs_conflict() -> None:
    with pytest.raises(BadRequestError, match="steps and epochs are both set"):
        parse_settings(["steps=1", "epochs=1"])


def test_changes_from_a_file_are_by_field_and_a_null_removes_a_setting(tmp_path: Path) -> None:
    (tmp_path / "changes.json").write_text('{"loraR": 16, "maxSteps": null}')
    assert read_changes(str(tmp_path / "changes.json")) == {"loraR": 16, "maxSteps": None}


def test_changes_from_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b'{"loraR": 16}')))
    assert read_changes("-") == {"loraR": 16}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("loraR=16", "is not JSON. --changes takes a JSON object of settings."),
        ("[16]", "is not a JSON object of settings"),
        (f'{{"model": "{"m" * 2**20}"}}', "1,048,576 bytes at most"),
        ('{"lora_r": 16}', '"lora_r" is not a trainer setting'),
        ('{"loraR": 0}', "loraR must be a whole number from 1 to 1,024"),
        (None, "cannot be read: No such file or directory."),
    ],
)
def test_changes_that_are_none_are_refused_with_the_reason(
    tmp_path: Path, text: str | None, reason: str
) -> None:
    if text is not None:
        (tmp_path / "changes.json").write_text(text)
    with pytest.raises(BadRequestError) as fault:
        read_changes(str(tmp_path / "changes.json"))
    assert reason in fault.value.text
