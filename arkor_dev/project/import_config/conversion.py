"""The result of a conversion as it is built: settings, data, and what could not be carried over."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NoReturn, TypedDict, Unpack

from arkor_dev.contract.errors import BadRequestError
from arkor_dev.contract.rules import quoted
from arkor_dev.contract.settings import SETTINGS
from arkor_dev.contract.settings.conflicts import conflicts
from arkor_dev.data.detect import SUFFIXES

from .entries import Computed, require_plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from arkor_dev.contract.settings.setting import Setting, Value

    from .entries import Entry

    Convert = Callable[["Conversion", Entry], None]
    KeyRule = str | Convert | None
    """What becomes of a key: one of our keys, a function that converts it, or None if it has no effect."""

OPTIMIZERS: Final = {
    "adamw_hf": "adamw",
    "adamw_apex_fused": "adamw",
    "adamw_bnb_8bit": "adamw",
    "adamw_8bit": "adamw",
    "adamw_torch_8bit": "adamw",
    "adamw_torch_4bit": "adamw",
    "paged_adamw": "adamw",
    "paged_adamw_32bit": "adamw",
    "paged_adamw_8bit": "adamw",
    "lion_32bit": "lion",
    "lion_8bit": "lion",
    "lion_pytorch": "lion",
    "paged_lion_8bit": "lion",
    "paged_lion_32bit": "lion",
}
"""Optimizers that make the same updates with less memory for their state."""
PLAIN_LOSSES: Final = ("nll", "chunked_nll")
"""Names of the cross entropy in TRL's SFTConfig."""
SCHEDULERS: Final = {"warmup_stable_decay": "wsd"}
DECISIVE: Final = {"epochs": "steps", "warmup_steps": "warmup_ratio", "warmup_ratio": "warmup_steps"}
"""Settings whose default does not count beside another one."""
ACCUMULATION: Final = "gradient_accumulation_steps"
AXOLOTL: Final = "Axolotl"
UNSLOTH: Final = "Unsloth"
OF_TRANSFORMERS: Final = (AXOLOTL, "AutoTrain", "LLaMA-Factory", "TRL", UNSLOTH)
"""Tools that train by the Trainer of transformers, with its schedules."""
WITH_REFERENCE: Final = ("dpo", "kto")
"""Methods that compare the adapter with the model below it, so that they cannot train all weights."""
WARM_UP: Final = {"warmup_steps", "warmup_ratio"}
REPORTERS: Final = ("tensorboard", "trackio", "wandb", "mlflow")


@dataclass(frozen=True, slots=True)
class Note:
    """Something that was not carried over, or not exactly; ``line`` is the key's in the file."""

    line: int
    key: str
    text: str


class RowsOf(TypedDict, total=False):
    """What ``dataset`` of arkor.toml says of the rows."""

    form: str
    columns: dict[str, str]
    split: str
    subset: str


class DatasetTable(RowsOf, total=False):
    """``dataset`` of arkor.toml: exactly one of ``path``, ``url`` and ``huggingface``, and its rows."""

    path: str
    url: str
    huggingface: str


