"""Scripts and notebooks: what is given to the trainer counts, and whatever is not carried over is named
with its line."""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.contract.errors import BadRequestError
from arkor_dev.project.import_config.convert import as_toml, convert

if TYPE_CHECKING:
    from pathlib import Path

INSTALL = """\
%%capture
import os
if "COLAB_" not in "".join(os.environ.keys()):
    !pip install unsloth
else:
    for package in ("peft", "trl"):
        !pip install --no-deps \\
            --upgrade \\
            {package}
        print(package)
version = !python --version
model?
"""
SHELL = "%%bash\ncase $1 in\n  a) echo 1 ;;\nesac\n"
LOAD = """\
from unsloth import FastLanguageModel
max_seq_length = 2048
model, tokenizer = FastLanguageModel.from_pretrained(
    model_name = "unsloth/Llama-3.1-8B", max_seq_length = max_seq_length, dtype = None, load_in_4bit = True)
"""
ADAPT = "model = FastLanguageModel.get_peft_model(model, r = 16, lora_alpha = 32, bias = 'none')\n"
DATA = """\
from datasets import load_dataset
prompt = '''Answer:
!important
{}'''
dataset = load_dataset("unsloth/alpaca-cleaned", split = "train")
dataset = dataset.map(formatting_prompts_func, batched = True)
"""
TRAIN = """\
trainer = SFTTrainer(
    model = model, tokenizer = tokenizer, train_dataset = dataset, eval_dataset = None,
    max_seq_length = max_seq_length // 2,
    args = SFTConfig(max_steps = 60, per_device_train_batch_size = 2, learning_rate = 2e-4),
)
trainer = train_on_responses_only(trainer)
trainer.train()
"""
SAVED = """\
if False:
    model, tokenizer = FastLanguageModel.from_pretrained(model_name = "llama_lora", load_in_4bit = False)
"""
LATER = 'model = FastLanguageModel.from_pretrained("llama_lora")\n'


def imported(
    folder: Path, text: str, name: str = "train.py"
) -> tuple[dict[str, Any], dict[str, tuple[int, str]]]:
    """Return the trainer, and the notes by key: their line and text."""
    path = folder / name
    path.write_text(text)
    conversion = convert(path, folder)
    trainer = tomllib.loads(as_toml(conversion, "imported"))["trainer"][0]
    return trainer, {note.key: (note.line, note.text) for note in conversion.notes}


def notebook(*cells: str) -> str:
    """Return a notebook of code cells."""
    return json.dumps({"cells": [{"cell_type": "code", "source": cell} for cell in cells]})


@pytest.mark.parametrize("after", [SAVED, LATER, ""])
def test_a_notebook_yields_the_trained_model(tmp_path: Path, after: str) -> None:
    cells = notebook(SHELL, INSTALL, LOAD, ADAPT, DATA, TRAIN, "%%html\n<b>", after)
    trainer, notes = imported(tmp_path, cells, "train.ipynb")
    assert trainer == {
        "name": "imported",
        "model": "unsloth/Llama-3.1-8B",
        "dataset": {"huggingface": "unsloth/alpaca-cleaned"},
        "steps": 60,
        "batch_size": 2,
        "gradient_accumulation_steps": 2,
        "learning_rate": 2e-4,
        "max_length": 1024,  # the trainer's counts, not the one that the model is loaded with
        "warmup_ratio": 0.1,
        "weight_decay": 0.001,
        "seed": 3407,
        "load_in_4bit": True,
        "lora": {"r": 16, "alpha": 32},
    }
    assert notes["map"] == (27, ".map(…) is not carried over: the rows are read as they are")
    assert notes["cell"][1] == "it is not Python, so it is not read: %%html"


def test_an_invalid_training_cell_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadRequestError, match="The cell from line 5 on: Line 1: not a valid Python script"):
        imported(tmp_path, notebook(LOAD, "trainer = SFTTrainer(((\n"), "train.ipynb")
    trainer, notes = imported(tmp_path, notebook(LOAD, "print 'hello'\n", ADAPT, TRAIN), "train.ipynb")
    assert trainer["model"] == "unsloth/Llama-3.1-8B"
    assert notes["cell"] == (5, "it is not Python, so it is not read: print 'hello'")


