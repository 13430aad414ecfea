"""Scripts and notebooks of TRL, transformers and Unsloth: what is given to the trainer that they create.

From the trainer's arguments the model, the adapter, the data and the training arguments are followed back to
where the script sets them. What else the script does (such as loading the saved adapter later) has no part in
it. What cannot be followed is refused if a run would be another one without it, and otherwise named with its
line.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, NoReturn

from arkor_dev.contract.errors import BadRequestError
from arkor_dev.contract.rules import quoted

from .conversion import OWN_END, OWN_TEMPLATE, UNSLOTH, RowsOf, flag, noted, refuse, rewards
from .entries import Computed, Entry
from .hugging_face import (
    DEFAULTS,
    LAYERS,
    LEARNED_PART,
    LEARNS_ALL,
    LORA_DEFAULTS,
    MODEL,
    OF_SDFT,
    OF_TRL,
    PAIRS,
    PEFT,
    PEFT_LAYERS,
    RULES,
    TRAINER,
    UNSLOTH_DEFAULTS,
    original,
)
from .script import Change, Place, Script, Value, name_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from arkor_dev.contract.settings.setting import Value as SettingValue

    from .conversion import Conversion, DatasetTable, KeyRule

TRAINERS: Final = {
    "SFTTrainer": "sft", "UnslothTrainer": "sft", "Trainer": "sft", "DPOTrainer": "dpo", "KTOTrainer": "kto",
    "ORPOTrainer": "orpo", "CPOTrainer": "cpo", "GRPOTrainer": "grpo", "GKDTrainer": "distill",
    "SDFTTrainer": "sdft",
}  # fmt: skip
"""Our method by the class of the trainer."""
CONFIGS: Final = {"Trainer": "TrainingArguments", "UnslothTrainer": "SFTConfig"}
"""The class of a trainer's arguments, where it has not the trainer's name."""
ARGUMENTS: Final = re.compile(r"\w*TrainingArguments|[A-Z]{2,5}Config")
"""Calls with training arguments: SFTConfig, TrainingArguments, UnslothTrainingArguments …"""
TEXT_MODEL: Final = re.compile(
    r"AutoModelForCausalLM|AutoLigerKernelForCausalLM|\w+ForCausalLM|\w+LMHeadModel"
    r"|FastLanguageModel|FastModel|Fast(?:Llama|Mistral|Gemma2?|Qwen[23]|Cohere)Model"
)
"""Classes of models that read and write text."""
NOT_A_MODEL: Final = re.compile(r"\w*(?:Tokenizer|Processor|Config|FeatureExtractor|Peft|Dataset)\w*")
AUDIO: Final = (
    "snac", "torchaudio", "librosa", "soundfile", "torchcodec", "xcodec2", "sparktts", "outetts", "qwen_asr",
)  # fmt: skip
"""Modules of scripts that train on sound."""
SAME_MODEL: Final = (
    "prepare_model_for_kbit_training", "prepare_model_for_int8_training", "for_training", "compile",
    "prepare", "setup_chat_format", "clone_chat_template",
)  # fmt: skip
"""Functions that return the model that they are given."""
TEMPLATES: Final = ("get_chat_template", "setup_chat_format", "clone_chat_template")
"""Functions that give a tokenizer another chat template."""
AFTER_ROLE: Final = re.compile(
    r"(?i)(?:assistant|model)[\s:|\uff5c>\]]*+(?:<\|(?:end_header_id|end_of_role|im_sep|message)\|>\s*+)?+\S"
)
"""A mark of an answer that continues after the role: by its channel, its recipient or its thoughts."""
END_TOKENS: Final = ("eos_token", "eos_token_id")
SAME_OBJECT: Final = ("to", "cuda", "half", "float", "bfloat16", "eval", "train", "requires_grad_")
"""Methods of a model that return it."""
NO_EFFECT_ON_ROWS: Final = ("shuffle", "with_format", "flatten_indices", "to_iterable_dataset", "copy")
PACKAGED: Final = ("json", "csv", "parquet", "text")
"""Names of formats that ``load_dataset`` takes in place of a data set."""
FILES: Final = ("from_json", "from_csv", "from_parquet", "from_text")
PLACES: Final = ("path", "name", "data_dir", "data_files", "split")
"""Arguments of ``load_dataset`` that may be given by position."""
LOADING_OF_ROWS: Final = (
    "streaming", "num_proc", "cache_dir", "token", "use_auth_token", "trust_remote_code", "keep_in_memory",
    "verification_mode", "ignore_verifications", "download_mode", "download_config", "save_infos",
    "storage_options", "batch_size", "chunksize",
)  # fmt: skip
"""Keys of ``load_dataset`` that change how rows are read, but not which."""
LOADER: Final = re.compile(r"load_dataset|from_(?:json|csv|parquet|text)")
AS_ENVIRONMENT: Final = (
    "tools are those of an environment here: put the class into a file of the project and name it as "
    'environment = "file:Class"'
)
REFUSED: Final = {
    "tools": AS_ENVIRONMENT,
    "environment_factory": AS_ENVIRONMENT,
    "rollout_func": "rollouts are sampled by the method here",
    "compute_loss_func": "the loss is the method's own here",
}
"""Arguments of a trainer that a run would be another one without."""
POSITIONS: Final = {
    "": ("model", "args"),
    "dpo": ("model", "ref_model", "args"),
    "kto": ("model", "ref_model", "args"),
    "grpo": ("model", "reward_funcs", "args"),
    "distill": ("model", "teacher_model", "args"),
}
"""A trainer's arguments that may be given by position, by method."""
READ_APART: Final = (
    "ref_model", "model", "teacher_model", "args", "train_dataset", "eval_dataset", "peft_config",
)  # fmt: skip
"""Arguments of a trainer that are followed by themselves."""
TRAINER_WITHOUT_EFFECT: Final = (
    "tokenizer", "processing_class", "processor", "dataset_num_proc", "dataset_batch_size",
    "num_of_sequences",
)  # fmt: skip
"""Arguments of a trainer that have no effect here."""
LOADING: Final = (
    "max_lora_rank", "fast_inference", "gpu_memory_utilization", "float8_kv_cache", "use_safetensors",
    "low_cpu_mem_usage", "cache_dir", "local_files_only", "dtype", "torch_dtype", "device_map", "token",
    "use_cache",
    "attn_implementation", "rope_scaling", "fix_tokenizer", "unsloth_vllm_standby", "offload_embedding",
    "return_dict", "quantization_config", "use_gradient_checkpointing", "load_in_16bit",
    "use_exact_model_name",
)  # fmt: skip
"""Keys of loading a model that have no effect on training here, or that are read by themselves."""
FOUR_BIT: Final = "load_in_4bit"
PRECISION: Final = (FOUR_BIT, "load_in_8bit", "load_in_16bit", "load_in_fp8", "full_finetuning")
"""Keys without any of which Unsloth loads a model in 4-bit."""
LOADED_LENGTH: Final = 2048
"""Unsloth's ``max_seq_length``, if a script leaves it out."""
FAST_LANGUAGE_MODEL: Final = re.compile(r"Fast(?:Language|Llama|Mistral|Gemma2?|Qwen[23]|Cohere)Model")
EMBEDDINGS: Final = "embed_tokens"
"""What Unsloth trains in full where it is among the adapted layers."""
COLLATORS: Final = ("DataCollatorForSeq2Seq", "DataCollatorForLanguageModeling", "DataCollatorWithPadding")
PLAIN_COLLATORS: Final = "the rows are padded and masked as the method needs it: it is not carried over"
ALL_LINEAR: Final = "Here all linear layers are adapted"
SEVEN_LAYERS: Final = "q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj and down_proj only"
"""What Unsloth's FastLanguageModel adapts unless a script says which layers."""
LAYERS_OF_BLOCKS: Final = "the linear layers of attention and MLP blocks only"
"""What its FastModel adapts then, and any of its classes by "all-linear": `get_peft_regex`."""
SHOWN: Final = (
    "here the teacher is shown the row's own answer, so let that be privileged_context; each row gets one "
    "answer in a step, so batch_size counts rows"
)
PICTURES: Final = "the layers for pictures are trained, too; only text is trained on here"
KINDS: Final = ("finetune_language_layers", "finetune_attention_modules", "finetune_mlp_modules")
PARTS: Final = ("train", "test")


