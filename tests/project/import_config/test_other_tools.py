"""torchtune, mlx-lm, H2O LLM Studio, AutoTrain, prime-rl and the second LLaMA-Factory, one file of each."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.contract.errors import BadRequestError
from arkor_dev.project.import_config.convert import as_toml, convert

if TYPE_CHECKING:
    from pathlib import Path

TORCHTUNE = """\
#   tune download owner/Small-1B --output-dir /tmp/Small-1B
output_dir: /tmp/out
model:
  _component_: torchtune.models.llama3_2.qlora_llama3_2_1b
  lora_attn_modules: ['q_proj', 'output_proj']
  apply_lora_to_mlp: True
  lora_rank: 64
  lora_alpha: 128
tokenizer:
  _component_: torchtune.models.llama3.llama3_tokenizer
  path: ${output_dir}/tokenizer.model
  max_seq_len: 1024
checkpointer:
  _component_: torchtune.training.FullModelHFCheckpointer
  checkpoint_dir: /tmp/Small-1B
dataset:
  _component_: torchtune.datasets.alpaca_cleaned_dataset
  packed: True
seed: null
batch_size: 4
optimizer:
  _component_: torch.optim.AdamW
  fused: True
  lr: 3e-4
  novel: 1
lr_scheduler:
  _component_: torchtune.training.lr_schedulers.get_cosine_schedule_with_warmup
  num_warmup_steps: 100
epochs: 1
max_steps_per_epoch: 50
gradient_accumulation_steps: 8
clip_grad_norm: null
dtype: bf16
"""

MLX = """\
model: owner/small
train: true
data: mine
fine_tune_type: lora
num_layers: 16
batch_size: 2
iters: 600
steps_per_eval: 200
adapter_path: adapters
mask_prompt: true
grad_checkpoint: true
lora_parameters:
  keys: [self_attn.q_proj, self_attn.v_proj]
  rank: 8
  scale: 20.0
  dropout: 0.1
"""

H2O = """\
architecture: {backbone_dtype: int4, gradient_checkpointing: true}
dataset:
    answer_column: output
    prompt_column: [question]
    system_column: None
    mask_prompt_labels: true
    data_sample: 0.1
    train_dataframe: rows/train.csv
    validation_dataframe: None
    validation_size: 0.01
environment: {seed: -1}
experiment_name: mine
llm_backbone: owner/small
problem_type: text_causal_language_modeling
tokenizer: {max_length: 512}
training:
    batch_size: 2
    epochs: 1
    grad_accumulation: 4
    learning_rate: 0.0001
    lora: true
    lora_r: 4
    lora_alpha: 16
    lora_target_modules: ''
    loss_function: TokenAveragedCrossEntropy
    optimizer: AdamW
    schedule: Cosine
    novel: 7
"""

AUTOTRAIN = """\
task: llm-dpo
base_model: owner/small
project_name: mine
log: tensorboard
data:
  path: owner/pairs
  train_split: train_prefs
  valid_split: null
  column_mapping: {text_column: good, rejected_text_column: rejected, prompt_text_column: question}
params:
  block_size: 1024
  epochs: 3
  batch_size: 2
  lr: 3e-5
  peft: true
  quantization: int4
  target_modules: all-linear
  optimizer: paged_adamw_8bit
  scheduler: linear
  gradient_accumulation: 4
  mixed_precision: bf16
  novel: 7
hub: {username: me, push_to_hub: true}
"""

PRIME = """\
max_steps = 100

[model]
name = "owner/small"

[model.lora]
rank = 16
alpha = 32

[data]
seq_len = 4096
batch_size = 32

[[data.source]]
dataset = "owner/rows"

[optim]
lr = 2e-5
novel = 7
"""

VERSION_2 = """\
model: owner/small
model_class: llm
template: qwen3_nothink
peft_config:
  name: lora
  r: 16
  lora_alpha: 32
  target_modules: all
  novel: 7
