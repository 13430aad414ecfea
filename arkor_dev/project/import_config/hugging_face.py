"""TRL, transformers, PEFT and Unsloth: their arguments in JSON or YAML, most of which have the same name
here.

``trainer_script`` reads the same arguments from scripts and notebooks.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.rules import quoted

from .conversion import COMMON, OWN_END, OWN_TEMPLATE, flag, noted, used

if TYPE_CHECKING:
    from arkor_dev.contract.settings.setting import Value

    from .conversion import Conversion, KeyRule
    from .entries import Entry

NAME: Final = "TRL"
PAIRS: Final = ("DPO", "KTO", "ORPO", "CPO")
"""Methods whose trainers cut rows at a length of their own."""
_COMMON: Final[dict[str, Value]] = {"batch_size": 8, "warmup_steps": 0}
DEFAULTS: Final[dict[str, dict[str, Value]]] = {
    "TrainingArguments": {"learning_rate": 5e-5, **_COMMON},
    "SFTConfig": {"learning_rate": 2e-5, "max_length": 1024, **_COMMON},
    **{f"{name}Config": {"learning_rate": 1e-6, "max_length": 1024, **_COMMON} for name in PAIRS},
    "GRPOConfig": {"learning_rate": 1e-6, "max_completion_length": 512, **_COMMON},
    "GKDConfig": {"learning_rate": 2e-5, "max_length": 1024, **_COMMON},
    "SDFTConfig": {"learning_rate": 5e-5, **_COMMON},
}
"""Values of arguments that are left out, by the class of the arguments, where ours are different."""
_OF_UNSLOTH: Final[dict[str, Value]] = {
    "learning_rate": 5e-5,
    "batch_size": 4,
    "gradient_accumulation_steps": 2,
    "warmup_ratio": 0.1,
    "weight_decay": 0.001,
    "seed": 3407,
}
UNSLOTH_DEFAULTS: Final[dict[str, dict[str, Value]]] = {
    "TrainingArguments": DEFAULTS["TrainingArguments"],
    "SDFTConfig": DEFAULTS["SDFTConfig"],
    "SFTConfig": _OF_UNSLOTH,
    "UnslothTrainingArguments": _OF_UNSLOTH,
    **{f"{name}Config": {**_OF_UNSLOTH, "max_length": 1024} for name in PAIRS},
    "GRPOConfig": {**_OF_UNSLOTH, "beta": 0.001, "loss_type": "bnpo"},
}
"""The same for scripts that import Unsloth, which changes TRL's classes, but not those of transformers."""
LAYERS: Final = "lora.target_modules"
LORA_DEFAULTS: Final[dict[str, dict[str, Value]]] = {
    "LoraConfig": {"lora.r": 8, "lora.alpha": 8, LAYERS: ["q_proj", "v_proj"]},
    "get_peft_model": {"lora.r": 16, "lora.alpha": 16},
}
"""The same for LoRA settings: PEFT's, and those of Unsloth's function."""
OF_METHODS: Final = {
    "teacher_model_name_or_path": "distill", "lmbda": "distill", "seq_kd": "distill",
    "num_generations": "grpo", "reward_funcs": "grpo", "reward_model_path": "ppo", "desirable_weight": "kto",
    "undesirable_weight": "kto", "simpo_gamma": "cpo", "cpo_alpha": "cpo", "rpo_alpha": "dpo",
    "epsilon_high": "grpo", "importance_sampling_level": "grpo", "center_rewards_coefficient": "reward",
    "kl_coef": "ppo", "beta": "dpo",
}  # fmt: skip
"""Methods by arguments that only their command of ``trl`` takes; ``beta`` is most often that of DPO."""
PEFT_LAYERS: Final = "is missing: PEFT adapts these layers of most models, not all"
LEARNED_PART: Final = ("assistant_only_loss", "completion_only_loss")
LEARNS_ALL: Final = "learns whole chats; here only their answers are, unless train_on_responses_only = false"
COMMAND_LORA: Final[dict[str, Value]] = {
    **LORA_DEFAULTS["LoraConfig"],
    "lora.r": 16,
    "lora.alpha": 32,
    "lora.dropout": 0.05,
}
"""The defaults of ``trl sft --config``."""