TRL = """\
from trl import SFTConfig, SFTTrainer
common = {"learning_rate": 1e-4, "num_train_epochs": 2}
common["weight_decay"] = 0.1
args = SFTConfig(output_dir="out", **common, **unknown())
args.learning_rate = 5e-5
args.warmup_ratio = 0.1
if big:
    args.num_train_epochs = 9
rows = load_dataset("owner/rows")
rows["train_sft"] = shorten(rows["train_sft"])
split = rows["train_sft"].filter(keep).train_test_split(test_size=0.2)
peft = LoraConfig(r=4, target_modules=["k_proj"])
peft.lora_alpha = 64
trainer = SFTTrainer(
    "owner/model", args, train_dataset=split["train"], eval_dataset=split["test"], peft_config=peft,
    formatting_func=pretty, callbacks=[early], compute_metrics=None, novel_option=3,
)
trainer.args.seed = 7
"""


def test_overrides_and_keywords_are_converted_or_named(tmp_path: Path) -> None:
    trainer, notes = imported(tmp_path, TRL)
    assert trainer == {
        "name": "imported",
        "model": "owner/model",
        "dataset": {"huggingface": "owner/rows", "split": "train_sft"},
        "epochs": 2,
        "batch_size": 8,
        "learning_rate": 5e-5,
        "max_length": 1024,
        "weight_decay": 0.1,
        "warmup_ratio": 0.1,
        "eval_split": 0.2,
        "lora": {"r": 4, "alpha": 64, "target_modules": ["k_proj"]},
    }
    assert {key: line for key, (line, _) in notes.items()} == {
        "**unknown()": 4,
        "num_train_epochs": 8,
        "rows": 10,
        "filter": 11,
        "SFTTrainer": 14,
        "formatting_func": 16,
        "callbacks": 16,
        "novel_option": 16,
        "seed": 18,
    }
    assert notes["formatting_func"][1] == "rows keep their form: the function is not carried over"


def test_evaluation_rows_are_converted(tmp_path: Path) -> None:
    text = """\
rows = load_dataset("owner/rows", split="train[:10%]")
test = load_dataset("owner/rows", split="validation")
SFTTrainer(model="a/b", args=SFTConfig(), train_dataset=rows.select(range(9)), eval_dataset=test)
"""
    trainer, notes = imported(tmp_path, text)
    assert trainer["eval_dataset"] == {"huggingface": "owner/rows", "split": "validation"}
    assert trainer["full_fine_tuning"] is True
    assert {key: line for key, (line, _) in notes.items()} == {"split": 1, "select": 3, "SFTTrainer": 3}


def test_names_bound_to_none_are_unset(tmp_path: Path) -> None:
    text = """\
peft_config = eval_dataset = None
SFTTrainer(
    model="a/b", args=SFTConfig(assistant_only_loss=True), train_dataset=load_dataset("c/d"),
    eval_dataset=eval_dataset, peft_config=peft_config,
)
"""
    trainer, notes = imported(tmp_path, text)
    assert trainer["full_fine_tuning"] is True
    assert not notes


def test_script_functions_and_concatenated_rows_are_followed(tmp_path: Path) -> None:
    text = """\
NAME = "owner/" + "base"
def load():
    model = AutoModelForCausalLM.from_pretrained(NAME, quantization_config=bits).to("cuda")
    return prepare_model_for_kbit_training(model)
bits = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4")
def main():
    rows = concatenate_datasets([load_dataset("a/one", split="train"), load_dataset("b/two", split="train")])
    model = get_peft_model(load(), LoraConfig(r=2 * 8, target_modules="all-linear"))
    Trainer(model=model, args=TrainingArguments(max_steps=3), train_dataset=rows.shuffle(seed=1)).train()
if __name__ == "__main__":
    main()
"""
    trainer, notes = imported(tmp_path, text)
    assert trainer["model"] == "owner/base"
    assert trainer["dataset"] == [{"huggingface": "a/one"}, {"huggingface": "b/two"}]
    assert trainer["load_in_4bit"] is True
    assert trainer["lora"] == {"r": 16, "alpha": 8, "target_modules": "all-linear"}
    assert set(notes) == {"Trainer"}