quant_config: {name: bnb, quantization_bit: 4}
dist_config: {name: fsdp2}
train_dataset: data/demo.yaml
micro_batch_size: 2
global_batch_size: 8
cutoff_len: 2048
learning_rate: 1.0e-4
max_steps: 10
"""

LORA = {"r": 16, "alpha": 32}
EXPECTED: dict[str, tuple[str, str, dict[str, Any], set[str]]] = {
    "torchtune": (
        TORCHTUNE,
        "recipe.yaml",
        {
            "model": "owner/Small-1B",
            "dataset": {"huggingface": "yahma/alpaca-cleaned", "form": "alpaca"},
            "epochs": 1,
            "batch_size": 4,
            "gradient_accumulation_steps": 8,
            "learning_rate": 3e-4,
            "scheduler": "cosine",
            "warmup_steps": 100,
            "max_length": 1024,
            "max_grad_norm": 0.0,
            "optimizer": "adamw",
            "packing": True,
            "train_on_responses_only": False,
            "load_in_4bit": True,
            "bf16": True,
            "lora": {
                "r": 64,
                "alpha": 128,
                "target_modules": ["q_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
            },
        },
        {"optimizer.novel", "max_steps_per_epoch"},
    ),
    "mlx-lm": (
        MLX,
        "lora.yaml",
        {
            "model": "owner/small",
            "dataset": "data/train.jsonl",
            "eval_dataset": "data/valid.jsonl",
            "steps": 600,
            "batch_size": 2,
            "learning_rate": 1e-5,
            "scheduler": "constant",
            "max_length": 2048,
            "eval_every": 200,
            "gradient_checkpointing": True,
            "seed": 0,
            "lora": {"r": 8, "alpha": 160.0, "dropout": 0.1, "target_modules": ["q_proj", "v_proj"]},
        },
        {"data", "num_layers"},
    ),
    "H2O LLM Studio": (
        H2O,
        "cfg.yaml",
        {
            "model": "owner/small",
            "dataset": {"path": "data/train.csv", "form": "alpaca", "columns": {"instruction": "question"}},
            "epochs": 1,
            "batch_size": 2,
            "gradient_accumulation_steps": 4,
            "learning_rate": 1e-4,
            "scheduler": "cosine",
            "max_length": 512,
            "eval_split": 0.01,
            "optimizer": "adamw",
            "load_in_4bit": True,
            "gradient_checkpointing": True,
            "lora": {"r": 4, "alpha": 16},
        },
        {"dataset.train_dataframe", "dataset.data_sample", "training.novel"},
    ),
    "AutoTrain": (
        AUTOTRAIN,
        "config.yml",
        {
            "model": "owner/small",
            "dataset": {
                "huggingface": "owner/pairs",
                "columns": {"chosen": "good", "prompt": "question"},
                "split": "train_prefs",
            },
            "method": "dpo",
            "epochs": 3,
            "batch_size": 2,
            "gradient_accumulation_steps": 4,
            "learning_rate": 3e-5,
            "scheduler": "linear",
            "warmup_ratio": 0.1,
            "max_length": 1024,
            "optimizer": "adamw",
            "load_in_4bit": True,
            "bf16": True,
            "report_to": ["tensorboard"],
            "lora": {**LORA, "dropout": 0.05, "target_modules": "all-linear"},
        },
        {"params.optimizer", "params.novel"},
    ),
    "prime-rl": (
        PRIME,
        "sft.toml",
        {
            "model": "owner/small",
            "dataset": {"huggingface": "owner/rows"},
            "steps": 100,
            "batch_size": 32,
            "learning_rate": 2e-5,
            "scheduler": "constant",
            "max_length": 4096,
            "weight_decay": 0.01,
            "packing": True,
            "lora": LORA,
        },
        {"optim.novel"},
    ),
    "LLaMA-Factory": (
        VERSION_2,
        "train.yaml",
        {
            "model": "owner/small",
            "dataset": "data/train.jsonl",
            "steps": 10,
            "batch_size": 2,
            "gradient_accumulation_steps": 4,
            "learning_rate": 1e-4,
            "max_length": 2048,
            "load_in_4bit": True,
            "lora": {**LORA, "target_modules": "all-linear"},
        },
        {"template", "peft_config.novel", "train_dataset", "global_batch_size"},
    ),
}


@pytest.mark.parametrize("tool", EXPECTED)
def test_each_tools_config_is_converted_and_dropped_keys_named(tmp_path: Path, tool: str) -> None:
    text, name, expected, noted = EXPECTED[tool]
    (tmp_path / name).write_text(text)
    conversion = convert(tmp_path / name, tmp_path)
    assert conversion.tool == tool
    trainer = tomllib.loads(as_toml(conversion, "imported"))["trainer"][0]
    assert trainer == {"name": "imported", **expected}
    assert {note.key for note in conversion.notes} == noted
    for note in conversion.notes:
        assert note.key.rpartition(".")[2] in text.splitlines()[note.line - 1]


def test_a_constant_schedule_with_a_warm_up_keeps_it(tmp_path: Path) -> None:
    (tmp_path / "sft.toml").write_text(PRIME + '\n[scheduler]\ntype = "constant"\nwarmup_steps = 7\n')
    trainer = tomllib.loads(as_toml(convert(tmp_path / "sft.toml", tmp_path), "imported"))["trainer"][0]
    assert (trainer["scheduler"], trainer["warmup_steps"]) == ("constant_with_warmup", 7)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (TORCHTUNE.replace("llama3_2.qlora", "llama3_2_vision.qlora"), "only text is trained on"),
        (TORCHTUNE + "quantizer: {_component_: torchtune.x.QATQuantizer}\n", "quantization-aware"),
        (TORCHTUNE.replace("epochs: 1\n", ""), "does not train"),
        (TORCHTUNE + "teacher_model: {_component_: torchtune.models.x}\n", "distillation"),
        (MLX.replace("train: true", "train: false"), "does not train"),
        (H2O.replace("causal_language", "causal_classification"), "text_causal_classification_modeling"),
        (AUTOTRAIN.replace("llm-dpo", "text-classification"), "text-classification"),
        (VERSION_2.replace("train_dataset: data/demo.yaml\n", "export_dir: out\n"), "merges or runs a model"),
        (VERSION_2.replace("llm", "vlm"), "only text is trained on"),
    ],
)  # fmt: skip
def test_configs_other_than_text_training_are_refused(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(BadRequestError, match=says):
        convert(tmp_path / "a.yaml", tmp_path)


def test_prime_reinforcement_learning_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rl.toml").write_text(PRIME + "[orchestrator]\nbatch_size = 128\n")
    with pytest.raises(BadRequestError, match=r"reinforcement learning \(orchestrator\)"):
        convert(tmp_path / "rl.toml", tmp_path)
