"""Configurations as other tools' own examples write them, and what becomes of each key."""

from __future__ import annotations

import json
import sys
import tomllib
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.contract.errors import BadRequestError
from arkor_dev.project.import_config.convert import as_toml, convert

if TYPE_CHECKING:
    from pathlib import Path

AXOLOTL = """\
base_model: NousResearch/Llama-3.2-1B
load_in_8bit: true
load_in_4bit: false
chat_template: llama3
datasets:
  - path: owner/chats
    type: chat_template
    field_messages: talk
    message_property_mappings: {role: from, content: value}
  - path: data/faq.csv
    type: {field_instruction: question, field_output: answer}
  - path: s3://bucket/more.jsonl
    type: completion
dataset_prepared_path:
val_set_size: 0.05
output_dir: ./outputs/lora-out
adapter: lora
sequence_len: 4096
sample_packing: true
lora_r: 32
lora_alpha: 16
lora_dropout: 0.05
lora_target_linear: true
peft_use_dora: true
wandb_project: keeper
gradient_accumulation_steps: 4
micro_batch_size: 2
num_epochs: 4
optimizer: paged_adamw_8bit
lr_scheduler: cosine
learning_rate: 2e-4
train_on_inputs: false
bf16: auto
fp16:
tf32: false
warmup_steps: 10
evals_per_epoch: 4
weight_decay: 0.0
deepspeed:
special_tokens:
  pad_token: <|end_of_text|>
made_up: 3
"""

LLAMA_FACTORY = """\
### model
model_name_or_path: Qwen/Qwen3-4B-Instruct-2507
trust_remote_code: true
quantization_bit: 4
stage: sft
do_train: true
finetuning_type: lora
lora_rank: 16
lora_target: q_proj,v_proj
pissa_init: true
dataset: identity,hosted,unknown
template: qwen3_nothink
cutoff_len: 2048
max_samples: 1000
output_dir: saves/qwen3-4b/lora/sft
save_steps: 500
report_to: none
per_device_train_batch_size: 1
gradient_accumulation_steps: 8
learning_rate: 1.0e-4
num_train_epochs: 3.0
lr_scheduler_type: cosine_with_restarts
lr_scheduler_kwargs: {num_cycles: 3}
warmup_ratio: 0.1
bf16: true
resume_from_checkpoint: null
val_size: 200
eval_strategy: steps
eval_steps: 500
"""

UNSLOTH = """\
from unsloth import FastLanguageModel, is_bfloat16_supported
import os
os.remove("witness")
max_seq_length = 2048
model, tokenizer = FastLanguageModel.from_pretrained(
    model_name="unsloth/Llama-3.2-3B-Instruct-bnb-4bit", max_seq_length=max_seq_length, dtype=None)
model = FastLanguageModel.get_peft_model(
    model, r=16, target_modules=["q_proj", "v_proj"], lora_alpha=16, lora_dropout=0, bias="none",
    use_gradient_checkpointing="unsloth", random_state=3407, use_rslora=True, loftq_config=None)
dataset = load_dataset("owner/chats", split="train[:500]")
trainer = SFTTrainer(
    model=model, train_dataset=dataset, dataset_text_field="text", packing=True,
    args=TrainingArguments(
        per_device_train_batch_size=2, gradient_accumulation_steps=4, warmup_steps=5, max_steps=60,
        learning_rate=2e-4, fp16=not is_bfloat16_supported(), logging_steps=1, optim="adamw_8bit",
        weight_decay=0.01, lr_scheduler_type="linear", seed=3407, output_dir="outputs", report_to="none"))
trainer.train()
"""

BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n" for old, new in pairwise("abcdefgh")
)
"""Nine to the eighth values by aliases."""


def written(folder: Path, name: str, text: str) -> Path:
    """Return the path of a new file."""
    path = folder / name
    path.write_text(text)
    return path


def trainer_of(folder: Path, name: str, text: str) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """Return the trainer as TOML is read, and the notes by key."""
    conversion = convert(written(folder, name, text), folder)
    notes: dict[str, list[str]] = {}
    for note in conversion.notes:
        assert text.splitlines()[note.line - 1], note
        notes.setdefault(note.key, []).append(note.text)
    return tomllib.loads(as_toml(conversion, "imported"))["trainer"][0], notes