PLAIN = 'SFTTrainer(model="a/b", args=SFTConfig(), train_dataset=load_dataset("c/d"))\n'
WITH_MODEL = PLAIN.replace('"a/b"', "m")
LOADS = "m = AutoModelForCausalLM.from_pretrained('a/b')\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (LOADS, "creates no trainer"),
        (PLAIN + PLAIN, "Line 1: .* 2 trainers .the others in line 2.* with --from JOB"),
        ("class Mine(SFTTrainer):\n    pass\n" + PLAIN.replace("SFTTrainer", "Mine"), "creates no trainer"),
        ("class MyTrainer(SFTTrainer):\n    pass\n" + PLAIN.replace("SFT", "My", 1), "of the script's own"),
        (PLAIN.replace("SFTTrainer", "RewardTrainer"), "trains by RewardTrainer"),
        (PLAIN.replace("SFTTrainer", "pl.Trainer").replace('model="a/b", ', ""), "is given no model"),
        ("m, _ = FastVisionModel.from_pretrained('a/b')\n" + WITH_MODEL, "load it by FastModel in a copy"),
        (
            f"{LOADS}m = FastModel.get_peft_model(m, finetune_vision_layers=True)\n{WITH_MODEL}",
            "Line 2: the layers for pictures are trained, too.* set it to False in a copy",
        ),
        (LOADS.replace("CausalLM", "SequenceClassification") + WITH_MODEL, "is not a language model"),
        ("m, _ = FastModel.from_pretrained('a/b', auto_model=Whisper)\n" + WITH_MODEL, "Whisper is not"),
        ("from snac import SNAC\n" + PLAIN, "Line 1: trains on sound .snac."),
        (PLAIN.replace("args", "data_collator=UnslothVisionDataCollator(m), args"), "Collator: only text"),
        (PLAIN.replace("args=", "tools=[search], args="), "Line 1: tools: tools are those of an environment"),
        (PLAIN.replace("args=", "environment_factory=Game, args="), "environment_factory: tools are those"),
        (PLAIN.replace("args=", "rollout_func=play, args="), "rollout_func: rollouts are sampled by the"),
        (PLAIN.replace("args=", "compute_loss_func=mine, args="), "compute_loss_func: the loss is the meth"),
        (PLAIN.replace('"a/b"', "options.model"), "comes from the command line or a file: write its name o"),
        (PLAIN.replace("SFTConfig()", "parse()"), "training arguments .parse... are not written out"),
        (PLAIN.replace('"a/b"', "sys.argv[1]"), "the trainer's model .sys.argv.1.. cannot be followed"),
        (LOADS.replace("'a/b'", "input()") + WITH_MODEL, "computed by the script .input..."),
        ("m = PeftModel.from_pretrained(base, 'x')\n" + WITH_MODEL, "starts from an adapter"),
        (PLAIN.replace("args=", "peft_config=choose(), args="), "is not a LoraConfig that the script writes"),
        (LOADS.replace("'a/b'", "'a/b', {}") + WITH_MODEL, "arguments of from_pretrained by position are"),
        (PLAIN.replace("SFTConfig()", "SFTConfig(**read())"), "the training arguments .read... are computed"),
        (PLAIN.replace("args=", "peft_config=LoraConfig(**c), args="), "LoRA settings .c. are computed by"),
        (PLAIN.replace("args=", "peft_config=LoraConfig(16), args="), "of LoraConfig by position are not"),
        (LOADS + "m = FastModel.get_peft_model(m, 16)\n" + WITH_MODEL, "Line 2: arguments of get_peft_model"),
        (LOADS.replace("'a/b'", "'a/b', load_in_4bit=True") + WITH_MODEL, "Line 1: the model is loaded in 4"),
        ("m, _ = FastModel.from_pretrained('saved')\n" + WITH_MODEL, "Line 2: the model is loaded in 4-bit"),
        (LOADS + "if lora:\n    m = get_peft_model(m, LoraConfig())\n" + WITH_MODEL, "to the trainer"),
        (f"if big:\n    {LOADS}else:\n    {LOADS.replace('a/b', 'c/d')}{WITH_MODEL}", "followed to one that"),
    ],
)  # fmt: skip
def test_unsupported_constructs_are_refused_with_their_line(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(BadRequestError, match=says):
        imported(tmp_path, text)


@pytest.mark.parametrize(
    ("trainer", "expected"),
    [
        ("SFTTrainer", {"learning_rate": 2e-5, "batch_size": 8, "max_length": 1024, "warmup_steps": 0}),
        ("DPOTrainer", {"learning_rate": 1e-6, "batch_size": 8, "max_length": 1024, "warmup_steps": 0}),
        ("Trainer", {"learning_rate": 5e-5, "batch_size": 8, "warmup_steps": 0}),
        (
            "GRPOTrainer",
            {
                "learning_rate": 1e-6,
                "batch_size": 1,  # prompts: eight answers are those of one
                "max_completion_length": 512,
                "warmup_steps": 0,
            },
        ),
    ],
)
@pytest.mark.parametrize("args", ["", "args=None, ", "args={}(), "])
def test_a_trainer_without_arguments_has_their_defaults(
    tmp_path: Path, trainer: str, expected: dict[str, Any], args: str
) -> None:
    config = "TrainingArguments" if trainer == "Trainer" else trainer.replace("Trainer", "Config")
    text = f'{trainer}(model="a/b", {args.format(config)}train_dataset=load_dataset("c/d"))\n'
    result, _ = imported(tmp_path, text)
    start = ("name", "model", "dataset", "method", "full_fine_tuning", "gradient_accumulation_steps")
    assert {key: value for key, value in result.items() if key not in start} == expected


def test_a_computed_argument_has_no_default_in_its_place(tmp_path: Path) -> None:
    args = "SFTConfig(per_device_train_batch_size=size(), warmup_ratio=share(), max_length=longest())"
    trainer, notes = imported(tmp_path, PLAIN.replace("SFTConfig()", args))
    assert not {"batch_size", "warmup_steps", "max_length"} & trainer.keys()
    assert {"per_device_train_batch_size", "warmup_ratio", "max_length"} <= notes.keys()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("Choice(\n    1\n)", "Choice(…)"),
        ("[\n    count()\n]", "[…]"),
        ("Choice({\n    'a': 1\n})", "Choice({…})"),
        ("Choice(1,\n    2)", "Choice(1, …"),
        ("Choice(1)", "Choice(1)"),
    ],
)
def test_a_computed_value_of_several_lines_is_cut_at_its_bracket(
    tmp_path: Path, given: str, says: str
) -> None:
    _, notes = imported(tmp_path, PLAIN.replace("SFTConfig()", f"SFTConfig(num_train_epochs={given})"))
    assert notes["num_train_epochs"] == (1, f"is computed by the script: {says}")


