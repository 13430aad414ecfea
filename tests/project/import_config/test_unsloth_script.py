"""Scripts that import Unsloth: its classes have other defaults than TRL's, and so does its adapter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from arkor_dev.project.import_config.convert import convert

from .test_trainer_script import imported

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = """\
from unsloth import FastLanguageModel
model, tokenizer = FastLanguageModel.from_pretrained("owner/base"{load})
model = FastLanguageModel.get_peft_model(model{adapter})
rows = load_dataset("owner/rows", split="train")
{before}
trainer = {trainer}(model=model, args={config}({args}), train_dataset=rows)
trainer = train_on_responses_only(trainer)
"""
LORA = {"r": 16, "alpha": 16}
SEVEN = "Unsloth adapts q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj and down_proj only. "
BLOCKS = "Unsloth adapts the linear layers of attention and MLP blocks only. "
ALL_LINEAR = "Here all linear layers are adapted: list those that you want"
IN_FULL = "Unsloth trains embed_tokens in full, without LoRA: modules_to_save"
START = {"name": "imported", "model": "owner/base", "dataset": {"huggingface": "owner/rows"}}


def script(
    trainer: str = "SFTTrainer",
    args: str = "",
    *,
    config: str = "",
    load: str = "",
    adapter: str = "",
    before: str = "",
) -> str:
    """Return a script that trains the base model."""
    return SCRIPT.format(
        trainer=trainer,
        config=config or trainer.replace("Trainer", "Config"),
        args=args,
        load=load,
        adapter=adapter,
        before=before,
    )


def test_what_unsloth_leaves_out_has_its_defaults(tmp_path: Path) -> None:
    trainer, notes = imported(tmp_path, script())
    assert trainer == {
        **START,
        "batch_size": 4,
        "gradient_accumulation_steps": 2,
        "learning_rate": 5e-5,
        "max_length": 2048,
        "warmup_ratio": 0.1,
        "weight_decay": 0.001,
        "load_in_4bit": True,
        "seed": 3407,
        "lora": LORA,
    }
    assert notes == {"target_modules": (3, SEVEN + ALL_LINEAR)}


def test_given_values_replace_unsloths_defaults(tmp_path: Path) -> None:
    text = script(
        args="learning_rate=1e-4, warmup_steps=3, weight_decay=0.0, seed=1, gradient_accumulation_steps=1",
        load=", max_seq_length=512, load_in_4bit=False",
    )
    trainer, notes = imported(tmp_path, text)
    assert trainer == {
        **START,
        "batch_size": 4,
        "gradient_accumulation_steps": 1,
        "learning_rate": 1e-4,
        "warmup_steps": 3,
        "weight_decay": 0.0,
        "max_length": 512,
        "seed": 1,
        "lora": LORA,
    }
    assert notes == {"target_modules": (3, SEVEN + ALL_LINEAR)}


@pytest.mark.parametrize("load", ["load_in_16bit=True", "load_in_8bit=True", "load_in_fp8=True"])
def test_unsloth_loads_in_4bit_unless_another_precision_is_given(tmp_path: Path, load: str) -> None:
    assert "load_in_4bit" not in imported(tmp_path, script(load=f", {load}"))[0]


@pytest.mark.parametrize("ending", ["-bnb-4bit", "-unsloth-bnb-4bit", "-Unsloth-BNB-4bit"])
def test_a_4bit_copy_is_replaced_by_its_original(tmp_path: Path, ending: str) -> None:
    trainer, _ = imported(tmp_path, script().replace("owner/base", f"unsloth/Qwen3-14B-Base{ending}"))
    assert trainer["model"] == "unsloth/Qwen3-14B-Base"
    assert trainer["load_in_4bit"] is True
    notes = convert(tmp_path / "train.py", tmp_path).notes
    assert [(note.line, note.text) for note in notes if note.key == "model_name"] == [
        (2, "the 16-bit weights are loaded in 4-bit: unsloth/Qwen3-14B-Base")
    ]


def test_a_4bit_copy_loaded_in_16bit_is_its_original(tmp_path: Path) -> None:
    text = script(load=", load_in_4bit=False").replace("owner/base", "owner/base-bnb-4bit")
    trainer, notes = imported(tmp_path, text)
    assert trainer["model"] == "owner/base"
    assert "load_in_4bit" not in trainer
    assert notes["load_in_4bit"] == (2, "is False, so Unsloth loads the 16-bit weights: owner/base")
    assert "model_name" not in notes


def test_transformers_own_arguments_keep_their_defaults(tmp_path: Path) -> None:
    trainer, _ = imported(tmp_path, script(config="TrainingArguments"))
    names = ("learning_rate", "batch_size", "warmup_steps")
    assert [trainer[name] for name in names] == [5e-5, 8, 0]
    assert not {"seed", "weight_decay", "gradient_accumulation_steps"} & trainer.keys()


@pytest.mark.parametrize(
    ("args", "length", "says"),
    [
        ("max_length=512", 4096, {"max_length": "has no effect: Unsloth cuts rows at max_seq_length"}),
        ("max_length=longest()", 4096, {"max_length": "has no effect: Unsloth cuts rows at max_seq_length"}),
        ("max_length=4096", 4096, {}),
        ("max_seq_length=512", 512, {}),
        (
            "max_seq_length=512, max_length=4096",
            512,
            {"max_length": "has no effect: Unsloth cuts rows at max_seq_length"},
        ),
        ("max_seq_length=8192", 4096, {"max_seq_length": "Unsloth reduces it to the model's: 4096"}),
    ],
)
def test_rows_are_cut_by_the_models_length(
    tmp_path: Path, args: str, length: int, says: dict[str, str]
) -> None:
    text = script(args=args, load=", max_seq_length=4096", adapter=", target_modules=['q_proj']")
    for given in (text, text.replace(f"({args})", "()").replace("rows)", f"rows, {args})")):
        trainer, notes = imported(tmp_path, given)
        assert trainer["max_length"] == length
        assert notes == {key: (6, words) for key, words in says.items()}


def test_a_model_that_unsloth_does_not_load_leaves_the_trainers_length(tmp_path: Path) -> None:
    text = script(args="max_length=512").replace("FastLanguageModel.from", "AutoModelForCausalLM.from")
    trainer, notes = imported(tmp_path, text)
    assert trainer["max_length"] == 512
    assert "max_length" not in notes


def test_pairs_are_cut_by_the_trainers_length(tmp_path: Path) -> None:
    trainer, _ = imported(tmp_path, script("ORPOTrainer", load=", max_seq_length=4096"))
    assert (trainer["learning_rate"], trainer["max_length"]) == (5e-5, 1024)


def test_full_fine_tuning_has_no_adapter(tmp_path: Path) -> None:
    trainer, notes = imported(tmp_path, script(load=", full_finetuning=True", adapter=", r=32"))
    assert trainer["full_fine_tuning"] is True
    assert not {"lora", "load_in_4bit"} & trainer.keys()
    assert notes == {"get_peft_model": (3, "has no effect, since full_finetuning trains all weights")}


@pytest.mark.parametrize("saved", ['["norm"]', '"norm"'])
def test_embeddings_among_the_adapted_layers_are_trained_in_full(tmp_path: Path, saved: str) -> None:
    layers = f', target_modules=["q_proj", "embed_tokens", "lm_head"], modules_to_save={saved}'
    text = script("UnslothTrainer", "embedding_learning_rate=1e-5", config="UnslothTrainingArguments")
    trainer, notes = imported(tmp_path, text.replace("(model)", f"(model{layers})"))
    assert trainer["lora"] == {
        **LORA,
        "target_modules": ["q_proj", "lm_head"],
        "modules_to_save": ["norm", "embed_tokens"],
    }
    assert notes["target_modules"] == (3, IN_FULL)
    assert notes["embedding_learning_rate"] == (6, "all weights are trained at learning_rate")


RESPONSES = "train_on_responses_only(trainer"


def test_the_last_answer_only_is_learned(tmp_path: Path) -> None:
    text = script(adapter=", target_modules=['q_proj']")
    trainer, notes = imported(tmp_path, text.replace(RESPONSES, f"{RESPONSES}, last_response_only=True"))
    assert trainer["completion_only_loss"] is True
    assert not notes
    trainer, notes = imported(tmp_path, text.replace(RESPONSES, f"{RESPONSES}, last_response_only=last()"))
    assert "completion_only_loss" not in trainer
    assert notes == {"last_response_only": (7, "is computed by the script: last()")}
    trainer, notes = imported(tmp_path, text.replace(RESPONSES, f"{RESPONSES}, last_response_only=False"))
    assert "completion_only_loss" not in trainer
    assert not notes


def test_options_of_the_answers_in_a_mapping_are_read(tmp_path: Path) -> None:
    given = "options = dict(last_response_only=True, response_part='assistant to=user')\n"
    text = script(before=given, adapter=", target_modules=['q_proj']")
    trainer, notes = imported(tmp_path, text.replace(RESPONSES, f"{RESPONSES}, **options"))
    assert trainer["completion_only_loss"] is True
    says = 'only what follows "assistant to=user" is learned there, and whole answers here'
    assert notes == {"response_part": (5, says)}
    trainer, notes = imported(tmp_path, text.replace(RESPONSES, f"{RESPONSES}, **chosen()"))
    assert notes == {"**chosen()": (8, "is computed by the script: which answers are learned")}


@pytest.mark.parametrize(
    ("mark", "noted"),
    [
        ("<|im_start|>assistant\\n", False),
        ("<|im_start|>assistant<|im_sep|>", False),
        ("<|start_header_id|>assistant<|end_header_id|>\\n\\n", False),
        ("<start_of_turn>model\\n", False),
        ("<|turn>model\\n", False),
        ("<|start_of_role|>assistant<|end_of_role|>", False),
        ("<|start|>assistant<|message|>", False),
        ("<\uff5cAssistant\uff5c>", False),
        ("Assistant: ", False),
        ("### Response:\\n", False),
        ("[/INST]", False),
        ("<|start|>assistant to=user<|message|>", True),
        ("<|start|>assistant<|channel|>final<|message|>", True),
        ("<|im_start|>assistant\\n<think>", True),
    ],
)
def test_a_mark_beyond_the_role_is_named(tmp_path: Path, mark: str, noted: bool) -> None:
    text = script(adapter=", target_modules=['q_proj']")
    text = text.replace(RESPONSES, f"{RESPONSES}, instruction_part='user', response_part='{mark}'")
    _, notes = imported(tmp_path, text)
    says = f'only what follows "{mark}" is learned there, and whole answers here'
    assert notes == ({"response_part": (7, says)} if noted else {})


@pytest.mark.parametrize("given", ["", "finetune_mlp_modules=True, ", "target_modules='all-linear', "])
def test_layers_that_fast_model_leaves_out_are_named(tmp_path: Path, given: str) -> None:
    text = script(adapter=f", {given}finetune_vision_layers=False").replace("FastLanguageModel", "FastModel")
    trainer, notes = imported(tmp_path, text)
    assert trainer["lora"].get("target_modules", "all-linear") == "all-linear"
    assert notes == {"target_modules": (3, BLOCKS + ALL_LINEAR)}
    assert not {"finetune_mlp_modules", "target_modules"} & set(
        convert(tmp_path / "train.py", tmp_path).unneeded
    )


def test_a_part_of_the_layers_is_named(tmp_path: Path) -> None:
    text = script(adapter=", finetune_language_layers=True, finetune_mlp_modules=False")
    _, notes = imported(tmp_path, text.replace("FastLanguageModel", "FastModel"))
    says = "Here all linear layers are adapted: choose them by target_modules"
    assert notes == {"finetune_mlp_modules": (3, says)}


def test_all_linear_layers_of_unsloth_are_those_of_blocks(tmp_path: Path) -> None:
    trainer, notes = imported(tmp_path, script(adapter=", target_modules='all-linear'"))
    assert trainer["lora"]["target_modules"] == "all-linear"
    assert notes == {"target_modules": (3, BLOCKS + ALL_LINEAR)}


def test_given_layers_are_those_of_unsloth(tmp_path: Path) -> None:
    text = script(adapter=", target_modules=['q_proj'], finetune_mlp_modules=True")
    trainer, notes = imported(tmp_path, text.replace("FastLanguageModel", "FastModel"))
    assert trainer["lora"]["target_modules"] == ["q_proj"]
    assert not notes


@pytest.mark.parametrize(
    "before",
    [
        "tokenizer.chat_template = '{{ messages }}'",
        "tokenizer = get_chat_template(tokenizer, chat_template='chatml')",
        "model, tokenizer = setup_chat_format(model, tokenizer)",
        "model, tokenizer, added = clone_chat_template(model, tokenizer, 'owner/other')",
    ],
)
def test_another_chat_template_is_named(tmp_path: Path, before: str) -> None:
    trainer, notes = imported(tmp_path, script(before=before))
    assert trainer["model"] == "owner/base"
    key = "chat_template" if ".chat_template" in before else before.partition(" = ")[2].partition("(")[0]
    del notes["target_modules"]
    assert notes == {key: (5, "the model's own chat template is used")}


@pytest.mark.parametrize(
    "before",
    [
        "tokenizer.eos_token = '<|eot|>'",
        "tokenizer.tokenizer.eos_token = '<|eot|>'",
        "tokenizer.eos_token_id = 7; model.generation_config.eos_token_id = [7]",
        "model.generation_config.eos_token_id = sorted({7, tokenizer.eos_token_id})",
    ],
)
def test_another_end_token_is_named_once(tmp_path: Path, before: str) -> None:
    _, notes = imported(tmp_path, script(before=before, adapter=", target_modules=['q_proj']"))
    key = before.partition(" = ")[0].rpartition(".")[2]
    assert notes == {key: (5, "answers end as the model's own tokenizer and chat template say")}


def test_an_end_token_for_inference_is_none_of_training(tmp_path: Path) -> None:
    text = script(adapter=", target_modules=['q_proj']") + "tokenizer.eos_token = '<|eot|>'\n"
    assert not imported(tmp_path, text)[1]


def test_an_end_token_among_the_arguments_is_named(tmp_path: Path) -> None:
    _, notes = imported(
        tmp_path, script(args="eos_token='<|im_end|>'", adapter=", target_modules=['q_proj']")
    )
    assert notes["eos_token"][0] == 6


@pytest.mark.parametrize(
    ("batch", "accumulation", "generations", "prompts"),
    [
        (1, 1, 6, (1, 1)),  # Unsloth raises the batch to the generations of one prompt
        (1, 4, 6, (1, 4)),
        (1, 4, 4, (1, 1)),
        (4, 1, 4, (1, 1)),
        (1, 64, 8, (1, 8)),
        (16, 2, 8, (2, 2)),
        (12, 2, 8, (1, 3)),
    ],
)
def test_grpo_counts_answers_and_we_count_prompts(
    tmp_path: Path, batch: int, accumulation: int, generations: int, prompts: tuple[int, int]
) -> None:
    text = script(
        "GRPOTrainer",
        f"per_device_train_batch_size={batch}, gradient_accumulation_steps={accumulation}, "
        f"num_generations={generations}",
    )
    trainer, notes = imported(tmp_path, text)
    assert (trainer["batch_size"], trainer["gradient_accumulation_steps"]) == prompts
    assert (trainer["beta"], trainer["loss_type"]) == (0.001, "bnpo")
    changed = (batch, accumulation) != prompts
    assert ("per_device_train_batch_size" in notes) is changed
    if changed:
        assert notes["per_device_train_batch_size"][0] == 6
        assert "batch_size counts prompts" in notes["per_device_train_batch_size"][1]


@pytest.mark.parametrize("given", ["", ", epsilon_high=0.25, mask_truncated_completions=False"])
def test_dapo_has_the_clipping_of_its_paper(tmp_path: Path, given: str) -> None:
    trainer, notes = imported(tmp_path, script("GRPOTrainer", f"loss_type='dapo'{given}"))
    assert (trainer["loss_type"], trainer["epsilon_high"]) == ("dapo", 0.28)
    assert trainer["mask_truncated_completions"] is True
    says = "Unsloth sets mask_truncated_completions and epsilon_high = 0.28, too"
    assert notes["loss_type"] == (6, says)


@pytest.mark.parametrize(
    ("given", "scale", "key"),
    [
        ("", None, "loss_type"),
        (", scale_rewards=True", "none", "scale_rewards"),
        (", scale_rewards=False", "none", None),
        (", scale_rewards='group'", "group", None),
    ],
)
def test_rewards_of_dr_grpo_are_not_scaled(
    tmp_path: Path, given: str, scale: str | None, key: str | None
) -> None:
    trainer, notes = imported(tmp_path, script("GRPOTrainer", f"loss_type='dr_grpo'{given}"))
    assert trainer["loss_type"] == "dr_grpo"
    assert trainer.get("scale_rewards") == scale
    assert {name for name in notes if name in ("loss_type", "scale_rewards")} == ({key} if key else set())


def test_trl_has_no_clipping_of_dapos_paper(tmp_path: Path) -> None:
    text = script("GRPOTrainer", "loss_type='dapo'").replace("from unsloth", "from other")
    trainer, notes = imported(tmp_path, text)
    assert not {"epsilon_high", "mask_truncated_completions"} & trainer.keys()
    assert "loss_type" not in notes