def test_an_axolotl_config_is_converted(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "faq.csv").touch()
    trainer, notes = trainer_of(tmp_path, "lora.yml", AXOLOTL)
    assert trainer == {
        "name": "imported",
        "model": "NousResearch/Llama-3.2-1B",
        "dataset": [
            {"huggingface": "owner/chats", "form": "sharegpt", "columns": {"conversations": "talk"}},
            {
                "path": "data/faq.csv",
                "form": "alpaca",
                "columns": {"instruction": "question", "output": "answer"},
            },
            {"path": "data/more.jsonl", "form": "text"},
        ],
        "epochs": 4,
        "batch_size": 2,
        "gradient_accumulation_steps": 4,
        "learning_rate": 2e-4,
        "scheduler": "cosine",
        "warmup_steps": 10,
        "max_length": 4096,
        "eval_split": 0.05,
        "optimizer": "adamw",
        "weight_decay": 0.0,
        "packing": True,
        "report_to": ["wandb"],
        "lora": {
            "r": 32,
            "alpha": 16,
            "dropout": 0.05,
            "target_modules": "all-linear",
            "use_dora": True,
        },
    }
    assert sorted(notes) == [
        "chat_template", "datasets", "evals_per_epoch", "load_in_8bit", "made_up", "optimizer",
        "wandb_project",
    ]  # fmt: skip


def test_yaml_is_read_without_a_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    assert trainer_of(tmp_path, "lora.yml", AXOLOTL)[0]["lora"]["r"] == 32


def test_axolotl_without_an_adapter_trains_all_weights(tmp_path: Path) -> None:
    trainer, _ = trainer_of(
        tmp_path, "full.yaml", "base_model: a/b\ndatasets: [{path: c/d}]\nmicro_batch_size: 1\n"
    )
    assert trainer["full_fine_tuning"] is True
    assert "lora" not in trainer


@pytest.mark.parametrize(
    ("text", "warmup"),
    [
        ("base_model: a/b\nadapter: lora\n", {"warmup_ratio": 0.03}),
        ("base_model: a/b\nadapter: lora\nwarmup_steps: 0\nwarmup_ratio: 0.2\n", {"warmup_steps": 0}),
        ("base_model: a/b\nadapter: lora\nlr_scheduler: constant\n", {}),
        ("stage: sft\nmodel_name_or_path: a/b\ndataset: c\n", {"warmup_steps": 0}),
        (
            "stage: sft\nmodel_name_or_path: a/b\ndataset: c\nwarmup_steps: 0\nwarmup_ratio: 0.2\n",
            {"warmup_ratio": 0.2},
        ),
    ],
)
def test_a_warm_up_that_is_left_out_is_the_one_of_the_tool(
    tmp_path: Path, text: str, warmup: dict[str, float]
) -> None:
    trainer, _ = trainer_of(tmp_path, "config.yaml", text)
    assert {key: value for key, value in trainer.items() if key.startswith("warmup")} == warmup


def test_llama_factory_reads_its_list_of_data_sets(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "identity.json").touch()
    tags = {"role_tag": "role", "content_tag": "content"}
    info = {
        "identity": {"file_name": "identity.json", "columns": {"prompt": "question", "response": "answer"}},
        "hosted": {
            "hf_hub_url": "owner/name",
            "split": "train_sft",
            "formatting": "sharegpt",
            "columns": {"messages": "talk"},
            "tags": tags,
        },
    }
    (data / "dataset_info.json").write_text(json.dumps(info))
    trainer, notes = trainer_of(tmp_path, "sft.yaml", LLAMA_FACTORY)
    assert trainer == {
        "name": "imported",
        "model": "Qwen/Qwen3-4B-Instruct-2507",
        "dataset": [
            {"path": "data/identity.json", "columns": {"instruction": "question", "output": "answer"}},
            {"huggingface": "owner/name", "columns": {"messages": "talk"}, "split": "train_sft"},
            "data/unknown.json",
        ],
        "epochs": 3.0,
        "batch_size": 1,
        "gradient_accumulation_steps": 8,
        "learning_rate": 1e-4,
        "scheduler": "cosine_with_restarts",
        "max_length": 2048,
        "eval_every": 500,
        "save_every": 500,
        "warmup_ratio": 0.1,
        "lr_scheduler_kwargs": {"num_cycles": 3},
        "bf16": True,
        "lora": {
            "r": 16,
            "alpha": 32,  # twice the rank, unless the file says otherwise
            "target_modules": ["q_proj", "v_proj"],
            "init_lora_weights": "pissa",
        },
    }
    # PiSSA cannot factorize 4-bit weights.
    assert set(notes) == {
        "trust_remote_code",
        "load_in_4bit",
        "template",
        "max_samples",
        "val_size",
        "dataset",
    }