@dataclass(slots=True)
class Conversion:
    """A trainer under construction. ``settings`` are by the keys of ``arkor.toml``, such as ``lora.r``."""

    tool: str
    folders: tuple[Path, ...]
    """Where the file's relative paths may start: the project first, then the file's own folder."""
    text: str = ""
    """The file, for what only its comments say."""
    model: str | None = None
    datasets: list[DatasetTable] = field(default_factory=list)
    held_out: DatasetTable | None = None
    settings: dict[str, object] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    unneeded: list[str] = field(default_factory=list)
    lines: dict[str, int] = field(default_factory=dict)

    def note(self, entry: Entry, text: str) -> None:
        """Note that an entry was not carried over unchanged."""
        self.notes.append(Note(entry.line, entry.key, text))

    def set(self, key: str, entry: Entry, value: object = None) -> None:
        """Set a setting to ``value`` or the entry's, or note why not; a flag's default is left out."""
        row = ROWS[key]
        value = _as(row.rule.kind, entry.value if value is None else value)
        if isinstance(value, bool) and value is row.default:
            return
        rule = row.of(self.settings.get("method")).rule
        if rule.fits(value):
            self.settings[key], self.lines[key] = value, entry.line
        else:
            self.note(entry, f"{quoted(value)} is not allowed here: {key} must be {rule.words}")

    def apply(self, entries: Iterable[Entry], rules: Mapping[str, KeyRule]) -> None:
        """Carry over every entry that has an effect.

        ``rules`` are by key; ``name.*`` is for all keys of a section. A key without a rule counts if it is
        one of ours, or an alias in transformers, PEFT or TRL.
        """
        for entry in entries:
            if entry.value is None or entry.value == "":
                continue
            section = f"{entry.key.partition('.')[0]}.*"
            rule = rules.get(entry.key, rules.get(section, BY_NAME.get(entry.key, no_equivalent)))
            if rule is None:
                self.unneeded.append(entry.key)
            elif isinstance(entry.value, Computed):
                text = f"is computed by the script: {entry.value.source}"
                if isinstance(rule, str) and rule in SIZES:
                    default = ROWS[rule].of(self.settings.get("method")).default
                    text += f". {default} applies, unless you set it"
                self.note(entry, text)
            elif isinstance(rule, str):
                self.set(rule, entry)
            else:
                rule(self, entry)

    def default(self, values: Mapping[str, Value], given: Iterable[str] = ()) -> None:
        """Set what the file leaves to its tool's default, which is another one here.

        ``given`` are the file's keys by its own names: none of them is left out, though it may be computed.
        """
        known = {*self.settings, *(BY_NAME.get(key, key) for key in given)}
        for key, value in values.items():
            if key not in known and DECISIVE.get(key) not in known:
                self.settings[key] = value

    def data(self, entry: Entry, name: str, **more: Unpack[RowsOf]) -> DatasetTable:
        """Return a data set by name: a file of the project, an address, or a data set of Hugging Face.

        A file elsewhere is expected in ``data/``, with a note that it must be copied.
        """
        require_plain([name, more])
        if name.startswith(("https://", "http://")):
            return _with_rows({"url": name}, more)
        if name.startswith(("s3://", "gs://", "gcs://", "az://", "abfs://", "oci://")):
            self.note(entry, f"{name} is not read from here: download it into data/")
            name = name.rpartition("/")[2] or "train.jsonl"
        elif not _is_file(name):
            return _with_rows({"huggingface": name}, more)
        more.pop("split", None)
        more.pop("subset", None)
        project = self.folders[0].resolve()
        for folder in self.folders:
            path = (folder / name).resolve()
            if path.exists() and path.is_relative_to(project) and path != project:
                return _with_rows({"path": path.relative_to(project).as_posix()}, more)
        inside = f"data/{name.rstrip('/').rpartition('/')[2]}"
        self.note(entry, f"copy the data to {inside} of the project")
        return _with_rows({"path": inside}, more)

    def finish(self) -> None:
        """Remove settings that have no effect or exclude each other, with a note for each."""
        self._count_prompts()
        self._warm_up()
        method, full = self.settings.get("method"), "full_fine_tuning"
        base = method == "sdft" and self.settings.get("teacher_model_kind") != "live"
        if (base or method in WITH_REFERENCE) and self.settings.get(full):
            text = f"{method} trains an adapter here: a run needs this setting removed"
            self.notes.append(Note(self.lines.get(full, 1), full, text))
        for decisive, ignored in (("steps", "epochs"), ("warmup_steps", "warmup_ratio")):
            if decisive in self.settings and ignored in self.settings:
                self._drop(ignored, f"{decisive} decides, as it does in {self.tool}")
        if self.held_out is not None and self.settings.pop("eval_split", None):
            self.notes.append(
                Note(self.lines["eval_split"], "eval_split", "the evaluation data of their own are used")
            )
        for _ in SETTINGS:
            config = {ROWS[key].field: value for key, value in self.settings.items()}
            conflict = next(conflicts(config, lambda name: FIELDS[name].key), None)
            if conflict is None:
                break
            self._drop(FIELDS[conflict[0]].key, conflict[1].partition(". ")[0])
        self.notes = sorted(dict.fromkeys(self.notes), key=lambda note: note.line)

    def _warm_up(self) -> None:
        """Leave the warm-up that transformers makes: none if constant, and no steps are a ratio's."""
        if self.tool not in OF_TRANSFORMERS:
            return
        if self.settings.get("scheduler") == "constant":
            for key in WARM_UP & self.settings.keys():
                if not self.settings[key]:
                    self.lines.pop(key, None)
                self._drop(key, f"is not carried over: a constant schedule has no warm-up in {self.tool}")
        elif self.settings.get("warmup_steps") == 0 and "warmup_ratio" in self.settings:
            del self.settings["warmup_ratio" if self.tool == AXOLOTL else "warmup_steps"]

    def count(self, key: str) -> int:
        """Return a setting that is a whole number, or its default."""
        value = self.settings.get(key, ROWS[key].default)
        assert isinstance(value, int)
        return value

    def _drop(self, key: str, text: str) -> None:
        """Remove a setting, with a note unless it is only a default of the tool."""
        del self.settings[key]
        if key in self.lines:
            self.notes.append(Note(self.lines[key], key, text))

    def _count_prompts(self) -> None:
        """Convert the batch of GRPO, which TRL counts in answers, to one of prompts."""
        if self.settings.get("method") != "grpo" or "batch_size" not in self.settings:
            return
        batch, accumulation = self.count("batch_size"), self.count(ACCUMULATION)
        generations = self.count("num_generations")
        answers = batch * accumulation
        if answers % generations and self.tool == UNSLOTH:
            answers = generations * accumulation  # it raises the batch to the answers of one prompt
        prompts = max(1, answers // generations)
        together = max(1, batch // generations)
        if prompts % together:
            together = 1
        after = (together, prompts // together)
        if after == (batch, accumulation):
            return
        self.settings["batch_size"], self.settings[ACCUMULATION] = after
        line = next(
            self.lines[key] for key in ("batch_size", "num_generations", "method") if key in self.lines
        )
        text = (
            f"{answers} answers a step are those of {prompts} {'prompt' if prompts == 1 else 'prompts'}: "
            "batch_size counts prompts here"
        )
        self.notes.append(Note(line, "per_device_train_batch_size", text))


def _with_rows(table: DatasetTable, rows: RowsOf) -> DatasetTable:
    if "form" in rows:
        table["form"] = rows["form"]
    if "columns" in rows:
        table["columns"] = rows["columns"]
    if "split" in rows:
        table["split"] = rows["split"]
    if "subset" in rows:
        table["subset"] = rows["subset"]
    return table


def _is_file(name: str) -> bool:
    """Return whether a data set's name is a path, rather than ``owner/name`` of Hugging Face."""
    packed = name.removesuffix(".gz").removesuffix(".zst")
    return packed.endswith(SUFFIXES) or name.startswith((".", "/", "~"))


def _as(kind: str, value: object) -> object:
    """Convert a number written as text (YAML 1.1 reads ``1e-4`` so), or as ``3.0``, to that number."""
    if kind in ("whole", "number") and isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return value
    if kind == "whole" and isinstance(value, float) and value.is_integer():
        return int(value)
    return value


SIZES: Final = ("max_completion_length", "num_generations")
"""Sizes of a step of GRPO, which scripts often compute: their default is named then."""
NAMES: Final = re.compile(r"[\w.\-]+(?:\s*,\s*[\w.\-]+)*")
"""Names of layers, one or several with commas; anything else is a regular expression."""
ROWS: Final[dict[str, Setting]] = {row.key: row for row in SETTINGS}
FIELDS: Final[dict[str, Setting]] = {row.field: row for row in SETTINGS}
BY_NAME: Final = {name: row.key for row in SETTINGS for name in row.names}
"""Our keys by every name that they have, without their table."""


def refuse(entry: Entry, why: str) -> NoReturn:
    """Raise BadRequestError: without this entry, a run would be another one."""
    raise BadRequestError(f"Line {entry.line}: {entry.key}: {why}. Nothing was written.")


# --- conversions that several tools share -----------------------------------------------------------------


def flag(key: str, *, when: bool = True, value: object = True) -> Convert:
    """Return a rule that sets ``key`` if the entry equals ``when``."""

    def convert(conversion: Conversion, entry: Entry) -> None:
        if entry.value is when:
            conversion.set(key, entry, value)

    return convert


def used(_: Conversion, __: Entry) -> None:
    """Convert nothing: the entry has been read by itself."""


def no_equivalent(conversion: Conversion, entry: Entry) -> None:
    """Note a key that is unknown here, unless what it would turn on is off."""
    if entry.value not in (False, [], {}):
        conversion.note(entry, "has no equivalent here")
    else:
        conversion.unneeded.append(entry.key)


def refused(why: str) -> Convert:
    """Return a rule that refuses the file if a feature is enabled that a run would lack here."""

    def convert(_: Conversion, entry: Entry) -> None:
        if entry.value not in (False, 0, [], {}, "no", "none"):
            refuse(entry, why)

    return convert


TEXT_ONLY: Final = "only text is trained on here, neither pictures nor sound"


def model(conversion: Conversion, entry: Entry) -> None:
    """Carry over the name of the model."""
    if not ROWS["model"].rule.fits(entry.value):
        refuse(entry, f"{quoted(entry.value)} is not a model's name")
    conversion.model = str(entry.value)


def negated(key: str) -> Convert:
    """Return a rule that sets the flag ``key`` to the opposite."""
    return lambda conversion, entry: conversion.set(key, entry, not entry.value)


def noted(text: str) -> Convert:
    """Return a rule that adds a note."""
    return lambda conversion, entry: conversion.note(entry, text)


OWN_TEMPLATE: Final = "the model's own chat template is used"
OWN_END: Final = "answers end as the model's own tokenizer and chat template say"


def unsupported(text: str) -> Convert:
    """Return a rule that adds a note if an unsupported feature is enabled."""

    def convert(conversion: Conversion, entry: Entry) -> None:
        if entry.value not in (False, 0, [], {}, "no", "none"):
            conversion.note(entry, text)

    return convert


def optimizer(conversion: Conversion, entry: Entry) -> None:
    """Carry over an optimizer by its name in transformers."""
    name = str(entry.value)
    if name in OPTIMIZERS:
        conversion.set("optimizer", entry, OPTIMIZERS[name])
        if "bit" in name and "32bit" not in name:
            conversion.note(entry, f"its state is kept in float32 here: {OPTIMIZERS[name]}")
    else:
        conversion.set("optimizer", entry)


def scheduler(conversion: Conversion, entry: Entry) -> None:
    """Carry over a learning rate schedule."""
    conversion.set("scheduler", entry, SCHEDULERS.get(str(entry.value), entry.value))


def scheduler_options(conversion: Conversion, entry: Entry) -> None:
    """Carry over the schedule's own options, a mapping."""
    _options(conversion, entry, "lr_scheduler_kwargs")


def _options(conversion: Conversion, entry: Entry, table: str) -> None:
    options = entry.value if isinstance(entry.value, dict) else {}
    for name, value in options.items():
        key = f"{table}.{name}"
        if key in ROWS:
            conversion.set(key, entry, value)
        else:
            conversion.note(entry, f"{name} has no equivalent here")


def template_options(conversion: Conversion, entry: Entry) -> None:
    """Carry over the options of the chat template, a mapping."""
    _options(conversion, entry, "chat_template_kwargs")


def steps(conversion: Conversion, entry: Entry) -> None:
    """Carry over a number of steps, where -1 and 0 mean that the number of epochs applies."""
    if not isinstance(entry.value, int | float) or entry.value > 0:
        conversion.set("steps", entry)


def warmup(conversion: Conversion, entry: Entry) -> None:
    """Carry over warm-up steps; a fraction below 1 is a ratio."""
    value = _as("number", entry.value)
    conversion.set("warmup_ratio" if isinstance(value, float) and 0 < value < 1 else "warmup_steps", entry)


def held_out(conversion: Conversion, entry: Entry) -> None:
    """Carry over the held-out share of the rows, a fraction; an absolute number is not supported here."""
    value = _as("number", entry.value)
    if isinstance(value, int | float) and value >= 1:
        conversion.note(entry, "is a number of rows; here it is a fraction, and the automatic one is used")
    else:
        conversion.set("eval_split", entry, float(value) if isinstance(value, int) else value)


def half_precision(key: str) -> Convert:
    """Return a rule for ``bf16`` and ``fp16``, which may be "auto" or "full"."""

    def convert(conversion: Conversion, entry: Entry) -> None:
        if entry.value in (True, "true", "full"):
            conversion.set(key, entry, True)

    return convert


def reporters(conversion: Conversion, entry: Entry) -> None:
    """Carry over the experiment trackers; "none" and "all" are the default here."""
    names_given = entry.value if isinstance(entry.value, list) else [entry.value]
    supported = [name for name in names_given if name in REPORTERS]
    for name in names_given:
        if name not in (*REPORTERS, "none", "all"):
            conversion.note(entry, f"{quoted(name)} is not among {', '.join(REPORTERS)}")
    if supported:
        conversion.set("report_to", entry, supported)


def target_modules(conversion: Conversion, entry: Entry) -> None:
    """Carry over the adapted layers: a list, one with commas, or all of them."""
    value = entry.value
    if isinstance(value, str) and not NAMES.fullmatch(value):
        refuse(entry, f"{quoted(value)} chooses layers by a regular expression: list their names instead")
    elif isinstance(value, str) and "," in value:
        value = [name.strip() for name in value.split(",")]
    conversion.set("lora.target_modules", entry, "all-linear" if value in ("all", ["all"]) else value)


def loss_type(conversion: Conversion, entry: Entry) -> None:
    """Carry over the loss of a preference method: the first, where TRL has a list of them.

    The default of TRL's SFTConfig is ours; its others have no equivalent.
    """
    value = entry.value
    if conversion.settings.get("method", "sft") == "sft":
        if value in PLAIN_LOSSES:
            conversion.unneeded.append(entry.key)
        else:
            conversion.note(
                entry, f"{quoted(value)} is not carried over: the loss is the cross entropy (nll)"
            )
        return
    if isinstance(value, list) and value:
        if len(value) > 1:
            conversion.note(entry, f"only {quoted(value[0])} of the losses is used")
        value = value[0]
    conversion.set("loss_type", entry, value)


def prompt_length(conversion: Conversion, entry: Entry) -> None:
    """Add a note on what becomes of a long prompt."""
    if conversion.settings.get("method") in ("grpo", "sdft"):
        conversion.note(entry, "prompts are not cut here: one that max_length has no room for ends the job")
    else:
        conversion.note(entry, "prompts are cut by max_length together with their answers")


def reward_scale(conversion: Conversion, entry: Entry) -> None:
    """Carry over the scale of the rewards, which older versions of TRL have as a flag."""
    names = {True: "group", False: "none"}
    given = entry.value
    conversion.set("scale_rewards", entry, names[given] if isinstance(given, bool) else given)


def rewards(conversion: Conversion, entry: Entry) -> None:
    """Add a note on where reward functions are declared here."""
    conversion.note(
        entry, "declare each as an [[evaluation]] whose metric scores an answer (docs/rewards.md)"
    )


def interval(key: str) -> Convert:
    """Return a rule for a strategy: "no" disables, "epoch" leaves the interval to the automatic default."""

    def convert(conversion: Conversion, entry: Entry) -> None:
        if entry.value in ("no", False):  # YAML reads a bare "no" as false
            conversion.set(key, entry, 0)
        elif entry.value == "epoch":
            conversion.note(entry, f"{key} is a number of steps here, so the automatic interval is used")

    return convert


def remote_code(conversion: Conversion, entry: Entry) -> None:
    """Add a note that code from a model's repository is never run."""
    if entry.value is True:
        conversion.note(
            entry, "code from a model's repository is never run; models of transformers need none"
        )


WITHOUT_EFFECT: Final = (
    "precompute_ref_log_probs", "use_vllm", "vllm_mode", "vllm_gpu_memory_utilization",
    "gradient_checkpointing_kwargs", "logging_strategy", "logging_first_step", "logging_dir", "run_name",
    "output_dir", "overwrite_output_dir", "do_train", "do_eval", "save_only_model", "save_safetensors",
    "per_device_eval_batch_size", "eval_batch_size", "eval_accumulation_steps", "dataloader_num_workers",
    "dataloader_pin_memory", "dataloader_prefetch_factor", "dataset_num_proc", "remove_unused_columns",
    "ddp_timeout", "ddp_find_unused_parameters", "local_rank", "tf32", "push_to_hub", "hub_model_id",
    "hub_strategy", "resume_from_checkpoint", "disable_tqdm", "use_cache", "attn_implementation",
    "device_map", "torch_dtype", "dtype", "token", "log_completions", "num_completions_to_print",
    "trackio_space_id", "project",
)  # fmt: skip
"""Keys that have no effect on training here."""
COMMON: Final[dict[str, KeyRule]] = {
    **dict.fromkeys(WITHOUT_EFFECT),
    "optim": optimizer,
    "optimizer": optimizer,
    "lr_scheduler": scheduler,
    "lr_scheduler_type": scheduler,
    "lr_scheduler_kwargs": scheduler_options,
    "chat_template_kwargs": template_options,
    "max_steps": steps,
    "warmup_steps": warmup,
    "loss_type": loss_type,
    "reward_funcs": rewards,
    "scale_rewards": reward_scale,
    "max_prompt_length": prompt_length,
    "max_completion_length": "max_completion_length",
    "bf16": half_precision("bf16"),
    "fp16": half_precision("fp16"),
    "report_to": reporters,
    "target_modules": target_modules,
    "lora_target_modules": target_modules,
    "evaluation_strategy": interval("eval_every"),
    "eval_strategy": interval("eval_every"),
    "save_strategy": interval("save_every"),
    "load_in_8bit": unsupported("8-bit base models are not supported: load_in_4bit = true needs less memory"),
    "trust_remote_code": remote_code,
}