def test_computed_sizes_of_grpo_name_our_default(tmp_path: Path) -> None:
    args = "GRPOConfig(max_completion_length=rest(), num_generations=many())"
    trainer, notes = imported(tmp_path, PLAIN.replace("SFTConfig()", args).replace("SFT", "GRPO"))
    assert not {"max_completion_length", "num_generations"} & trainer.keys()
    assert notes["max_completion_length"][1] == (
        "is computed by the script: rest(). 256 applies, unless you set it"
    )
    assert notes["num_generations"][1].endswith("many(). 8 applies, unless you set it")


def test_transformers_arguments_of_an_sft_trainer_cut_rows_as_trl_does(tmp_path: Path) -> None:
    trainer, _ = imported(tmp_path, PLAIN.replace("SFTConfig()", "TrainingArguments()"))
    assert trainer["max_length"] == 1024


def test_long_prompts_are_cut_or_refused_by_method(tmp_path: Path) -> None:
    for trainer, says in (("DPO", "prompts are cut"), ("GRPO", "prompts are not cut")):
        text = PLAIN.replace("SFTConfig()", "SFTConfig(max_prompt_length=9)").replace("SFT", trainer)
        assert says in imported(tmp_path, text)[1]["max_prompt_length"][1]


def test_splits_are_followed_to_the_name_that_each_is_assigned_to(tmp_path: Path) -> None:
    text = """\
def both():
    return load_dataset("c/d", split="train"), load_dataset("c/d", split="validation")
rows, test = {}
SFTTrainer("a/b", train_dataset=rows.map(shorten), eval_dataset=test.map(shorten))
"""
    expected = ({"huggingface": "c/d"}, "validation")
    for given in ('load_dataset("c/d", split=["train[:5%]", "validation"])', "both()"):
        trainer, notes = imported(tmp_path, text.format(given))
        assert (trainer["dataset"], trainer["eval_dataset"]["split"]) == expected
        assert ("split" in notes) is ("[:5%]" in given)
        assert "split" not in notes or notes["split"][1].endswith("not train[:5%]")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("'main'", None),
        ("None", None),
        ("'5fde88d'", 'is not carried over, so other weights are loaded: main, not "5fde88d"'),
        ("pinned()", "is computed by the script: pinned()"),
    ],
)
def test_a_revision_of_the_model_is_named(tmp_path: Path, given: str, says: str | None) -> None:
    text = LOADS.replace("'a/b'", f"'a/b', revision={given}") + WITH_MODEL
    trainer, notes = imported(tmp_path, text)
    assert trainer["model"] == "a/b"
    assert notes.get("revision") == (says and (1, says))