def original(name: str) -> str:
    """Return the name of the 16-bit model that Unsloth has published a 4-bit copy of, or the name itself."""
    for ending in ("-unsloth-bnb-4bit", "-bnb-4bit"):  # the longer one first: it has the other's end
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return name


def _model(conversion: Conversion, entry: Entry) -> None:
    name = str(entry.value)
    conversion.model = original(name)
    if conversion.model != name:
        conversion.set("load_in_4bit", entry, True)
        conversion.note(entry, f"the 16-bit weights are loaded in 4-bit: {conversion.model}")


def _revision(conversion: Conversion, entry: Entry) -> None:
    if entry.value == "main":
        conversion.unneeded.append(entry.key)
    else:
        conversion.note(
            entry, f"is not carried over, so other weights are loaded: main, not {quoted(entry.value)}"
        )


def _checkpointing(conversion: Conversion, entry: Entry) -> None:
    conversion.set("gradient_checkpointing", entry, entry.value in (True, "unsloth"))


def _seed(conversion: Conversion, entry: Entry) -> None:
    if entry.group == "get_peft_model":
        conversion.unneeded.append(
            entry.key
        )  # it only initialises the adapter; the run's seed does that here
    else:
        conversion.set("seed", entry)


def _data(conversion: Conversion, entry: Entry) -> None:
    conversion.datasets.append(conversion.data(entry, str(entry.value)))


def _text_field(conversion: Conversion, entry: Entry) -> None:
    if entry.value != "text":
        conversion.note(entry, f"map the column by hand: columns = {{ text = {str(entry.value)!r} }}")


def _initial(conversion: Conversion, entry: Entry) -> None:
    if entry.value is not True:
        conversion.set("lora.init_lora_weights", entry)


WITHOUT_EFFECT: Final = (
    "task_type", "lora_task_type", "inference_mode", "loftq_config", "use_peft",
)  # fmt: skip
"""Keys of PEFT that have no effect on training here."""
PEFT: Final[dict[str, KeyRule]] = {
    **dict.fromkeys(WITHOUT_EFFECT),
    "r": "lora.r",
    "lora_r": "lora.r",
    "lora_alpha": "lora.alpha",
    "lora_dropout": "lora.dropout",
    "target_modules": COMMON["target_modules"],
    "lora_target_modules": COMMON["target_modules"],
    "modules_to_save": "lora.modules_to_save",
    "lora_modules_to_save": "lora.modules_to_save",
    "use_rslora": "lora.use_rslora",
    "use_dora": "lora.use_dora",
    "init_lora_weights": _initial,
    "layers_to_transform": "lora.layers_to_transform",
    "use_gradient_checkpointing": _checkpointing,
    "random_state": _seed,
}
MODEL: Final[dict[str, KeyRule]] = {
    "model_name": _model,
    "model_name_or_path": _model,
    "pretrained_model_name_or_path": _model,
    "revision": _revision,
    "model_revision": _revision,
    "load_in_4bit": flag("load_in_4bit"),
    "load_in_8bit": COMMON["load_in_8bit"],
    "max_seq_length": "max_length",
    "full_finetuning": flag("full_fine_tuning"),
    "trust_remote_code": COMMON["trust_remote_code"],
}
TRAINER: Final[dict[str, KeyRule]] = {
    "beta": "beta",  # as older versions of TRL expect it
    "packing": "packing",
    "max_seq_length": "max_length",
    "dataset_text_field": _text_field,
}
OF_TRL: Final = (
    "padding_free", "use_liger_kernel", "dataset_kwargs", "torch_compile",
)  # fmt: skip
"""Keys of TRL that have no effect on training here."""
RULES: Final[dict[str, KeyRule]] = {
    **COMMON,
    **PEFT,
    **MODEL,
    **dict.fromkeys(OF_TRL),
    "dataset_name": _data,
    "teacher_model_name_or_path": "teacher",
    "teacher_model_init_kwargs": noted("the teacher is loaded as the model is"),
    "max_new_tokens": "max_completion_length",
    "disable_dropout": noted("dropout stays as lora.dropout says, which is 0 by default"),
    **dict.fromkeys(("dataset_config", "dataset_train_split", "dataset_test_split"), used),
    "dataset_text_field": _text_field,
    "chat_template_path": noted(OWN_TEMPLATE),
    "eos_token": noted(OWN_END),
    "embedding_learning_rate": noted("all weights are trained at learning_rate"),
}


