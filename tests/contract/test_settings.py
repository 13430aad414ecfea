"""The table of settings: whatever is derived from it has a new row too, and its rows are sound."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from arkor_dev.contract import settings
from arkor_dev.contract.bodies import RESUMPTION
from arkor_dev.contract.errors import ArkorError
from arkor_dev.contract.settings import SETTINGS, by_field
from arkor_dev.contract.settings.conflicts import CONFLICTS, conflicts, of_methods
from arkor_dev.local.jobs.job_config import check_config
from arkor_dev.project.arkor_toml import load_trainers
from arkor_dev.project.starter_toml import starter_toml
from tests.support.pretend_setting import PRETEND

if TYPE_CHECKING:
    from collections.abc import Callable

    from arkor_dev.contract.settings.setting import Setting

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
from generate import form, help_texts, reference, shapes, types

BLOCK = '[[trainer]]\nname = "a"\nmodel = "m"\ndataset = { url = "https://example.org/a" }\n'
BESIDE: dict[str, dict[str, object]] = {
    "lrNumCycles": {"lrSchedulerType": "cosine_with_restarts"},
    "lrPower": {"lrSchedulerType": "polynomial"},
    "lrNumDecaySteps": {"lrSchedulerType": "wsd"},
    "earlyStoppingThreshold": {"earlyStoppingPatience": 3},
    **{row.field: {"method": row.methods[0]} for row in SETTINGS if row.methods},
    "replayDataset": {"method": "sft", "replay": 0.2},
    "epsilonHigh": {"method": "grpo", "epsilon": 1e-9},
    "softPunishCache": {"method": "grpo", "maxCompletionLength": 32_768},
    "maxTurns": {"method": "grpo", "environment": "env:Desk"},
    "maxEpisodeTokens": {"method": "grpo", "environment": "env:Desk"},
}
"""What some settings need beside them to have a meaning, by field."""
CONFIG = {"model": "m", "datasetSource": {"type": "blob", "url": "https://example.org/a"}}


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "SETTINGS", (*SETTINGS, PRETEND))


@pytest.fixture
def problem(tmp_path: Path) -> Callable[[str], str | None]:
    def read(text: str) -> str | None:
        (tmp_path / "arkor.toml").write_text(text)
        (trainer,) = load_trainers(tmp_path)
        return trainer.get("problem")

    return read


def test_a_setting_of_some_methods_is_refused_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    own = replace(PRETEND, methods=("dpo", "kto"))
    monkeypatch.setattr(settings, "SETTINGS", (*SETTINGS, own))
    *_, conflict = of_methods([*SETTINGS, own])
    assert 'applies only when {method} is "dpo" or "kto"' in conflict.text
    assert [conflict.applies({"pretendLora": 3, **more}) for more in ({}, {"method": "kto"})] == [True, False]
    assert 'methods: ["dpo", "kto"] }' in form()


def test_a_removed_setting_is_unknown_everywhere(problem: Callable[[str], str | None]) -> None:
    assert "unknown key lora.pretend" in str(problem(BLOCK + "lora.pretend = 5\n"))
    assert check_config({**CONFIG, "pretendLora": -1})
    assert "pretend" not in starter_toml() + reference() + types(shapes(), {"JobConfig"}) + form()


@pytest.mark.usefixtures("pretend")
def test_a_new_setting_is_read_and_checked_in_arkor_toml(
    tmp_path: Path, problem: Callable[[str], str | None]
) -> None:
    assert problem(BLOCK + "lora.pretend = 5\n") is None
    assert dict(load_trainers(tmp_path)[0]["config"])["pretendLora"] == 5
    assert problem(BLOCK + "lora.pretend = 101\n") == (
        "arkor.toml:5: lora.pretend = 101 is invalid; expected a number from 0 to 100"
    )
    assert "unknown key lora.pretent. Did you mean pretend?" in str(problem(BLOCK + "lora.pretent = 1\n"))


@pytest.mark.usefixtures("pretend")
def test_a_new_setting_is_checked_on_the_wire() -> None:
    assert {**check_config({**CONFIG, "pretendLora": 5})}["pretendLora"] == 5
    with pytest.raises(ArkorError) as refused:
        check_config({**CONFIG, "pretendLora": -1})
    assert refused.value.text == "config.pretendLora must be a number from 0 to 100, not -1"


def test_a_new_setting_is_in_the_reference_and_a_usual_one_in_the_starter_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = f"# {PRETEND.help} Only for nobody. Unset: none.\n# pretend = 5\n"
    monkeypatch.setattr(settings, "SETTINGS", (*SETTINGS, PRETEND))
    assert "pretend" not in starter_toml()
    monkeypatch.setattr(settings, "SETTINGS", (*SETTINGS, replace(PRETEND, group="usual")))
    assert said in starter_toml().partition("[trainer.lora]")[2]
    cells = (
        "`lora.pretend`",
        "`pretendLora`",
        PRETEND.help,
        "a number from 0 to 100 (parts)",
        "none",
        "nobody",
    )
    assert f"| {' | '.join(cells)} |" in reference().splitlines()


@pytest.mark.usefixtures("pretend")
def test_a_new_setting_is_typed_and_in_the_form() -> None:
    text = types(shapes(), {"JobConfig"})
    assert "  pretendLora?: number;\n}" in text
    label = '{ field: "pretendLora", label: "Noise", style: "count" }'
    rule = (
        '{ group: "adapter", kind: "number", fits: number(0, 100), allowed: "a number from 0 to 100", '
        'range: "0 to 100", unit: "parts", defaultWords: "none", where: "nobody" }'
    )
    assert f"  {label},\n];" in text
    assert f"  pretendLora: {rule},\n}};" in form()
    assert f'  ["pretendLora", "{PRETEND.help}"],\n]);' in help_texts()


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.key)
def test_each_settings_row_is_consistent(setting: Setting) -> None:
    assert setting.rule.fits(setting.sample_value), "the value that is shown is not allowed"
    assert setting.required or (setting.default is None) == bool(setting.default_words)
    if setting.rule.kind in ("whole", "number"):
        assert math.isfinite(setting.rule.high)
    assert setting.help.endswith(".")
    assert setting.label[:1].isupper()


def test_settings_have_unique_names() -> None:
    keys = [key for s in SETTINGS for key in (s.key, *s.aliases)]
    for names in (keys, [s.field for s in SETTINGS], [s.label for s in SETTINGS]):
        assert len(set(names)) == len(names)
    tables = settings.tables()
    assert not set(tables) & set(keys)


def test_aliases_are_read_as_their_setting(tmp_path: Path) -> None:
    aliased = [setting for setting in SETTINGS if setting.aliases]
    assert {"optim", "lr_scheduler_type", "eval_steps"} <= {key for s in aliased for key in s.aliases}
    for setting in aliased:
        for key in setting.aliases:
            assert key.rpartition(".")[0] == setting.table
            (tmp_path / "arkor.toml").write_text(f"{BLOCK}{key} = {json.dumps(setting.sample_value)}\n")
            (trainer,) = load_trainers(tmp_path)
            assert dict(trainer["config"])[setting.field] == setting.sample_value, trainer


TOGETHER: list[tuple[dict[str, object], str]] = [
    ({"warmupSteps": 2, "warmupRatio": 0.1}, "warmupRatio and warmupSteps are both set"),
    ({"lrSchedulerType": "constant", "warmupSteps": 2}, "warmupSteps has no effect when lrSchedulerType"),
    ({"lrSchedulerType": "constant", "warmupRatio": 0.1}, "warmupRatio has no effect when lrSchedulerType"),
    *(
        ({"offload": "layers", field: True}, f"offload leaves the weights in their files, but {field}")
        for field in ("fullFineTuning", "useDora")
    ),
    ({"numberFormat": "auto", "bf16": True}, "bf16 and numberFormat are both set"),
    ({"bf16": True, "fp16": True}, "bf16 and fp16 are both true"),
    (
        {"earlyStoppingThreshold": 0.1},
        "earlyStoppingThreshold applies only with earlyStoppingPatience",
    ),
    (
        {"earlyStoppingPatience": 2, "evalSteps": 0},
        "earlyStoppingPatience requires evaluations, but evalSteps is 0",
    ),
    (
        {"fullFineTuning": True, "loadIn4bit": True},
        "fullFineTuning needs unquantized weights, which loadIn4bit",
    ),
    ({"saveTotalLimit": 2, "saveSteps": 0}, "saveTotalLimit requires checkpoints, but saveSteps is 0"),
    ({"numberFormat": "float32", "fp16": True}, "fp16 and numberFormat are both set"),
    ({"lrNumCycles": 2}, 'lrNumCycles applies only when lrSchedulerType is "cosine_with_restarts"'),
    ({"lrNumDecaySteps": 2}, 'lrNumDecaySteps applies only when lrSchedulerType is "wsd"'),
    ({"adamBeta1": 0.8, "optim": "adafactor"}, 'adamBeta1 applies only when optim is "adamw" or'),
    (
        {"completionOnlyLoss": True, "trainOnResponsesOnly": False},
        "completionOnlyLoss limits the loss to the last answer",
    ),
    (
        {"thoughtWeight": 0, "trainOnResponsesOnly": False},
        "thoughtWeight chooses among the tokens of answers",
    ),
    (
        {"answerWeight": 0, "trainOnResponsesOnly": False},
        "answerWeight chooses among the tokens of answers",
    ),
    (
        {"trainOnEmptyThoughts": False, "trainOnResponsesOnly": False},
        "trainOnEmptyThoughts chooses among the tokens of answers",
    ),
    (
        {"trainOnEmptyThoughts": False, "thoughtWeight": 0},
        "trainOnEmptyThoughts = false has no effect if thoughtWeight is 0",
    ),
    ({"thoughtWeight": 0.3, "answerWeight": 0}, "thoughtWeight counts beside answerWeight, which is 0"),
    ({"answerWeight": 0, "thoughtWeight": 0}, "thoughtWeight counts beside answerWeight, which is 0"),
    ({"answerWeight": 2, "thoughtWeight": 0}, "answerWeight counts beside thoughtWeight, which is 0"),
    ({"lrPower": 2}, 'lrPower applies only when lrSchedulerType is "polynomial"'),
    ({"adamBeta2": 0.9, "optim": "sgd"}, 'adamBeta2 applies only when optim is "adamw" or'),
    ({"adamEpsilon": 0.1, "optim": "lion"}, 'adamEpsilon applies only when optim is "adamw" or'),
    (
        {"useDora": True, "initLoraWeights": "pissa"},
        "useDora can't be combined with pissa or olora in initLora",
    ),
    ({"replayDataset": "general.jsonl"}, "replayDataset requires replay or baseKl above 0."),
    ({"fullFineTuning": True, "baseKl": 0.1}, "baseKl compares with the base under the adapter, which full"),
    (
        {"initLoraWeights": "pissa", "baseKl": 0.1},
        "baseKl compares with the base under the adapter, which pi",
    ),
    ({"method": "grpo", "epsilonHigh": 0.1}, "epsilonHigh must not be below epsilon."),
    (
        {"method": "grpo", "maxTurns": 3},
        "maxTurns applies only with environment. Set that, or remove maxTurns",
    ),
    (
        {"method": "grpo", "maxEpisodeTokens": 300},
        "maxEpisodeTokens applies only with environment. Set that, or remove maxEpisodeTokens",
    ),
    (
        {"method": "grpo", "environment": "env:Desk", "softPunishCache": 32},
        "softPunishCache counts the tokens of one answer, environment has several. Remove one of the two",
    ),
    (
        {"method": "grpo", "softPunishCache": 65, "maxCompletionLength": 64},
        "softPunishCache must not be above maxCompletionLength.",
    ),
    ({"loadIn4bit": True, "initLoraWeights": "olora"}, "pissa and olora in initLoraWeights need unquantized"),
]
OTHERWISE = {
    "loraTargetModules": ["q_proj"],
    "loraR": 16,
    "loraDropout": 0.1,
    "useRslora": True,
    "useDora": True,
    "initLoraWeights": "gaussian",
}
TOGETHER += [
    ({"stopWhen": "settled", "evalSteps": 0}, "stopWhen requires evaluations, but"),
    ({"stopWhen": "settled", "fullFineTuning": True}, "stopWhen needs an adapter, but"),
    ({"stopWhen": "settled", "initLoraWeights": "olora"}, "stopWhen compares with the base, but"),
    ({"maxHarm": 0.2, "fullFineTuning": True}, "maxHarm needs an adapter, but"),
    ({"maxHarm": 0.2, "initLoraWeights": "pissa"}, "maxHarm turns the adapter down, but pissa and olora"),
    ({"maxHarm": 0.2, "useDora": True}, "maxHarm turns the adapter down, but one with useDora"),
    ({"maxHarm": 0.2, "loraModulesToSave": ["lm_head"]}, "maxHarm turns the adapter down, but layers in"),
]
TOGETHER += [
    (
        {
            "method": "dpo" if "sft" in row.methods else "sft",
            row.field: row.rule.choices[1] if row.rule.choices else 2.0,
        },
        f"{row.field} applies only when method",
    )
    for row in SETTINGS
    if row.methods
]
TOGETHER += [
    (
        {"fullFineTuning": True, row.field: OTHERWISE.get(row.field, row.example)},
        f"{row.field} needs an adapter, but",
    )
    for row in SETTINGS
    if row.table == "lora"
]
HARMLESS: list[dict[str, object]] = [
    {"optim": "adamw_8bit", "adamEpsilon": 1e-6},
    {"lrSchedulerType": "warmup_stable_decay", "lrNumDecaySteps": 5},
    {"bf16": False, "fp16": True},
    {"offload": "none", "fullFineTuning": True},
    {"offload": "auto", "useDora": True},
    {"adamBeta1": 0.9, "optim": "sgd"},
    {"useDora": False, "initLoraWeights": "pissa"},
    {"earlyStoppingPatience": 2, "datasetSplit": "test"},
    {"warmupRatio": 0, "warmupSteps": 5},
    {"replayDataset": "general.jsonl", "baseKl": 0.1},
    {"replayDataset": "general.jsonl", "replay": 0.1},
    {"method": "grpo", "epsilonHigh": 0.2},
    {"method": "grpo", "epsilonHigh": 0.1, "epsilon": 0.05},
    {"method": "grpo", "softPunishCache": 256},
]


@pytest.mark.parametrize(("config", "said"), TOGETHER)
def test_conflicting_settings_are_refused(config: dict[str, object], said: str) -> None:
    texts = [text for _, text in conflicts(config, str)]
    assert [text.startswith(said) for text in texts].count(True) == 1, texts


@pytest.mark.parametrize("config", HARMLESS)
def test_unset_and_unknown_settings_do_not_conflict(config: dict[str, object]) -> None:
    assert list(conflicts(config, str)) == []


def test_every_conflict_rule_is_tested() -> None:
    assert [each for each in CONFLICTS if not any(each.applies(config) for config, _ in TOGETHER)] == []


def test_conflicting_settings_are_refused_on_the_wire() -> None:
    with pytest.raises(ArkorError) as refused:
        check_config({**CONFIG, "warmupSteps": 2, "warmupRatio": 0.1})
    assert refused.value.text == (
        "config.warmupRatio and config.warmupSteps are both set. Remove one of the two"
    )


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.key)
def test_arkor_toml_and_the_wire_have_the_same_bounds(
    setting: Setting, problem: Callable[[str], str | None]
) -> None:
    """What arkor.toml takes the backend takes, and what it refuses the backend refuses."""
    rule = setting.rule
    values: list[object] = [*rule.choices, True, "a", "", 1.5, [], {}]
    if rule.kind in ("whole", "number"):
        step = 1 if rule.kind == "whole" else 0.01
        values += [rule.low - step, rule.low, rule.low + step, rule.high, rule.high + step]
    told = 0
    for value in values:
        if setting.passes(value):
            continue  # another backend's form, which only the wire may carry
        others = "" if setting.key == "model" else 'model = "m"\n'
        beside = BESIDE.get(setting.field, {})
        lines = {
            setting.key: value,
            **{settings.by_field()[field].key: said for field, said in beside.items()},
        }
        written = "".join(f"{key} = {json.dumps(said)}\n" for key, said in lines.items())
        by_file = problem(BLOCK.replace('model = "m"\n', others) + written) is None
        try:
            by_backend = bool(check_config({**CONFIG, **beside, setting.field: value}))
        except ArkorError:
            by_backend = False
        assert by_file == by_backend == rule.fits(value), value
        told += 1
    assert told >= 3


def test_out_of_range_rates_and_seeds_are_refused_by_both(tmp_path: Path) -> None:
    for key, field, value in (("learning_rate", "learningRate", 1.5), ("seed", "seed", 2**32)):
        (tmp_path / "arkor.toml").write_text(f"{BLOCK}{key} = {value}\n")
        assert f"{key} = {value} is invalid" in load_trainers(tmp_path)[0].get("problem", "")
        with pytest.raises(ArkorError, match=f"config.{field} must be"):
            check_config({**CONFIG, field: value})


INIT = ("initLoraWeights", True)
WSD = ("lrSchedulerType", "warmup_stable_decay")


def test_values_of_other_backends_are_accepted_on_the_wire_only() -> None:
    for field, value in (("maxSteps", -1), ("optim", "adamw_8bit"), ("datasetSplit", "test"), WSD, INIT):
        assert {**check_config({**CONFIG, field: value})}[field] == value


def test_a_resumed_job_may_have_as_many_workers_as_a_new_one() -> None:
    (field,) = (each for each in RESUMPTION.fields if each.name == "workers")
    assert field.rule is by_field()["workers"].rule