def test_a_revision_in_yaml_is_named(tmp_path: Path) -> None:
    text = "model_name_or_path: a/b\nmodel_revision: 5fde88d\nnum_train_epochs: 1\n"
    _, notes = imported(tmp_path, text, "train.yaml")
    assert notes["model_revision"][0] == 2
    assert notes["model_revision"][1].endswith('other weights are loaded: main, not "5fde88d"')


def test_arguments_that_change_the_rows_are_named(tmp_path: Path) -> None:
    text = """\
rows = load_dataset(
    "csv", data_files="data.csv", split="train", streaming=True, num_proc=4, keep_in_memory=None,
    delimiter=";", column_names=["question", "answer"],
    skiprows=count(), revision=None,
)
SFTTrainer("a/b", train_dataset=rows)
"""
    _, notes = imported(tmp_path, text)
    del notes["data_files"], notes["SFTTrainer"]
    assert notes == {
        "delimiter": (3, 'is not carried over: ";"'),
        "column_names": (3, 'is not carried over: ["question", "answer"]'),
        "skiprows": (4, "is not carried over: count()"),
    }
    _, notes = imported(tmp_path, PLAIN.replace('"c/d"', '"c/d", revision="v1.0"'))
    assert notes["revision"] == (1, 'is not carried over: "v1.0"')


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (
            'load_dataset("c/d", "small", None, None, "validation")',
            {"subset": "small", "split": "validation"},
        ),
        ('Dataset.from_json("https://c.org/d.jsonl", "train")', None),
    ],
)
def test_arguments_of_the_rows_by_position_are_read(
    tmp_path: Path, rows: str, expected: dict[str, str] | None
) -> None:
    trainer, _ = imported(tmp_path, PLAIN.replace('load_dataset("c/d")', rows))
    given = {"huggingface": "c/d", **expected} if expected else {"url": "https://c.org/d.jsonl"}
    assert trainer["dataset"] == given


