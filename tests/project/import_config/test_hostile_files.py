"""Files made to hang, to exhaust or to surprise whoever imports them: each is refused, or imported, at
once."""

from __future__ import annotations

import contextlib
import json
import os
import time
from typing import TYPE_CHECKING

import pytest

from arkor_dev.cli.main import main
from arkor_dev.contract.errors import ArkorError, BadRequestError
from arkor_dev.project.import_config.convert import as_toml, convert
from arkor_dev.project.import_config.script import LIMIT

if TYPE_CHECKING:
    from pathlib import Path

CELL = {"cell_type": "code"}
JOINED = 'SFTTrainer(model="a/b", args=SFTConfig(), train_dataset=x3000)\n'
TRAINS = 'SFTTrainer(model="a/b", args=SFTConfig(%s), train_dataset=load_dataset("c/d"))\n'


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("quotes.json", '{"a": "' + '\\"' * 400_000 + '"}'),
        ("quotes.json", '{"a": ' + '"\\\\' * 200_000),
        ("blank.ipynb", json.dumps({"cells": [{**CELL, "source": "\n" * 200_000 + "x = 1"}]})),
        ("spaces.ipynb", json.dumps({"cells": [{**CELL, "source": " " * 60_000 + "(\n" * 9}]})),
        ("keys.yml", "".join(f"key{n}: 1\n" for n in range(100_000))),
        ("keys.json", json.dumps({f"key{n}": n for n in range(50_000)})),
        ("deep.yml", "a: " + "[" * 100_000),
        ("deep.json", "[" * 100_000),
        ("deep.ipynb", "[" * 100_000),
        ("deep.toml", "a = " + "[" * 100_000),
        ("dots.toml", "a" + ".a" * 100_000 + " = 1"),
        ("sums.py", TRAINS % ("learning_rate=1" + "+1" * 50_000)),
        ("deep.py", TRAINS % ("learning_rate=" + "f(" * 80 + ")" * 80)),
        ("chain.py", TRAINS % ("learning_rate=x" + ".y()" * 300)),
        ("chain.py", TRAINS % ("learning_rate=x" + ".y()" * 20_000)),
        ("elif.py", "if a: pass\n" + "elif b: pass\n" * 5_000 + TRAINS % ""),
        ("loop.py", "a = b\nb = a\n" + TRAINS % "learning_rate=a"),
        ("twice.py", "".join(f"x{n + 1} = [x{n}] + [x{n}]\n" for n in range(60)) + TRAINS % "report_to=x60"),
        ("lists.py", "".join(f"x{n + 1} = [x{n}, x{n}]\n" for n in range(60)) + TRAINS % "report_to=x60"),
        ("power.py", TRAINS % "max_steps=10**(10**10)"),
        ("long.py", "x = [" + "1," * LIMIT + "]\n" + TRAINS % ""),
        ("names.py", "x = 1\n" * 8_000 + TRAINS % "max_steps=x"),
        (
            "joined.py",
            "".join(f"x{n + 1} = concatenate_datasets([x{n}, x{n}])\n" for n in range(3_000)) + JOINED,
        ),
        ("joined.py", "".join(f"x{n + 1} = concatenate_datasets([x{n}])\n" for n in range(3_000)) + JOINED),
        ("calls.py", "trainer.args.x = 1\n" * 3_000 + TRAINS % ""),
        ("nul.py", "\0"),
    ],
)
def test_hostile_files_take_bounded_time(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    before = time.process_time()
    with contextlib.suppress(ArkorError):
        as_toml(convert(path, tmp_path), "x")
    assert time.process_time() - before < 10  # well below 1 s; what is quadratic or worse takes minutes


@pytest.mark.parametrize(
    "name", ["config.yml", "config.json", "train.py", "train.ipynb", "rows.jsonl", "a.toml"]
)
def test_a_fifo_is_refused(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(BadRequestError, match="a FIFO, not a regular file"):
        convert(tmp_path / name, tmp_path)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", '{"base_model": "a/\\ud800"}'),
        ("a.json", '{"base_model": "a/b", "\\udfff": 1}'),
        ("a.yml", 'base_model: a/b\ndatasets: [{path: "c\\ud800"}]\n'),
        ("a.py", TRAINS % "output_dir='\\ud800'"),
        ("a.py", TRAINS % "**{'\\ud800': 1}"),
        ("a.ipynb", json.dumps({"cells": [{**CELL, "source": "x = '\ud800'"}]})),
        ("a.ipynb", json.dumps({"cells": [{**CELL, "source": TRAINS.replace("a/b", "\\ud800") % ""}]})),
    ],
)
def test_a_lone_surrogate_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, text: str
) -> None:
    (tmp_path / name).write_text(text)
    assert main(["import-config", str(tmp_path / name), "--project", str(tmp_path), "--json"]) != 0
    assert "half a character" in capsys.readouterr().err
    assert not (tmp_path / "arkor.toml").exists()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("base_model: a/b\nlearning_rate: .nan\n", "nan is not a number"),
        ("base_model: a/b\nval_set_size: .inf\n", "inf is not a number"),
        ('base_model: a/b\ndatasets: [{path: "./\\0.json"}]\n', "or a NUL"),
        ("base_model: [a, b]\n", "is not a model's name"),
    ],
)
def test_impossible_values_are_refused(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "a.yml").write_text(text)
    with pytest.raises(BadRequestError, match=says):
        convert(tmp_path / "a.yml", tmp_path)


@pytest.mark.parametrize(
    "lines",
    [
        ["base_model: a/b", "num_epochs: " + "9" * 5000],
        ["base_model: [a, {b: c}]", "datasets: 7", "adapter: {x: [y]}", "rl: [dpo]", "lora_r: {}"],
        ["base_model: a/b", "datasets: [{path: [1]}, 2, {path: c/d, type: [x], data_files: {a: b}}]"],
        ["base_model: a/b", "val_set_size: []", "trl: 3", "lr_scheduler: {}", "optimizer: []", "lora_r: [1]"],
        ["model_name_or_path: a/b", "stage: sft", "dataset: {a: b}", "dataset_dir: [x]", "val_size: {}"],
        ["task: 1", "base_model: {}", "project_name: x", "data: 3", "params: [1]"],
        ["llm_backbone: 1", "problem_type: text_causal_language_modeling", "training: {gradient_clip: x}"],
        ["model: {_component_: torchtune.models.x.lora_y, lora_attn_modules: 3}", "epochs: {}",
         "optimizer: {_component_: 7}"],
        ["model: {}", "iters: x", "lora_parameters: {scale: {}, rank: y, keys: 3}", "adapter_path: []"],
        ["model: []", "model_class: llm", "train_dataset: {}", "peft_config: {name: [1], r: {}}"],
    ],
)  # fmt: skip
def test_values_of_any_type_are_refused_or_noted(tmp_path: Path, lines: list[str]) -> None:
    (tmp_path / "a.yml").write_text("\n".join(lines))
    with contextlib.suppress(BadRequestError):
        as_toml(convert(tmp_path / "a.yml", tmp_path), "x")