@pytest.mark.parametrize("notebook", [False, True])
def test_an_unsloth_script_is_parsed_not_run(tmp_path: Path, notebook: bool) -> None:
    (tmp_path / "witness").touch()
    text, name = UNSLOTH, "train.py"
    if notebook:
        cells = [
            {"cell_type": "markdown", "source": ["# Title"]},
            {"cell_type": "code", "source": ["%%capture\n", "!pip install unsloth\n"]},
            {"cell_type": "code", "source": UNSLOTH.splitlines(keepends=True)},
        ]
        text, name = json.dumps({"cells": cells}, indent=1), "train.ipynb"
    path = tmp_path / name
    path.write_text(text)
    conversion = convert(path, tmp_path)
    trainer = tomllib.loads(as_toml(conversion, "imported"))["trainer"][0]
    assert (tmp_path / "witness").exists()
    assert trainer == {
        "name": "imported",
        "model": "unsloth/Llama-3.2-3B-Instruct",
        "dataset": {"huggingface": "owner/chats"},
        "steps": 60,
        "batch_size": 2,
        "gradient_accumulation_steps": 4,
        "learning_rate": 2e-4,
        "scheduler": "linear",
        "warmup_steps": 5,
        "max_length": 2048,
        "optimizer": "adamw",
        "weight_decay": 0.01,
        "packing": True,
        "log_every": 1,
        "load_in_4bit": True,
        "gradient_checkpointing": True,
        "seed": 3407,
        "lora": {
            "r": 16,
            "alpha": 16,
            "target_modules": ["q_proj", "v_proj"],
            "dropout": 0,
            "use_rslora": True,
        },
    }
    notes = {note.key: note.text for note in conversion.notes}
    assert set(notes) == {"model_name", "split", "fp16", "optim", "SFTTrainer"}
    assert "is_bfloat16_supported" in notes["fp16"]


def test_a_full_fine_tuning_script_with_local_files_is_converted(tmp_path: Path) -> None:
    text = """\
rows = load_dataset("json", data_files={"train": ["a.jsonl"], "test": "b.jsonl"}, split="train")
other = load_dataset("owner/unrelated")
SFTTrainer(model="owner/model", args=SFTConfig(max_length=64, epochs_of_mine=1), train_dataset=rows)
"""
    trainer, notes = trainer_of(tmp_path, "own.py", text)
    assert trainer == {
        "name": "imported",
        "model": "owner/model",
        "dataset": "data/a.jsonl",
        "batch_size": 8,  # TRL's defaults
        "learning_rate": 2e-5,
        "warmup_steps": 0,
        "max_length": 64,
        "full_fine_tuning": True,
    }
    assert set(notes) == {"data_files", "epochs_of_mine", "SFTTrainer"}


def test_transformers_arguments_in_json_are_converted(tmp_path: Path) -> None:
    arguments = {
        "model_name_or_path": "a/b",
        "dataset_name": "c/d",
        "per_device_train_batch_size": 8,
        "num_train_epochs": 2,
        "max_steps": -1,
        "learning_rate": 1e-5,
        "eval_strategy": "no",
        "optim": "adamw_torch",
        "neftune_noise_alpha": None,
        "fsdp": "",
        "use_peft": True,
        "lora_r": 4,
        "max_length": None,
    }
    trainer, notes = trainer_of(tmp_path, "args.json", json.dumps(arguments, indent=1))
    assert trainer["dataset"] == {"huggingface": "c/d"}
    assert (trainer["epochs"], trainer["eval_every"], trainer["optimizer"]) == (2, 0, "adamw_torch")
    assert "max_length" not in trainer  # rows are not cut, unlike by default
    layers = ["q_proj", "v_proj"]
    assert trainer["lora"] == {"r": 4, "alpha": 32, "dropout": 0.05, "target_modules": layers}  # as by `trl`
    assert set(notes) == {"assistant_only_loss", "lora_target_modules"}