def test_rows_that_are_learned_do_not_judge_the_run(tmp_path: Path) -> None:
    text = """\
rows = load_dataset("c/d", split="train")
SFTTrainer("a/b", train_dataset=rows.select(most), eval_dataset=rows.select(rest))
"""
    trainer, notes = imported(tmp_path, text)
    assert "eval_dataset" not in trainer
    assert notes["eval_dataset"] == (2, "is a part of the same rows: an automatic share of them is held out")


def test_a_condition_that_keeps_the_model_does_not_hide_it(tmp_path: Path) -> None:
    text = f"""\
{LOADS}other = AutoModelForCausalLM.from_pretrained("e/f")
if bare:
    m, tokenizer = setup_chat_format(m, tokenizer)
if small:
    m = prepare_model_for_kbit_training(m)
{WITH_MODEL}"""
    trainer, notes = imported(tmp_path, text)
    assert trainer["model"] == "a/b"
    assert notes["setup_chat_format"] == (4, "the model's own chat template is used")


def test_an_adapter_without_layers_has_those_of_peft(tmp_path: Path) -> None:
    text = PLAIN.replace("args=", "peft_config=LoraConfig(), args=")
    trainer, notes = imported(tmp_path, text)
    assert trainer["lora"] == {"r": 8, "alpha": 8, "target_modules": ["q_proj", "v_proj"]}
    assert notes["target_modules"] == (1, "is missing: PEFT adapts these layers of most models, not all")
    given = imported(tmp_path, text.replace("LoraConfig()", "LoraConfig(target_modules='all-linear')"))
    assert given[0]["lora"]["target_modules"] == "all-linear"
    assert "target_modules" not in given[1]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("'nll'", None),
        ("'chunked_nll'", None),
        ("'dft'", '"dft" is not carried over: the loss is the cross entropy (nll)'),
        ("chosen()", "is computed by the script: chosen()"),
    ],
)
def test_a_loss_of_supervised_training_is_named(tmp_path: Path, given: str, says: str | None) -> None:
    trainer, notes = imported(tmp_path, PLAIN.replace("SFTConfig()", f"SFTConfig(loss_type={given})"))
    assert "loss_type" not in trainer
    assert notes.get("loss_type") == (says and (1, says))


def test_options_of_the_chat_template_are_converted(tmp_path: Path) -> None:
    options = 'SFTConfig(chat_template_kwargs={"enable_thinking": False, "novel": 1}, log_completions=True)'
    trainer, notes = imported(tmp_path, PLAIN.replace("SFTConfig()", options))
    assert trainer["chat_template_kwargs"] == {"enable_thinking": False}
    assert notes["chat_template_kwargs"] == (1, "novel has no equivalent here")
    assert "log_completions" not in notes


def test_a_note_is_written_once(tmp_path: Path) -> None:
    text = """\
rows = load_dataset("c/d").map(shorten)
SFTTrainer("a/b", train_dataset=rows["train"], eval_dataset=rows["test"])
"""
    path = tmp_path / "train.py"
    path.write_text(text)
    assert [note.key for note in convert(path, tmp_path).notes] == ["map", "SFTTrainer"]


@pytest.mark.parametrize(
    ("given", "expected"), [("False", "none"), ("True", "group"), ("'batch'", "batch"), ("'none'", "none")]
)
def test_the_scale_of_rewards_is_converted(tmp_path: Path, given: str, expected: str) -> None:
    text = PLAIN.replace("SFTConfig()", f"GRPOConfig(scale_rewards={given})").replace("SFT", "GRPO")
    trainer, notes = imported(tmp_path, text)
    assert trainer["scale_rewards"] == expected
    assert "scale_rewards" not in notes


def test_a_notebook_that_writes_its_script_is_refused_with_the_cell(tmp_path: Path) -> None:
    cells = notebook("x = 1", f"%%writefile train.py\n{PLAIN}", "!accelerate launch train.py")
    with pytest.raises(BadRequestError, match=r"no trainer.* Not read, .* line 2, %%writefile"):
        imported(tmp_path, cells, "train.ipynb")


