"""``verify --repeat``: with which data and settings it is trained again, and what is said of the outcome."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.cli.commands.verify import comparison_lines
from arkor_dev.client.reproduction import compared, config_of, reasons_of, trainer_of
from arkor_dev.contract.errors import BadRequestError
from arkor_dev.contract.provenance.statement import statement_of
from tests.support.statements import FILES, changed, digest, raw_statement, resource, statement

if TYPE_CHECKING:
    from pathlib import Path

BUILD = ("predicate", "buildDefinition")
INTERNAL = (*BUILD, "internalParameters")
EXTERNAL = (*BUILD, "externalParameters")
DETAILS = ("predicate", "runDetails")
TOML = """
[[trainer]]
name = "other"
model = "org/other"
dataset = "data/other.jsonl"

[[trainer]]
name = "keeper"
model = "org/tiny"
dataset = "data/rows.jsonl"
steps = 7
lora = { r = 16 }
"""
ROW = b'{"prompt": "a", "completion": "b"}\n'


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    (tmp_path / "arkor.toml").write_text(TOML)
    (tmp_path / "data" / "rows.jsonl").write_bytes(ROW)
    (tmp_path / "data" / "other.jsonl").write_bytes(ROW + ROW)
    return tmp_path


def made(*path: str | int, to: Any, internal: dict[str, Any] | None = None) -> Any:
    """A statement on the project's rows, with another thing at ``path``."""
    raw = raw_statement(**(internal or {}))
    raw = changed(raw, *BUILD, "resolvedDependencies", 0, to=resource("data/1", ROW))
    return statement_of(changed(raw, *path, to=to))


def test_the_trainer_is_the_one_with_the_same_data(project: Path) -> None:
    before = made("predicate", "more", to=1)
    assert trainer_of(project, before)["name"] == "keeper"
    (project / "data" / "rows.jsonl").write_bytes(ROW.replace(b"a", b"x"))
    with pytest.raises(BadRequestError, match=f"No trainer.*{digest(ROW)[:12]}"):
        trainer_of(project, before)
    elsewhere = changed(raw_statement(), *BUILD, "resolvedDependencies", to=[])
    with pytest.raises(BadRequestError, match="not trained on files"):
        trainer_of(project, statement_of(elsewhere))


def test_settings_are_those_of_then_and_the_data_those_of_here(project: Path) -> None:
    before = made("predicate", "more", to=1)
    assert config_of(trainer_of(project, before), before) == {
        "model": "org/tiny", "maxSteps": 30, "learningRate": 0.01, "loraR": 8, "numberFormat": "float32",
        "datasetSource": {"type": "file", "path": "data/rows.jsonl"},
    }  # fmt: skip


def test_a_model_that_was_a_folder_goes_by_the_name_that_it_has_here(project: Path) -> None:
    trainer = trainer_of(project, made("predicate", "more", to=1))
    trainer["config"]["model"] = "/srv/models/tiny"
    before = made(*EXTERNAL, "settings", "model", to="tiny")
    assert config_of(trainer, before)["model"] == "/srv/models/tiny"
    before = made(*EXTERNAL, "settings", to={"maxSteps": 3})
    assert config_of(trainer, before)["model"] == "/srv/models/tiny"
    before = made(*EXTERNAL, "settings", "model", to="org/tiny")
    assert config_of(trainer, before)["model"] == "org/tiny"


def test_settings_that_cannot_be_are_refused(project: Path) -> None:
    trainer = trainer_of(project, made("predicate", "more", to=1))
    before = made(*EXTERNAL, "settings", "maxSteps", to="rm -rf")
    with pytest.raises(BadRequestError, match="can't be used"):
        config_of(trainer, before)
    before = made(*INTERNAL, "numberFormat", to="../x")
    assert "numberFormat" not in config_of(trainer, before)


def test_the_same_bits_are_the_same() -> None:
    outcome = compared(statement(), statement())
    assert (outcome["ok"], outcome["same"], outcome["reasons"]) == (True, True, [])
    assert comparison_lines(outcome) == ["Reproduced: the repeated training is the same bit for bit."]


def other(**internal: Any) -> Any:
    return statement({**FILES, "adapter_model.safetensors": b"other"}, **internal)


def test_other_bits_without_a_reason_are_a_fault() -> None:
    outcome = compared(statement(), other())
    assert (outcome["ok"], outcome["same"]) == (False, False)
    assert comparison_lines(outcome) == [
        "Not reproduced: the repeated training differs in adapter_model.safetensors.",
        "No known cause: everything that they depend on is the same.",
        "loss: 1.5000, was 1.5000",
        "eval loss: 1.7500, was 1.7500",
    ]


def test_other_bits_with_a_reason_and_close_losses_are_none() -> None:
    outcome = compared(statement(), other(threads=1, processor="Another\x1b[31m"))
    assert outcome["ok"]
    assert outcome["reasons"] == [
        "the processor is Another, was Some CPU",
        "the number of threads is 1, was 2",
    ]
    figures = {"loss": 1.6, "evalLoss": 1.75}
    path = (*DETAILS, "byproducts", 0, "annotations")
    far = changed(other(threads=1), *path, to=figures)
    assert not compared(statement(), statement_of(far))["ok"]


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ((*DETAILS, "builder", "version", "torch"), "2.14.0", "torch is 2.14.0, was 2.13.0"),
        ((*DETAILS, "builder", "builderDependencies"), [], "arkor-dev's own code differs"),
        ((*INTERNAL, "device"), "cuda", "the device is cuda, was cpu"),
        ((*INTERNAL, "numberFormat"), "bfloat16", "the number format is bfloat16, was float32"),
        ((*BUILD, "resolvedDependencies", 1), resource("base/x", b"x"), "the base model's files"),
        ((*BUILD, "resolvedDependencies", 2), resource("rows", b"x"), "the rows as the model reads them"),
    ],
)
def test_each_thing_that_the_bits_depend_on_is_named(path: tuple[str, ...], value: Any, said: str) -> None:
    after = statement_of(changed(raw_statement(), *path, to=value))
    (reason,) = reasons_of(statement(), after)
    assert said in reason


def test_a_job_whose_settings_changed_is_trained_with_the_last_ones() -> None:
    assert reasons_of(statement(adjusted=[{"step": 20, "from": {}, "to": {}}]), statement()) == [
        "its settings were changed while it trained, but now it trained in one run with the last ones"
    ]


def test_an_extended_job_is_trained_in_one_go() -> None:
    assert reasons_of(statement(extendedAfter=20), statement()) == [
        "it was extended after step 20, but now trained in one run"
    ]