def test_trl_arguments_in_yaml_are_converted(tmp_path: Path) -> None:
    text = """\
model_name_or_path: a/b
dataset_name: c/d
dataset_config: main
dataset_train_split: train_prefs
dataset_test_split: test_prefs
beta: 0.05
lora_r: 4
use_peft: false
"""
    trainer, notes = trainer_of(tmp_path, "dpo.yaml", text)
    assert trainer == {
        "name": "imported",
        "model": "a/b",
        "dataset": {"huggingface": "c/d", "subset": "main", "split": "train_prefs"},
        "eval_dataset": {"huggingface": "c/d", "subset": "main", "split": "test_prefs"},
        "method": "dpo",
        "beta": 0.05,
        "max_length": 1024,
        "batch_size": 8,
        "learning_rate": 1e-6,
        "warmup_steps": 0,
        "full_fine_tuning": True,
    }
    assert set(notes) == {"beta", "full_fine_tuning"}
    (tmp_path / "rm.yaml").write_text("model_name_or_path: a/b\ncenter_rewards_coefficient: 0.1\n")
    with pytest.raises(BadRequestError, match="reward"):
        convert(tmp_path / "rm.yaml", tmp_path)


def test_an_openai_fine_tuning_job_is_converted(tmp_path: Path) -> None:
    job = {
        "object": "fine_tuning.job",
        "model": "gpt-4o-mini-2024-07-18",
        "training_file": "file-abc",
        "validation_file": None,
        "seed": 7,
        "method": {
            "type": "supervised",
            "supervised": {
                "hyperparameters": {"n_epochs": 3, "batch_size": "auto", "learning_rate_multiplier": 1.8}
            },
        },
    }
    trainer, notes = trainer_of(tmp_path, "job.json", json.dumps(job, indent=1))
    assert trainer == {
        "name": "imported",
        "model": "smollm2-135m-instruct",
        "dataset": "data/file-abc.jsonl",
        "epochs": 3,
        "seed": 7,
    }
    assert set(notes) == {"model", "training_file", "method"}
    rows = tmp_path / "data"
    rows.mkdir()
    trainer, _ = trainer_of(tmp_path, "data/chats.jsonl", '{"messages": []}\n')
    assert trainer["dataset"] == "data/chats.jsonl"


AXOLOTL_DPO = """\
base_model: meta-llama/Meta-Llama-3-8B-Instruct
chat_template: llama3
rl: dpo
datasets:
  - path: owner/pairs
    type: chat_template.default
    field_messages: conversation
    field_chosen: chosen
    field_rejected: rejected
  - path: owner/orca
    type: chatml.intel
rl_beta: 0.2
rpo_alpha: 1.0
adapter: lora
learning_rate: 0.0002
"""

LLAMA_FACTORY_SIMPO = """\
model_name_or_path: meta-llama/Meta-Llama-3-8B-Instruct
stage: dpo
finetuning_type: lora
pref_beta: 2.0
pref_loss: simpo
simpo_gamma: 0.7
dataset: dpo_demo
template: llama3
"""

GRPO = """\
from trl import GRPOConfig, GRPOTrainer
from trl.rewards import get_soft_overlong_punishment
args = GRPOConfig(beta=0.0, num_generations=4, loss_type="dr_grpo", max_prompt_length=256, use_vllm=True,
    epsilon=0.2, epsilon_high=0.28, mask_truncated_completions=True, importance_sampling_level="sequence")
overlong = get_soft_overlong_punishment(max_completion_len=256, soft_punish_cache=32)
rows = load_dataset("owner/maths", split="train")
lora = LoraConfig(r=8)
rewards = [correct, overlong]
trainer = GRPOTrainer(model="a/b", reward_funcs=rewards, args=args, train_dataset=rows, peft_config=lora)
"""


def test_axolotl_preferences_are_converted(tmp_path: Path) -> None:
    trainer, notes = trainer_of(tmp_path, "dpo.yml", AXOLOTL_DPO)
    assert trainer["dataset"] == [
        {"huggingface": "owner/pairs", "columns": {"prompt": "conversation"}},
        {"huggingface": "owner/orca", "columns": {"prompt": "question"}},
    ]
    assert (trainer["method"], trainer["beta"], trainer["rpo_alpha"]) == ("dpo", 0.2, 1.0)
    assert set(notes) == {"chat_template"}
    text = "base_model: a/b\nadapter: lora\nrl: ipo\ndatasets: [{path: c/d, type: user_defined.x}]\n"
    trainer, notes = trainer_of(tmp_path, "ipo.yml", text)
    assert (trainer["method"], trainer["loss_type"]) == ("dpo", "ipo")
    assert "recognised by their keys" in notes["datasets"][0]