@pytest.mark.parametrize(
    ("given", "warmup", "noted"),
    [
        ("warmup_steps=0, warmup_ratio=0.1", {"warmup_ratio": 0.1}, []),
        ("warmup_steps=4, warmup_ratio=0.1", {"warmup_steps": 4}, ["warmup_ratio"]),
        ("lr_scheduler_type='constant', warmup_ratio=0.1", {}, ["warmup_ratio"]),
        ("lr_scheduler_type='constant', warmup_steps=4", {}, ["warmup_steps"]),
        ("lr_scheduler_type='constant', warmup_steps=0", {}, []),
        ("lr_scheduler_type='constant'", {}, []),
        ("lr_scheduler_type='constant_with_warmup', warmup_steps=4", {"warmup_steps": 4}, []),
    ],
)
def test_the_warm_up_is_the_one_that_transformers_makes(
    tmp_path: Path, given: str, warmup: dict[str, float], noted: list[str]
) -> None:
    trainer, notes = imported(tmp_path, PLAIN.replace("SFTConfig()", f"SFTConfig({given})"))
    assert {key: value for key, value in trainer.items() if key.startswith("warmup")} == warmup
    assert [key for key in notes if key.startswith("warmup")] == noted
    if noted == ["warmup_steps"]:
        assert notes["warmup_steps"] == (1, "is not carried over: a constant schedule has no warm-up in TRL")


@pytest.mark.parametrize(
    ("given", "noted"),
    [
        ("None", False),
        ("ref_model=None", False),
        ("ref_model=AutoModelForCausalLM.from_pretrained('a/b')", False),
        ("AutoModelForCausalLM.from_pretrained('a/b', dtype='auto')", False),
        ("ref_model='a/other'", True),
        ("AutoModelForCausalLM.from_pretrained('a/other')", True),
        ("ref_model=reference()", True),
    ],
)
def test_another_reference_model_is_named(tmp_path: Path, given: str, noted: bool) -> None:
    text = (
        f'DPOTrainer(AutoModelForCausalLM.from_pretrained("a/b"), {given}, train_dataset=load_dataset("c/d"))'
    )
    trainer, notes = imported(tmp_path, text)
    assert trainer["model"] == "a/b"
    says = "the reference is the base model, or the adapter that the run starts from"
    assert notes.get("ref_model") == ((1, says) if noted else None)


@pytest.mark.parametrize(
    "call",
    [
        "DPOTrainer('a/b', None, DPOConfig(learning_rate=3e-6), train_dataset=rows)",
        "KTOTrainer('a/b', None, KTOConfig(learning_rate=3e-6), train_dataset=rows)",
        "GRPOTrainer('a/b', graded, GRPOConfig(learning_rate=3e-6), train_dataset=rows)",
        "SFTTrainer('a/b', SFTConfig(learning_rate=3e-6), train_dataset=rows)",
    ],
)
def test_arguments_by_position_are_read(tmp_path: Path, call: str) -> None:
    trainer, notes = imported(tmp_path, f'rows = load_dataset("c/d")\n{call}')
    assert trainer["learning_rate"] == 3e-6
    assert not [key for key, (_, text) in notes.items() if "by position" in text]
    assert ("reward_funcs" in notes) is ("GRPO" in call)
    assert (
        "by position" in imported(tmp_path, f"rows = 1\n{call.replace('train_dataset=', '')}")[1]["rows"][1]
    )


def test_names_that_the_script_gives_to_imports_are_followed(tmp_path: Path) -> None:
    text = """\
from datasets import load_dataset as rows_of
from trl import SFTTrainer as Teacher, SFTConfig as Settings
from trl.trainer import x as DPOTrainer
from peft import LoraConfig as Small
Teacher("a/b", Settings(max_steps=3), train_dataset=rows_of("c/d"), peft_config=Small(r=4))
"""
    trainer, _ = imported(tmp_path, text)
    assert (trainer["steps"], trainer["lora"]["r"]) == (3, 4)
    assert trainer["dataset"] == {"huggingface": "c/d"}
    with pytest.raises(BadRequestError, match="creates no trainer"):
        imported(tmp_path, text.replace("from peft", "Teacher = choose()\nfrom peft"))
    own = text + "def load_dataset(name):\n    return [name]\n"
    assert imported(tmp_path, own)[0]["dataset"] == "data/train.jsonl"