def _compared(conversion: Conversion, entry: Entry) -> None:
    """Carry over what self-distillation compares: TRL's ``distillation_mode``."""
    if entry.value == "full_logits":
        conversion.set("distillation_topk", entry, 0)
    elif entry.value != "topk_logits":
        conversion.note(
            entry, "the whole distributions are compared, or their distillation_topk likeliest tokens"
        )


OF_SDFT: Final = {
    **RULES,
    **dict.fromkeys(("distillation_is_clip", "shuffle_dataset", "num_generations", "num_generations_eval")),
    "distillation_mode": _compared,
    "teacher_prompt_template": noted("the wording of the paper is used"),
}
"""The rules for self-distillation: arguments of TRL's SDFTConfig."""


def convert(conversion: Conversion, entries: list[Entry]) -> None:
    """Carry over arguments from JSON, YAML or the command line of ``trl``."""
    by_key = {entry.key: entry for entry in entries}
    named = str(conversion.settings.get("method", "sft"))
    if named != "sft":
        origin = next(by_key[key] for key in OF_METHODS if key in by_key)
        conversion.note(origin, f'taken for {named}, since the file does not say: method = "…" in arkor.toml')
    elif not any(key in by_key for key in LEARNED_PART):
        conversion.note(replace(entries[0], key="assistant_only_loss"), f"is missing: {LEARNS_ALL}")
    adapts = by_key["use_peft"].value if "use_peft" in by_key else bool(PEFT.keys() & by_key.keys())
    if not adapts:
        conversion.set("full_fine_tuning", entries[0], True)  # as `trl sft` does without --use_peft
        unused = [entry.key for entry in entries if entry.key in PEFT and entry.value]
        conversion.unneeded += unused
        entries = [entry for entry in entries if entry.key not in unused]
    conversion.apply(entries, RULES)
    arguments = "GKDConfig" if named == "distill" else f"{named.upper()}Config"
    conversion.default(DEFAULTS[arguments], by_key)
    if adapts:
        if LAYERS not in conversion.settings:
            conversion.note(replace(entries[0], key="lora_target_modules"), PEFT_LAYERS)
        conversion.default(COMMAND_LORA)
    _rows(conversion, by_key)


def _rows(conversion: Conversion, by_key: dict[str, Entry]) -> None:
    """Carry over which part of the data set is used, and which judges."""
    if not conversion.datasets:
        return
    source = conversion.datasets[0]
    config, split = by_key.get("dataset_config"), by_key.get("dataset_train_split")
    if config is not None and config.value not in (None, "train"):
        source["subset"] = str(config.value)
    if split is not None and split.value not in (None, "train"):
        source["split"] = str(split.value)
    entry = by_key.get("dataset_test_split")
    if entry is not None and entry.value is not None and "huggingface" in source:
        conversion.held_out = {**source, "split": str(entry.value)}


def recognises(entries: list[Entry]) -> bool:
    """Return whether a file is one of this tool."""
    names = {"per_device_train_batch_size", "model_name_or_path", "lora_alpha", "num_train_epochs"}
    return bool(names & {entry.key for entry in entries})


def method(entries: list[Entry]) -> tuple[str, Entry | None]:
    """Return the training method: arguments do not name one, so it is guessed by those of one method only."""
    for key, name in OF_METHODS.items():
        for entry in entries:
            if entry.key == key and entry.value is not None:
                return name, entry
    return "sft", None