def test_llama_factory_preferences_are_converted(tmp_path: Path) -> None:
    columns = {"messages": "conversations", "chosen": "chosen", "rejected": "rejected"}
    known = {"file_name": "dpo.json", "ranking": True, "formatting": "sharegpt", "columns": columns}
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "dpo.json").touch()
    (tmp_path / "data" / "dataset_info.json").write_text(json.dumps({"dpo_demo": known}))
    trainer, notes = trainer_of(tmp_path, "simpo.yaml", LLAMA_FACTORY_SIMPO)
    assert trainer["dataset"] == {"path": "data/dpo.json", "columns": {"prompt": "conversations"}}
    names = ("method", "loss_type", "beta", "simpo_gamma", "cpo_alpha")
    assert [trainer[name] for name in names] == ["cpo", "simpo", 2.0, 0.7, 0]
    assert set(notes) == {"template"}
    assert (
        trainer_of(tmp_path, "orpo.yaml", LLAMA_FACTORY_SIMPO.replace("simpo\n", "orpo\n"))[0]["method"]
        == "orpo"
    )


GKD = """\
from trl.experimental.gkd import GKDConfig, GKDTrainer
args = GKDConfig(lmbda=0.3, beta=1.0, temperature=0.7, max_new_tokens=64, seq_kd=True, max_length=512)
teacher = AutoModelForCausalLM.from_pretrained("a/large", dtype="auto").eval()
lora = LoraConfig(r=8)
trainer = GKDTrainer("a/small", teacher, args, train_dataset=load_dataset("owner/chats"), peft_config=lora)
"""


def test_trl_distillation_is_converted(tmp_path: Path) -> None:
    trainer, notes = trainer_of(tmp_path, "gkd.py", GKD)
    names = ("method", "model", "teacher", "lmbda", "beta", "temperature", "max_completion_length", "seq_kd")
    assert [trainer[name] for name in names] == ["distill", "a/small", "a/large", 0.3, 1.0, 0.7, 64, True]
    assert (trainer["learning_rate"], trainer["max_length"]) == (2e-5, 512)
    assert set(notes) == {"target_modules"}
    named = GKD.replace('from_pretrained("a/large", dtype="auto").eval()', "load()")
    (tmp_path / "gkd.py").write_text(named)
    with pytest.raises(BadRequestError, match=r"Line 5: the teacher cannot be followed to a model's name"):
        convert(tmp_path / "gkd.py", tmp_path)
    text = "model_name_or_path: a/small\nteacher_model_name_or_path: a/large\nlmbda: 0.2\nuse_peft: true\n"
    trainer, notes = trainer_of(tmp_path, "gkd.yaml", text)
    assert [trainer[name] for name in ("method", "teacher", "lmbda")] == ["distill", "a/large", 0.2]
    assert "taken for distill" in notes["teacher_model_name_or_path"][0]


AXOLOTL_KD = """\
base_model: a/small
adapter: lora
plugins: [axolotl.integrations.kd.KDPlugin]
kd_trainer: true
kd_ce_alpha: 0
kd_alpha: 1.0
kd_beta: 0.5
kd_temperature: 1.0
kd_online_server: vllm
kd_online_server_base_url: http://localhost:8888
kd_online_server_model: a/large
kd_online_topk: 64
datasets:
  - path: owner/chats
    type: axolotl.integrations.kd.chat_template
"""


def test_axolotl_distillation_is_converted(tmp_path: Path) -> None:
    trainer, notes = trainer_of(tmp_path, "kd.yml", AXOLOTL_KD)
    names = ("method", "teacher", "lmbda", "beta", "distillation_topk")
    assert [trainer[name] for name in names] == ["distill", "a/large", 0.0, 0.5, 64]
    assert trainer["dataset"] == {"huggingface": "owner/chats"}
    assert set(notes) == {"kd_alpha", "kd_online_server_base_url", "kd_online_topk"}


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("kd_online_server_model: a/large\n", "", "Line 4: kd_trainer: learns from a teacher"),
        ("kd_ce_alpha: 0\n", "kd_ce_alpha: 0.1\n", "Line 5: kd_ce_alpha: the cross entropy"),
        ("kd_temperature: 1.0", "kd_temperature: 2", "Line 8: kd_temperature: the divergence has no"),
        ("kd_alpha: 1.0", "kd_normalize_topk: false", "Line 6: kd_normalize_topk: the compared"),
        ("kd_alpha: 1.0", "kd_temperature_min: 0.5", "Line 6: kd_temperature_min: is not supported"),
    ],
)  # fmt: skip
def test_axolotl_distillation_that_would_be_another_is_refused(
    tmp_path: Path, old: str, new: str, says: str
) -> None:
    (tmp_path / "kd.yml").write_text(AXOLOTL_KD.replace(old, new))
    with pytest.raises(BadRequestError, match=says):
        convert(tmp_path / "kd.yml", tmp_path)