@pytest.mark.parametrize(
    ("trainer", "noted"), [("DPO", True), ("KTO", True), ("ORPO", False), ("SFT", False)]
)
def test_a_method_with_a_reference_is_said_to_need_an_adapter(
    tmp_path: Path, trainer: str, noted: bool
) -> None:
    found, notes = imported(tmp_path, PLAIN.replace("SFT", trainer))
    assert found["full_fine_tuning"] is True
    says = f"{trainer.lower()} trains an adapter here: a run needs this setting removed"
    assert notes.get("full_fine_tuning") == ((1, says) if noted else None)


SELF_DISTILLATION = """\
from trl.experimental.sdft import SDFTConfig, SDFTTrainer
args = SDFTConfig({args})
trainer = SDFTTrainer("a/b", args, train_dataset=load_dataset("c/d"){adapter})
"""


def test_self_distillation_is_converted(tmp_path: Path) -> None:
    given = (
        "learning_rate=2e-5, per_device_train_batch_size=4, num_generations=2, distillation_alpha=0.25, "
        "distillation_topk=50, distillation_add_tail=True, distillation_mode='topk_logits', "
        "teacher_model_kind='ema', teacher_update_rate=0.01, teacher_sync_steps=4, max_prompt_length=512, "
        "temperature=0.7, max_completion_length=512, generate_from_teacher=True, teacher_prompt_template='x'"
    )
    adapter = ", peft_config=LoraConfig(target_modules='all-linear')"
    trainer, notes = imported(tmp_path, SELF_DISTILLATION.format(args=given, adapter=adapter))
    assert trainer == {
        "name": "imported",
        "model": "a/b",
        "dataset": {"huggingface": "c/d"},
        "method": "sdft",
        "batch_size": 4,
        "learning_rate": 2e-5,
        "warmup_steps": 0,
        "beta": 0.25,
        "distillation_topk": 50,
        "distillation_add_tail": True,
        "teacher_model_kind": "ema",
        "teacher_update_rate": 0.01,
        "teacher_sync_steps": 4,
        "temperature": 0.7,
        "max_completion_length": 512,
        "lora": {"r": 8, "alpha": 8, "target_modules": "all-linear"},
    }
    assert notes.keys() == {
        "SDFTTrainer", "generate_from_teacher", "max_prompt_length", "teacher_prompt_template",
    }  # fmt: skip
    assert "let that be privileged_context; each row gets one answer in a step" in notes["SDFTTrainer"][1]


@pytest.mark.parametrize(
    ("mode", "tokens", "noted"),
    [("topk_logits", None, False), ("full_logits", 0, False), ("sampled_token", None, True)],
)
def test_the_mode_of_self_distillation_is_converted(
    tmp_path: Path, mode: str, tokens: int | None, noted: bool
) -> None:
    text = SELF_DISTILLATION.format(args=f"distillation_mode='{mode}'", adapter="")
    trainer, notes = imported(tmp_path, text)
    assert trainer.get("distillation_topk") == tokens
    assert ("distillation_mode" in notes) is noted


@pytest.mark.parametrize("args", ["", "learning_rate=5e-5"])
def test_self_distillation_has_the_defaults_of_trl(tmp_path: Path, args: str) -> None:
    trainer, notes = imported(tmp_path, SELF_DISTILLATION.format(args=args, adapter=""))
    assert [trainer[key] for key in ("learning_rate", "batch_size", "warmup_steps")] == [5e-5, 8, 0]
    says = "sdft trains an adapter here: a run needs this setting removed"
    assert notes["full_fine_tuning"] == (3, says)
    live = SELF_DISTILLATION.format(args="teacher_model_kind='live'", adapter="")
    assert "full_fine_tuning" not in imported(tmp_path, live)[1]