def convert_script(conversion: Conversion, script: Script) -> None:
    """Carry over the trainer that a script creates. Raises BadRequestError."""
    if "unsloth" in script.modules:
        conversion.tool = UNSLOTH
    _ScriptReading(conversion, script).trainer()


def _refuse(line: int, why: str) -> NoReturn:
    raise BadRequestError(f"Line {line}: {why}. Nothing was written.")


def _require_some_written(entries: Iterable[Entry], what: str) -> None:
    """Refuse a call all of whose keywords come from a mapping that the script computes."""
    entries = list(entries)
    if entries and all(entry.key.startswith("**") for entry in entries):
        _refuse(
            entries[0].line,
            f"{what} ({entries[0].key.removeprefix('**')}) are computed by the script: write them out",
        )


@dataclass(slots=True)
class _ScriptReading:
    conversion: Conversion
    script: Script
    adapted: dict[int, int] = field(default_factory=dict)
    """Lines of the calls with LoRA settings that have been carried over."""
    fast: bool = False
    """Whether Unsloth loads the model."""
    cut: Value | None = None
    """The ``train_test_split`` that the rows come from."""
    tested: Value | None = None
    """The ``train_test_split`` that the evaluation rows come from."""

    @property
    def defaults(self) -> Mapping[str, Mapping[str, SettingValue]]:
        """The defaults of the classes of arguments, by their names."""
        return UNSLOTH_DEFAULTS if self.conversion.tool == UNSLOTH else DEFAULTS

    def trainer(self) -> None:
        call = self._only_trainer()
        node = call.node
        assert isinstance(node, ast.Call)
        name = name_of(node.func)
        self._require_text_only()
        if TRAINERS[name] != "sft":
            self.conversion.set("method", Entry(name, TRAINERS[name], node.lineno))
        self._model(self.script.argument(call, "model", 0), node.lineno)
        if self.adapted and self.conversion.settings.get("full_fine_tuning"):
            self._remove_adapter()
        self._adapter(self.script.argument(call, "peft_config"), node.lineno)
        # What is given to the trainer counts more than what the model is loaded with.
        places = POSITIONS.get(TRAINERS[name], POSITIONS[""])
        self._arguments(call, self.script.argument(call, "args", places.index("args")))
        if "teacher_model" in places:
            self._teacher(
                self.script.argument(call, "teacher_model", places.index("teacher_model")), node.lineno
            )
        self._keywords(call)
        if TRAINERS[name] == "sdft":
            self.conversion.note(Entry(name, None, node.lineno), SHOWN)
        self._data(call)
        self._afterwards(call)
        if TRAINERS[name] == "sft" and not self._learns_answers_only():
            self.conversion.note(Entry(name, None, node.lineno), LEARNS_ALL)
        for line, text in self.script.skipped:
            self.conversion.note(Entry("cell", text, line), f"it is not Python, so it is not read: {text}")

    def _learns_answers_only(self) -> bool:
        """Return whether the script says which part of a row is learned, as is the default here."""
        calls = [call.node for call in self.script.calls if isinstance(call.node, ast.Call)]
        return "completion_only_loss" in self.conversion.settings or any(
            name_of(call.func) in ("train_on_responses_only", "DataCollatorForCompletionOnlyLM")
            or any(word.arg in LEARNED_PART for word in call.keywords)
            for call in calls
        )

    def _only_trainer(self) -> Value:
        script = self.script
        found = [
            call
            for call in script.calls
            if isinstance(call.node, ast.Call)
            and re.fullmatch(r"(?!Patch)(?:[A-Z]\w*)?Trainer", name_of(call.node.func))
        ]
        if not found:
            other = "".join(
                f" Not read, since it is not Python: line {line}, {text}."
                for line, text in script.skipped[:3]
            )
            raise BadRequestError(
                "The script creates no trainer, such as SFTTrainer(…), so there is nothing to import."
                f"{other} Nothing was written."
            )
        names = [
            (name_of(call.node.func), call.node.lineno) for call in found if isinstance(call.node, ast.Call)
        ]
        for name, line in names:
            if name in script.classes:
                _refuse(
                    line, f"{name} is a trainer of the script's own, whose changes cannot be carried over"
                )
            if name not in TRAINERS:
                short = name.removesuffix("Trainer").lower() or name
                _refuse(line, f"trains by {name} ({short}), which is not supported here")
        if len(found) > 1:
            lines = ", ".join(str(line) for _, line in names[1:])
            _refuse(
                names[0][1],
                f"the script creates {len(found)} trainers (the others in line {lines}): keep one in a copy. "
                "To train one after the other, import a copy for each, and start the second with --from JOB",
            )
        return found[0]

    def _require_text_only(self) -> None:
        for module in AUDIO:
            if module in self.script.modules:
                _refuse(
                    self.script.modules[module], f"trains on sound ({module}); only text is trained on here"
                )
        for call in self.script.calls:
            assert isinstance(call.node, ast.Call)
            name = name_of(call.node.func)
            if "VisionDataCollator" in name or (
                name == "Audio" and any(word.arg == "sampling_rate" for word in call.node.keywords)
            ):
                _refuse(call.node.lineno, f"{name}: only text is trained on here")

    # --- training arguments

    def _arguments(self, trainer: Value, args: Value | None) -> None:
        """Carry over the training arguments, with what is changed in them before the trainer is created."""
        trains = name_of(trainer.node.func) if isinstance(trainer.node, ast.Call) else ""
        if args is None or self.script.value(args) is None:
            self._argument_defaults(CONFIGS.get(trains, trains.replace("Trainer", "Config")), trains)
            return
        name = args.node.id if isinstance(args.node, ast.Name) else None
        call = self.script.follow(args)
        node = call.node if call is not None else None
        if call is None or not isinstance(node, ast.Call) or not ARGUMENTS.fullmatch(name_of(node.func)):
            source = self.script.computed(args.node).source
            _refuse(
                args.node.lineno,
                f"the training arguments ({source}) are not written out in the script: give the YAML or JSON "
                "that they come from, or write them out",
            )
        entries = {entry.key: entry for entry in self.script.keywords(call)}
        _require_some_written(entries.values(), "the training arguments")
        if node.args and not (len(node.args) == 1 and "output_dir" not in entries):
            _refuse(node.lineno, "training arguments by position are not read: name them")
        changes = self.script.changes_of(name, call.place, trainer.place) if name else []
        for change in changes:
            value = self.script.changed(change, trainer.place)
            if isinstance(value, Computed) and change.key in entries:
                self._note_change(change, "is set under a condition, or computed")
            else:
                entries[change.key] = Entry(change.key, value, change.line, name_of(node.func))
        self._loaded_length(entries, trains)
        self.conversion.apply(entries.values(), OF_SDFT if trains == "SDFTTrainer" else RULES)
        if self.conversion.tool == UNSLOTH and trains == "GRPOTrainer":
            self._losses_of_papers(entries)
        self._argument_defaults(name_of(node.func), trains, entries)

    def _loaded_length(self, entries: dict[str, Entry], trainer: str) -> None:
        """Remove lengths that Unsloth replaces by that of the model in supervised training.

        It reads ``max_seq_length``, up to that of the model, and never ``max_length``:
        `unsloth/models/rl.py`.
        """
        if not self.fast or TRAINERS[trainer] != "sft":
            return
        loaded = self.conversion.settings.get("max_length")
        given = entries.get("max_seq_length")
        if "max_length" in entries and (given is not None or entries["max_length"].value != loaded):
            text = "has no effect: Unsloth cuts rows at max_seq_length"
            self.conversion.note(entries.pop("max_length"), text)
        if (
            given is not None
            and isinstance(given.value, int)
            and isinstance(loaded, int)
            and given.value > loaded > 0
        ):
            self.conversion.note(
                entries.pop("max_seq_length"), f"Unsloth reduces it to the model's: {loaded}"
            )

    def _losses_of_papers(self, entries: dict[str, Entry]) -> None:
        """Carry over what Unsloth sets for losses as their papers do: `unsloth/models/rl.py`."""
        loss, scale = entries.get("loss_type"), entries.get("scale_rewards")
        if loss is None:
            return
        if loss.value == "dapo":
            self.conversion.set("mask_truncated_completions", loss, True)
            self.conversion.set("epsilon_high", loss, 0.28)
            self.conversion.note(loss, "Unsloth sets mask_truncated_completions and epsilon_high = 0.28, too")
        elif loss.value == "dr_grpo" and scale is None:
            self.conversion.note(
                loss, 'with older versions of TRL, Unsloth does not scale the rewards: scale_rewards = "none"'
            )
        elif loss.value == "dr_grpo" and scale is not None and scale.value is True:
            self.conversion.set("scale_rewards", scale, "none")
            self.conversion.note(scale, 'Unsloth sets it to "none" for dr_grpo')

    def _argument_defaults(self, config: str, trainer: str, given: Iterable[str] = ()) -> None:
        """Set what a class of arguments has in place of those that are left out."""
        defaults = self.defaults.get(config, {})
        if config == "TrainingArguments" and trainer == "SFTTrainer" and self.defaults is DEFAULTS:
            defaults = {**defaults, "max_length": DEFAULTS["SFTConfig"]["max_length"]}
        self.conversion.default(defaults, given)

    def _note_change(self, change: Change, why: str) -> None:
        source = self.script.lines[change.line - 1].strip()
        self.conversion.note(Entry(change.key, None, change.line), f"{why}: {source[:200]}")

    def _keywords(self, trainer: Value) -> None:
        """Carry over the arguments of the trainer itself."""
        node = trainer.node
        assert isinstance(node, ast.Call)
        places = POSITIONS.get(TRAINERS[name_of(node.func)], POSITIONS[""])
        if "ref_model" in places:
            self._reference(self.script.argument(trainer, "ref_model", places.index("ref_model")))
        elif "reward_funcs" in places and len(node.args) > 1:
            functions = Value(node.args[1], trainer.place)
            rewards(
                self.conversion, Entry("reward_funcs", self.script.value(functions), functions.node.lineno)
            )
            self._punishment()
        for item in node.args[len(places) :]:
            source = self.script.computed(item).source
            self.conversion.note(Entry(source, None, item.lineno), "is given by position, so it is not read")
        rules: Mapping[str, KeyRule] = {
            **RULES,
            **dict.fromkeys(TRAINER_WITHOUT_EFFECT),
            **dict.fromkeys(OF_TRL),
            **TRAINER,
            "quantization_config": noted("is not carried over: load_in_4bit = true quantizes the model"),
            "reward_funcs": None,
        }
        entries = {entry.key: entry for entry in self.script.keywords(trainer)}
        self._loaded_length(entries, name_of(node.func))
        for entry in entries.values():
            if entry.key == "reward_funcs":
                rewards(self.conversion, entry)
                self._punishment()
            elif entry.key in REFUSED and entry.value not in (None, []):
                refuse(entry, REFUSED[entry.key])
            elif entry.key == "data_collator":
                self._collator(entry)
            elif entry.key == "formatting_func" and entry.value is not None:
                self.conversion.note(entry, "rows keep their form: the function is not carried over")
            elif entry.key in READ_APART:
                continue
            elif isinstance(entry.value, Computed) and entry.key not in rules:
                self.conversion.note(entry, f"is not carried over: {entry.value.source}")
            else:
                self.conversion.apply([entry], rules)

    def _reference(self, given: Value | None) -> None:
        """Note a reference model other than the trained one."""
        if given is None or self.script.value(given) is None:
            return
        call = self.script.follow(given)
        if call is not None and isinstance(call.node, ast.Call) and self._loads_model(call):
            name = next(
                (
                    found
                    for key in ("model_name", *MODEL_NAMES)
                    if (found := self.script.argument(call, key, 0)) is not None
                ),
                None,
            )
            if name is not None and self.script.value(name) == self.conversion.model:
                self.conversion.unneeded.append("ref_model")
                return
        self.conversion.note(
            Entry("ref_model", None, given.node.lineno),
            "the reference is the base model, or the adapter that the run starts from",
        )

    def _punishment(self) -> None:
        """Carry over TRL's soft overlong punishment, a reward that is a setting here."""
        for call in self.script.calls:
            node = call.node
            assert isinstance(node, ast.Call)
            cache = self.script.argument(call, "soft_punish_cache", 1)
            if name_of(node.func) == "get_soft_overlong_punishment" and cache is not None:
                entry = Entry("soft_punish_cache", self.script.value(cache), node.lineno)
                self.conversion.apply([entry], {})
                self.conversion.note(entry, "its max_completion_len is max_completion_length here")
                return

    def _collator(self, entry: Entry) -> None:
        if isinstance(entry.value, Computed) and not entry.value.source.startswith(COLLATORS):
            self.conversion.note(entry, f"{PLAIN_COLLATORS}: {entry.value.source}")
        else:
            self.conversion.unneeded.append(entry.key)

    def _afterwards(self, trainer: Value) -> None:
        """Note what the script changes in the trainer once it has been created."""
        names = self.script.names_of(trainer.node)
        arguments = self.script.argument(trainer, "args")
        watched = {f"{name}.args" for name in names}
        if arguments is not None and isinstance(arguments.node, ast.Name):
            watched.add(arguments.node.id)
        for name in sorted(watched):
            for change in self.script.changes_of(name, trainer.place, None):
                self._note_change(change, "is set after the trainer was created, so it is not carried over")
        for call in self.script.calls:
            assert isinstance(call.node, ast.Call)
            name = name_of(call.node.func)
            if name == "add_callback" and call.place.order > trainer.place.order:
                self.conversion.note(Entry(name, None, call.node.lineno), "callbacks are not carried over")
            elif name == "train_on_responses_only":
                self.conversion.unneeded.append(name)  # the default here
                self._learned_answers(call)
            elif name in TEMPLATES and call.place.order < trainer.place.order:
                self.conversion.note(Entry(name, None, call.node.lineno), OWN_TEMPLATE)
        for change in self.script.changes:
            if change.key == "chat_template" and change.place.order < trainer.place.order:
                self.conversion.note(Entry(change.key, None, change.line), OWN_TEMPLATE)
        ends = [change for change in self.script.changes if change.key in END_TOKENS]
        if ends and ends[0].place.order < trainer.place.order:
            self.conversion.note(Entry(ends[0].key, None, ends[0].line), OWN_END)

    def _learned_answers(self, call: Value) -> None:
        """Carry over which answers Unsloth's ``train_on_responses_only`` learns."""
        entries = {entry.key: entry for entry in self.script.keywords(call)}
        for name, position in (("response_part", 2), ("last_response_only", 7)):
            given = self.script.argument(call, name, position)
            if given is not None and name not in entries:
                entries[name] = Entry(name, self.script.value(given), given.node.lineno)
        for name, entry in entries.items():
            if name == "last_response_only":
                self.conversion.apply([entry], {name: flag("completion_only_loss")})
            elif name == "response_part" and isinstance(entry.value, str) and AFTER_ROLE.search(entry.value):
                text = f"only what follows {quoted(entry.value)} is learned there, and whole answers here"
                self.conversion.note(entry, text)
            elif name.startswith("**"):
                self.conversion.note(entry, "is computed by the script: which answers are learned")

    # --- the model

    def _model(self, given: Value | None, line: int) -> None:
        """Follow the trainer's model back to where it is loaded; carry over what is done to it on the way."""
        current, steps = given, 0
        while current is not None and steps < 30:
            steps += 1
            node = current.node
            if isinstance(node, ast.Name):
                current = self._named(node.id, current.place)
                continue
            value = self.script.value(current) if current.part is None else None
            if isinstance(value, str):
                self.conversion.apply([Entry("model_name", value, node.lineno)], MODEL)
                return
            if not isinstance(node, ast.Call):
                break
            name = name_of(node.func)
            if name == "from_pretrained":
                self._loaded(Value(node, current.place))
                return
            if name == "get_peft_model":
                self._adapted(Value(node, current.place))
                config = self.script.argument(Value(node, current.place), "peft_config", 1)
                self._adapter(config, node.lineno) if config is not None else None
                current = self.script.argument(Value(node, current.place), "model", 0)
            elif name in SAME_MODEL:
                current = self.script.argument(Value(node, current.place), "model", 0)
            elif name in SAME_OBJECT and isinstance(node.func, ast.Attribute):
                current = Value(node.func.value, current.place)
            else:
                current = self.script.returned(current)
        self._only_model(given, line)

    def _named(self, name: str, place: Place) -> Value | None:
        """Return the value assigned to a model's name; None if several are possible.

        Later assignments under a condition do not count if they call a function that returns the same model.
        """
        found = self.script.assigned(name, place)
        while len(found) > 1 and self._keeps(found[0], name):
            found = found[1:]
        return found[0] if len(found) == 1 else None

    def _keeps(self, value: Value | None, name: str) -> bool:
        """Return whether a call returns the model that it is given by this name."""
        node = value.node if value is not None else None
        if value is None or not isinstance(node, ast.Call):
            return False
        given = self.script.argument(value, "model", 0)
        return (
            name_of(node.func) in SAME_MODEL
            and given is not None
            and isinstance(given.node, ast.Name)
            and given.node.id == name
        )

    def _teacher(self, given: Value | None, line: int) -> None:
        """Carry over the name of the teacher, which is a text or a loaded model. Raises BadRequestError."""
        current = self.script.follow(given) if given is not None else None
        while current is not None and isinstance(current.node, ast.Call):
            call = current.node
            named = self.script.argument(current, "pretrained_model_name_or_path", 0)
            if name_of(call.func) == "from_pretrained" and named is not None:
                current = named
                break
            owner = call.func.value if isinstance(call.func, ast.Attribute) else None
            loaded = owner is not None and name_of(call.func) in SAME_OBJECT
            current = self.script.follow(Value(owner, current.place)) if owner and loaded else None
        name = self.script.value(current) if current is not None else None
        if not isinstance(name, str):
            if given is None and "teacher" in self.conversion.settings:
                return  # it is among the training arguments
            _refuse(line, "the teacher cannot be followed to a model's name: write it out")
        self.conversion.set("teacher", Entry("teacher_model", name, line))

    def _only_model(self, given: Value | None, line: int) -> None:
        """Use the only model that the script loads; refuse if there are several, or none."""
        if given is None:
            _refuse(line, "the trainer is given no model")
        loads = [call for call in self.script.calls if self._loads_model(call)]
        source = self.script.computed(given.node).source
        if isinstance(given.node, ast.Attribute):
            _refuse(
                line,
                f"the trainer's model ({source}) comes from the command line or a file: write its name out",
            )
        if len(loads) != 1:
            _refuse(line, f"the trainer's model ({source}) cannot be followed to one that the script loads")
        node = loads[0].node
        self._loaded(loads[0])
        self.conversion.note(
            Entry("model", None, line), f"taken from line {node.lineno}, the only one that is loaded"
        )

    def _loads_model(self, call: Value) -> bool:
        node = call.node
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            return False
        owner = name_of(node.func.value)
        return node.func.attr == "from_pretrained" and not NOT_A_MODEL.fullmatch(owner)

    def _loaded(self, call: Value) -> None:
        """Carry over the loading of a model. Raises BadRequestError if it is not one of text."""
        node = call.node
        assert isinstance(node, ast.Call)
        assert isinstance(node.func, ast.Attribute)
        owner = name_of(node.func.value)
        if "PeftModel" in owner:
            _refuse(
                node.lineno, "the run starts from an adapter: train with arkor-dev start --from JOB instead"
            )
        if owner == "FastVisionModel":
            # Whether its rows have pictures is known only once they are read.
            _refuse(
                node.lineno,
                "FastVisionModel reads pictures, too, and only text is trained on here. If all rows are "
                "text, load it by FastModel in a copy",
            )
        if not TEXT_MODEL.fullmatch(owner):
            _refuse(
                node.lineno,
                f"{owner or 'this'} is not a language model for text, which is what is trained here",
            )
        if len(node.args) > 1:
            _refuse(node.lineno, "arguments of from_pretrained by position are not read: name them")
        entries = {entry.key: entry for entry in self.script.keywords(call)}
        for key, entry in entries.items():
            if key == "auto_model" and not str(getattr(entry.value, "source", "")).endswith("ForCausalLM"):
                _refuse(entry.line, f"{getattr(entry.value, 'source', key)} is not a language model for text")
            if key == "num_labels":
                _refuse(entry.line, "a classifier is not trained here")
        name = next((entries.pop(key) for key in ("model_name", *MODEL_NAMES) if key in entries), None)
        if name is None and node.args:
            name = Entry(
                "model_name", self.script.value(Value(node.args[0], call.place)), node.args[0].lineno
            )
        if name is None or not isinstance(name.value, str):
            source = getattr(name and name.value, "source", "nothing")
            _refuse(node.lineno, f"the model's name is computed by the script ({source}): write it out")
        four_bit = entries.get(FOUR_BIT)
        if owner.startswith("Fast") and four_bit is not None and four_bit.value is False:
            full = original(name.value)
            if full != name.value:
                self.conversion.note(four_bit, f"is False, so Unsloth loads the 16-bit weights: {full}")
            name = replace(name, value=full)
        self.conversion.apply([replace(name, key="model_name")], MODEL)
        rules = {**MODEL, **dict.fromkeys((*LOADING, "auto_model"))}
        pairs = str(self.conversion.settings.get("method")).upper() in PAIRS
        if pairs:
            rules["max_seq_length"] = None  # the trainer cuts rows at its own length
        for entry in entries.values():
            if entry.key not in rules and isinstance(entry.value, Computed):
                self.conversion.note(entry, f"is not carried over: {entry.value.source}")
            else:
                self.conversion.apply([entry], rules)
        self._quantization(call)
        self.fast = owner.startswith("Fast")
        if self.fast:
            given = {key for key, entry in entries.items() if entry.value is not False} | entries.keys() & {
                FOUR_BIT
            }
            if not given & {*PRECISION, "quantization_config"}:
                self.conversion.default({FOUR_BIT: True})
            if not pairs and "max_seq_length" not in entries:
                self.conversion.default({"max_length": LOADED_LENGTH})

    def _quantization(self, call: Value) -> None:
        given = self.script.argument(call, "quantization_config")
        if given is None or self.script.value(given) is None:
            return
        config = self.script.follow(given)
        node = config.node if config is not None else None
        if config is None or not isinstance(node, ast.Call) or name_of(node.func) != "BitsAndBytesConfig":
            source = self.script.computed(given.node).source
            self.conversion.note(
                Entry("quantization_config", None, given.node.lineno), f"is not carried over: {source}"
            )
            return
        for entry in self.script.keywords(config):
            if entry.key in ("load_in_4bit", "load_in_8bit"):
                self.conversion.apply([entry], MODEL)
            elif entry.key.startswith("bnb_4bit"):
                self.conversion.unneeded.append(entry.key)
            else:
                self.conversion.apply([entry], {})

    # --- the adapter

    def _adapted(self, call: Value) -> None:
        """Carry over the LoRA settings of a call."""
        node = call.node
        assert isinstance(node, ast.Call)
        self.adapted[id(node)] = node.lineno
        config = name_of(node.func) == "LoraConfig"
        owner = name_of(node.func.value) if isinstance(node.func, ast.Attribute) else ""
        of_unsloth, language = owner.startswith("Fast"), FAST_LANGUAGE_MODEL.fullmatch(owner) is not None
        if len(node.args) > (0 if config else 1 if of_unsloth else 2):
            _refuse(node.lineno, f"arguments of {name_of(node.func)} by position are not read: name them")
        rules = {
            **PEFT, "bias": None, "model": None, "peft_config": None, "max_seq_length": "max_length",
            "ensure_weight_tying": None, "adapter_name": None, "qat_scheme": None,
            **dict.fromkeys(KINDS),
        }  # fmt: skip
        entries = self.script.keywords(call)
        _require_some_written((entry for entry in entries if entry.key != "model"), "the LoRA settings")
        given = next((entry for entry in entries if entry.key == "target_modules"), None)
        chosen = None if given is None or given.value in (None, "all-linear") else given
        for entry in entries:
            if entry.key == "finetune_vision_layers" and entry.value is not False:
                _refuse(entry.line, f"{PICTURES}: if all rows are text, set it to False in a copy")
            if entry.key in KINDS and entry.value is not True:
                self.conversion.note(entry, f"{ALL_LINEAR}: choose them by target_modules")
            elif entry.key in KINDS and of_unsloth and chosen is None:
                continue  # the note on the layers is for it, too
            elif entry.key == "bias" and entry.value != "none":
                self.conversion.note(entry, "biases are not trained here")
            elif entry.key not in ("finetune_vision_layers", "finetune_audio_layers"):
                self.conversion.apply([entry], rules)
        # PEFT's function takes a LoraConfig, Unsloth's the settings themselves.
        if name_of(node.func) == "LoraConfig" or self.script.argument(call, "peft_config", 1) is None:
            defaults = LORA_DEFAULTS[name_of(node.func)]
            if LAYERS in defaults and self.script.argument(call, "target_modules") is None:
                self.conversion.note(Entry("target_modules", None, node.lineno), PEFT_LAYERS)
            self.conversion.default(defaults)
        if language:
            self._train_embeddings()
        seven = language and (given is None or given.value is None)
        adapts = SEVEN_LAYERS if seven else LAYERS_OF_BLOCKS
        parts = all(entry.value is True for entry in entries if entry.key in KINDS)
        if of_unsloth and chosen is None and parts:
            layers = given or Entry("target_modules", None, node.lineno)
            self.conversion.note(layers, f"Unsloth adapts {adapts}. {ALL_LINEAR}: list those that you want")

    def _train_embeddings(self) -> None:
        """Carry over embeddings among the adapted layers as Unsloth trains them: in full."""
        settings = self.conversion.settings
        layers = settings.get("lora.target_modules")
        if isinstance(layers, list) and EMBEDDINGS in layers and layers != [EMBEDDINGS]:
            settings["lora.target_modules"] = [name for name in layers if name != EMBEDDINGS]
            saved = settings.get("lora.modules_to_save", [])
            settings["lora.modules_to_save"] = [*(saved if isinstance(saved, list) else [saved]), EMBEDDINGS]
            line = self.conversion.lines["lora.target_modules"]
            text = f"Unsloth trains {EMBEDDINGS} in full, without LoRA: modules_to_save"
            self.conversion.note(Entry("target_modules", None, line), text)

    def _remove_adapter(self) -> None:
        """Remove the LoRA settings: Unsloth adds no adapter if it has loaded a model to train in full."""
        settings = self.conversion.settings
        for key in [key for key in settings if key.startswith("lora.")]:
            del settings[key]
        notes = self.conversion.notes
        self.conversion.notes = [note for note in notes if note.key not in ("target_modules", *KINDS)]
        for line in self.adapted.values():
            text = "has no effect, since full_finetuning trains all weights"
            self.conversion.note(Entry("get_peft_model", None, line), text)

    def _adapter(self, given: Value | None, line: int) -> None:
        """Carry over ``peft_config``; without any adapter, all weights are trained."""
        if given is not None and self.script.value(given) is not None:
            config = self.script.follow(given)
            node = config.node if config is not None else None
            if config is None or not isinstance(node, ast.Call) or name_of(node.func) != "LoraConfig":
                source = self.script.computed(given.node).source
                _refuse(
                    given.node.lineno,
                    f"the adapter ({source}) is not a LoraConfig that the script writes out",
                )
            self._adapted(config)
            if isinstance(given.node, ast.Name):
                for change in self.script.changes_of(given.node.id, config.place, given.place):
                    self.conversion.apply(
                        [Entry(change.key, self.script.changed(change, given.place), change.line)], PEFT
                    )
            return
        for call in self.script.calls:
            node = call.node
            assert isinstance(node, ast.Call)
            name = name_of(node.func)
            if name in ("LoraConfig", "get_peft_model", "add_adapter") and not self.adapted:
                if name == "add_adapter" and (config := self.script.argument(call, "adapter_config", 0)):
                    self._adapter(config, node.lineno)
                    return
                _refuse(node.lineno, f"{name} is used in a way that cannot be followed to the trainer")
        if not self.adapted:
            settings = self.conversion.settings
            if settings.get(FOUR_BIT) and not settings.get("full_fine_tuning"):
                _refuse(
                    self.conversion.lines.get(FOUR_BIT, line),
                    "the model is loaded in 4-bit and is given no adapter, so it can only be a saved one: "
                    "train that on with arkor-dev start --from JOB",
                )
            self.conversion.set("full_fine_tuning", Entry("peft_config", True, line))

    # --- data

    def _data(self, trainer: Value) -> None:
        rows = self.script.argument(trainer, "train_dataset")
        if rows is None:
            self.conversion.note(
                Entry("train_dataset", None, trainer.node.lineno),
                "is missing: put the rows in data/train.jsonl",
            )
        else:
            self.conversion.datasets += self._source(rows, "train")
        held_out = self.script.argument(trainer, "eval_dataset")
        if held_out is not None and self.script.value(held_out) is not None:
            found = self._source(held_out, "test")
            if any(source in self.conversion.datasets for source in found):
                found = []
                self.conversion.note(
                    Entry("eval_dataset", None, held_out.node.lineno),
                    "is a part of the same rows: an automatic share of them is held out",
                )
            self.conversion.held_out = found[0] if found else None
            if len(found) > 1:
                self.conversion.note(
                    Entry("eval_dataset", None, held_out.node.lineno),
                    "only the first set of evaluation rows is used",
                )
        self._split()

    def _split(self) -> None:
        """Carry over ``train_test_split`` as the share of rows that is held out, if they judge the run."""
        if self.cut is None:
            return
        line = self.cut.node.lineno
        size = self.script.argument(self.cut, "test_size", 0)
        share = None if size is None else self.script.value(size)
        if (
            self.tested is not None
            and self.tested.node is self.cut.node
            and isinstance(share, float)
            and 0 < share < 0.9
        ):
            self.conversion.set("eval_split", Entry("test_size", share, line))
        else:
            self.conversion.note(
                Entry("train_test_split", None, line),
                "all rows are used, and the automatic share of them is held out",
            )

    def _source(self, given: Value, part: str) -> list[DatasetTable]:
        """Follow rows back to where they are loaded, and note what is done to them on the way."""
        current: Value | None = given
        split: str | None = None
        known = len(self.conversion.notes)
        for _ in range(60):
            if current is None:
                break
            node = current.node
            if isinstance(node, ast.Name):
                after = self.script.follow(current)
                if after is None:
                    break
                for change in self.script.changes_of(node.id, after.place, current.place):
                    source = self.script.lines[change.line - 1].strip()[:200]
                    self.conversion.note(
                        Entry(node.id, None, change.line),
                        f"the rows are changed here, which is not carried over: {source}",
                    )
                current = after
                continue
            if isinstance(node, ast.Subscript):
                key = self.script.value(Value(node.slice, current.place))
                if isinstance(key, str):
                    split = key
                else:
                    source = self.script.computed(node).source
                    self._note_rows(node, f"which of the rows are used is computed by the script: {source}")
                current = Value(node.value, current.place)
                continue
            if isinstance(node, ast.Tuple) and current.part is not None and current.part < len(node.elts):
                current = Value(node.elts[current.part], current.place)
                continue
            if not isinstance(node, ast.Call):
                break
            call, name = Value(node, current.place, current.part), name_of(node.func)
            if LOADER.fullmatch(name):
                return self._load(call, split, part)
            if name in ("concatenate_datasets", "interleave_datasets"):
                return self._joined(call, part)
            if name == "train_test_split" and isinstance(node.func, ast.Attribute):
                if part == "test" and split == "test":
                    self.tested = call
                    return []
                if part == "train":
                    self.cut = call
                split, current = None, Value(node.func.value, current.place)
                continue
            if isinstance(node.func, ast.Attribute) and not isinstance(
                node.func.value, ast.Name | ast.Call | ast.Subscript
            ):
                break
            current = self._before(call, name)
        source = self.script.computed(given.node).source
        del self.conversion.notes[known:]  # of what is done to rows that are not known
        if part == "train":
            self._note_rows(
                given.node, f"the rows are computed by the script ({source}): put them in data/train.jsonl"
            )
        else:
            self._note_rows(
                given.node,
                f"is not carried over, and a share of the rows is held out: {source}",
                "eval_dataset",
            )
        return []

    def _before(self, call: Value, name: str) -> Value | None:
        """Return the rows that a call makes others of, with a note; None if it makes them of other things."""
        node = call.node
        assert isinstance(node, ast.Call)
        owner = node.func.value if isinstance(node.func, ast.Attribute) else None
        function = self.script.returned(call)
        if owner is None and function is not None:
            return function
        inner = self.script.argument(call, "dataset", 0) if owner is None or _is_module(owner) else None
        rows = inner if inner is not None else (Value(owner, call.place) if owner is not None else None)
        if rows is None or name.startswith(("from_", "load_", "Dataset")):
            return None
        if name not in NO_EFFECT_ON_ROWS:
            shown = f".{name}(…)" if inner is None else f"{name}(…)"
            self._note_rows(node, f"{shown} is not carried over: the rows are read as they are", name)
        return rows

    def _note_rows(self, node: ast.AST, text: str, key: str = "train_dataset") -> None:
        self.conversion.note(Entry(key, None, getattr(node, "lineno", 1)), text)

    def _joined(self, call: Value, part: str) -> list[DatasetTable]:
        """Return the sources of several sets of rows that are put together."""
        node = call.node
        assert isinstance(node, ast.Call)
        if name_of(node.func) == "interleave_datasets":
            self._note_rows(
                node, "the rows of all sets are used, without the proportions of interleave_datasets"
            )
        items = self.script.argument(call, "dsets", 0) or self.script.argument(call, "datasets")
        items = self.script.follow(items) if items is not None else None
        if items is None or not isinstance(items.node, ast.List | ast.Tuple):
            self._note_rows(node, "which sets are put together is computed by the script")
            return []
        return [source for item in items.node.elts for source in self._source(Value(item, items.place), part)]

    def _load(self, call: Value, split: str | None, part: str) -> list[DatasetTable]:
        """Return what a ``load_dataset`` loads."""
        node = call.node
        assert isinstance(node, ast.Call)
        values = {entry.key: entry for entry in self.script.keywords(call)}
        places = ("path", "split") if name_of(node.func) in FILES else PLACES
        for key, argument in zip(places, node.args, strict=False):
            if key not in values:
                values[key] = Entry(key, self.script.value(Value(argument, call.place)), argument.lineno)
        path = values.get("path") or values.get("path_or_paths")
        for key in ("path", "name", "data_dir", "data_files"):
            if key in values and isinstance(computed := values[key].value, Computed):
                self.conversion.note(
                    values[key], f"the data set is computed by the script: {computed.source}"
                )
                return []
        if path is None or not isinstance(path.value, str):
            return []
        for key, entry in values.items():
            if key not in (*PLACES, "path_or_paths", *LOADING_OF_ROWS) and entry.value is not None:
                shown = entry.value.source if isinstance(entry.value, Computed) else quoted(entry.value)
                self.conversion.note(entry, f"is not carried over: {shown}")
        if name_of(node.func) in FILES:
            return [self.conversion.data(path, path.value)]
        if "data_dir" in values:
            self.conversion.note(values["data_dir"], "is not carried over: name the files")
        splits = values.get("split")
        if splits is not None and isinstance(splits.value, list) and call.part is not None:
            splits = replace(splits, value=splits.value[call.part] if call.part < len(splits.value) else None)
        wanted, more = self._wanted(splits, split), RowsOf()
        files = values.get("data_files")
        if files is not None:
            names = files.value
            if isinstance(names, dict):
                names = names.get(wanted or part) or names.get("validation" if part == "test" else "train")
            listed = names if isinstance(names, list) else [names]
            if path.value in PACKAGED:
                return [self.conversion.data(files, str(name)) for name in listed if name]
            self.conversion.note(files, f"all files of {path.value} are used")
        elif path.value in PACKAGED:
            self.conversion.note(path, "the files are not named")
            return []
        if wanted not in (None, "train"):
            more["split"] = wanted
        if "name" in values and values["name"].value is not None:
            more["subset"] = str(values["name"].value)
        return [self.conversion.data(path, path.value, **more)]

    def _wanted(self, entry: Entry | None, split: str | None) -> str | None:
        """Return the split that is used: one of letters and digits; slices are noted."""
        if entry is None or entry.value is None:
            return split
        if isinstance(entry.value, Computed):
            self.conversion.note(
                entry, f"which split is used is computed by the script: {entry.value.source}"
            )
            return split
        text = str(entry.value)
        name = re.match(r"\w+", text)
        if name is None or name[0] != text:
            self.conversion.note(entry, f"all rows of the split are used, not {text}")
        return name[0] if name else split


MODEL_NAMES: Final = ("pretrained_model_name_or_path", "model_name_or_path")


def _is_module(node: ast.expr) -> bool:
    """Return whether a method's owner is a class or a module by its name, not rows."""
    return isinstance(node, ast.Name) and (node.id[:1].isupper() or node.id in ("datasets", "unsloth", "trl"))