def test_trl_grpo_rewards_are_converted(tmp_path: Path) -> None:
    trainer, notes = trainer_of(tmp_path, "grpo.py", GRPO)
    names = ("method", "num_generations", "loss_type", "beta", "epsilon", "epsilon_high", "batch_size")
    assert [trainer[name] for name in names] == ["grpo", 4, "dr_grpo", 0.0, 0.2, 0.28, 2]
    assert trainer["mask_truncated_completions"] is True
    assert (trainer["importance_sampling_level"], trainer["soft_punish_cache"]) == ("sequence", 32)
    assert set(notes) == {
        "reward_funcs", "max_prompt_length", "per_device_train_batch_size", "soft_punish_cache",
        "target_modules",
    }  # fmt: skip
    assert "[[evaluation]]" in notes["reward_funcs"][0]


def test_openai_preferences_are_converted(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    row = {"input": {"messages": []}, "preferred_output": [], "non_preferred_output": []}
    trainer, _ = trainer_of(tmp_path, "data/pairs.jsonl", json.dumps(row) + "\n")
    assert (trainer["method"], trainer["dataset"]) == ("dpo", "data/pairs.jsonl")


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.yml", "base_model: a/b\nrl: dpo_positive\n", "dpo_positive"),
        ("a.py", "PPOTrainer(args=PPOConfig(kl_coef=0.1))", "ppo"),
        ("a.yml", "model_name_or_path: a/b\nstage: rm\n", "rm"),
        ("a.yml", "colour: red\n", "no known key"),
        ("a.yml", "- 1\n", "no keys"),
        ("a.yml", "a: [\n", "Line 2"),
        ("a.yml", "base_model: a/b\nrl: gdpo\n", "gdpo"),
        ("a.yml", "base_model: a/b\nreward_model: true\n",
        "Line 2: reward_model: reward models are not trained"),
        ("a.yml", "base_model: a/b\nprocessor_type: AutoProcessor\n", "only text is trained on"),
        ("a.yml", "base_model: a/b\nlora_target_modules: 'layers.[\\d]+.(q|k)_proj'\n",
        "a regular expression"),
        ("a.yml", "model_name_or_path: a/b\ntemplate: x\ninfer_backend: vllm\n", "answers with a model"),
        ("a.yml", "model_name_or_path: a/b\ntemplate: x\nexport_dir: out\n", "merges or exports a model"),
        ("a.yml", "model_name_or_path: a/b\nstage: sft\ndo_predict: true\n", "writes predictions"),
        ("a.yml", "model_name_or_path: a/b\nstage: sft\ndo_train: false\n", "trains no model"),
        ("a.yml", "per_device_train_batch_size: 1\n", "names no model"),
        ("a.yml", "a: !!python/name:os.system\nbase_model: x/y\n", "a tag is not supported"),
        ("a.json", "{", "Not valid JSON"),
        ("a.json", "[" * 100_000, "Not valid JSON"),
        ("a.py", "def (", "Line 1"),
        ("a.ipynb", "{}", "Not a valid notebook"),
        ("a.yml", BOMB, "an anchor is not supported"),
        ("a.yml", "a: " + "[" * 60 + "]" * 60, "nests too deeply"),
    ],
)  # fmt: skip
def test_files_other_than_configurations_are_refused(tmp_path: Path, name: str, text: str, says: str) -> None:
    path = written(tmp_path, name, text)
    with pytest.raises(BadRequestError, match=says):
        convert(path, tmp_path)


def test_invalid_values_are_dropped_with_the_allowed_ones(tmp_path: Path) -> None:
    trainer, notes = trainer_of(
        tmp_path, "a.yml", "base_model: a/b\nadapter: lora\nlora_r: 0\nmax_steps: 9\nnum_epochs: 2\n"
    )
    assert "lora" not in trainer
    assert "from 1 to 1,024" in notes["lora_r"][0]
    assert trainer["steps"] == 9  # Axolotl's, too, takes the steps
    assert "epochs" not in trainer
