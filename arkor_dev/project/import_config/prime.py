"""prime-rl: the TOML of its supervised training; its reinforcement learning is not supported here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .conversion import model, refused, unsupported, used
from .entries import entries_of, flattened
from .yaml_subset import Section

if TYPE_CHECKING:
    from arkor_dev.contract.settings.setting import Value

    from .conversion import Conversion, KeyRule
    from .entries import Entry

NAME: Final = "prime-rl"
REWARDS: Final = ("orchestrator", "trainer", "env", "inference.model")
OWN: Final = (
    "data.seq_len",
    "optim.lr",
    "deployment.num_train_gpus",
    "model.ac.freq",
    "data.type",
    "optim.type",
)
DEFAULTS: Final[dict[str, Value]] = {
    "learning_rate": 1e-6, "scheduler": "constant", "weight_decay": 0.01, "max_length": 128, "packing": True,
    "batch_size": 128,
}  # fmt: skip


def recognises(entries: list[Entry]) -> bool:
    """Return whether a file is one of this tool."""
    keys = {entry.key for entry in entries}
    return "model.name" in keys and (
        any(key in keys for key in OWN) or any(key.startswith(("orchestrator.", "trainer.")) for key in keys)
    )


def method(entries: list[Entry]) -> tuple[str, Entry | None]:
    """Return the training method: files of reinforcement learning have an orchestrator."""
    for entry in entries:
        if entry.key in REWARDS:
            return f"reinforcement learning ({entry.key})", entry
    return "sft", None


def convert(conversion: Conversion, entries: list[Entry]) -> None:
    """Carry a file over."""
    flat = flattened(entries)
    for entry in entries:
        if entry.key == "data":
            _data(conversion, entry)
    if not any(entry.key.startswith("model.lora.") for entry in flat):
        conversion.set("full_fine_tuning", entries[0], True)
    conversion.apply(flat, RULES)
    conversion.default(DEFAULTS)


def _data(conversion: Conversion, entry: Entry) -> None:
    section = entry.value if isinstance(entry.value, Section) else Section()
    by_key = {one.key: one for one in entries_of(section, entry.line)}
    sources = by_key.get("source")
    if sources is not None and isinstance(sources.value, list):
        for source in sources.value:
            if isinstance(source, dict) and isinstance(source.get("dataset"), str):
                conversion.datasets.append(conversion.data(sources, source["dataset"]))
    elif "name" in by_key:
        conversion.datasets.append(conversion.data(by_key["name"], str(by_key["name"].value)))
    if not conversion.datasets:
        conversion.note(entry, "no data set is named: put the rows in data/train.jsonl")


def _pack(conversion: Conversion, entry: Entry) -> None:
    conversion.set("packing", entry, entry.value != "stack")


def _schedule(conversion: Conversion, entry: Entry) -> None:
    conversion.set("scheduler", entry, entry.value)


def _checkpointing(conversion: Conversion, entry: Entry) -> None:
    conversion.set("gradient_checkpointing", entry, True)


RULES: Final[dict[str, KeyRule]] = {
    **dict.fromkeys(
        ("output_dir", "clean_output_dir", "deployment.*", "slurm.*", "ckpt.*", "log.*", "bench",
        "dist_timeout_seconds",
         "experimental.*", "inference", "inference.*", "weights.*", "heartbeat.*", "run.*",
         "memory_profiler_path"),
    ),
    "ckpt": None,
    "model.name": model,
    "model.lora.rank": "lora.r",
    "model.lora.alpha": "lora.alpha",
    "model.lora.dropout": "lora.dropout",
    "model.lora.target_modules": "lora.target_modules",
    "model.seq_len": "max_length",
    "model.ac.freq": _checkpointing,
    "model.ac_offloading.max_inflight_activations": None,
    "model.compile": None,
    "model.compile.fullgraph": None,
    "model.attn": None,
    "data.name": used,
    "data.source": used,
    "data.seq_len": "max_length",
    "data.batch_size": "batch_size",
    "data.micro_batch_size": None,
    "data.pack_function": _pack,
    "data.seed": "seed",
    "data.shuffle": None,
    "data.num_workers": None,
    "data.splits": unsupported("the split train is used"),
    "data.subsets": unsupported("name the subset: dataset = { huggingface = …, subset = … }"),
    "data.type": refused("rows that are made up do not train anything"),
    "optim.type": "optimizer",
    "optim.lr": "learning_rate",
    "optim.weight_decay": "weight_decay",
    "optim.max_norm": "max_grad_norm",
    "optim.betas1": "adam_beta1",
    "optim.betas2": "adam_beta2",
    "scheduler.type": _schedule,
    "scheduler.warmup_steps": "warmup_steps",
    "max_steps": "steps",
    "max_epochs": "epochs",
    "val.*": unsupported("held-out rows judge the run here: eval_split"),
    "eval.*": unsupported("environments are not evaluated here"),
    "wandb.*": unsupported('set report_to = ["wandb"]'),
    "monitors.*": unsupported('set report_to = ["wandb"]'),
}  # fmt: skip
