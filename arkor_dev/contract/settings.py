"""The trainer's settings, each said once; all that reads, checks, shows or documents them comes from here.

That is: ``arkor.toml`` and its errors, the local backend's check of a job, the page's types and labels
(``scripts/generate.py``), the file that ``arkor-dev init`` writes, and ``docs/settings.md``. Adding a setting
means a row here and the code that obeys it (``arkor_dev/local/training``); a test fails for a row that no
training reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .rules import FLAG, Rule, quoted, text_line
from .setting import Setting

if TYPE_CHECKING:
    from collections.abc import Mapping

MANY: Final = 10_000_000


def _whole(low: int, high: int = MANY) -> Rule:
    return Rule("whole", low, high)


def _above_zero(high: float) -> Rule:
    return Rule("number", 0, high, above=True)


SETTINGS: tuple[Setting, ...] = (
    Setting(
        key="model",
        field="model",
        label="Base model",
        help="The model that learns: the starter model, a model hub's id, or a folder.",
        rule=text_line(300, "a model's name or folder, as one line of text"),
        style="text",
        group="usual",
        example="smollm2-135m-instruct",
        required=True,
    ),
    Setting(
        key="steps",
        field="maxSteps",
        label="Steps",
        help="How long to train, in steps of one batch each. Set steps or epochs, not both.",
        rule=_whole(1),
        style="count",
        group="usual",
        unit="steps",
        default_words="as many as the epochs take",
        example=40,
        passes=lambda value: value == -1,  # as trainers of Hugging Face say "by epochs"
    ),
    Setting(
        key="epochs",
        field="numTrainEpochs",
        label="Epochs",
        help="How long to train, in passes through the whole data set. Set steps or epochs, not both.",
        rule=_above_zero(10_000),
        style="count",
        group="usual",
        unit="passes",
        default=3,
    ),
    Setting(
        key="batch_size",
        field="batchSize",
        label="Batch size",
        help="Chats of one step. Fewer need less memory.",
        rule=_whole(1, 1024),
        style="count",
        group="usual",
        unit="chats",
        default=4,
    ),
    Setting(
        key="learning_rate",
        field="learningRate",
        label="Learning rate",
        help="How fast it learns. Too high and the loss jumps about, too low and it hardly falls.",
        # The gradient is cut to a length of 1, so at a rate of 1 one step can replace all that was learned.
        rule=_above_zero(1),
        style="rate",
        group="usual",
        default=2e-4,
    ),
    Setting(
        key="scheduler",
        field="lrSchedulerType",
        label="Schedule",
        help="How the learning rate falls from its height to the end.",
        rule=Rule("choice", choices=("linear", "cosine", "constant", "constant_with_warmup")),
        style="text",
        group="usual",
        default="linear",
    ),
    Setting(
        key="warmup_steps",
        field="warmupSteps",
        label="Warm-up",
        help="Steps over which the learning rate rises to its height.",
        rule=_whole(0),
        style="steps",
        group="usual",
        unit="steps",
        default_words="a twentieth of the steps",
        example=2,
    ),
    Setting(
        key="lora.r",
        field="loraR",
        label="LoRA rank",
        help="The size of the adapter. Larger holds more and needs more memory.",
        rule=_whole(1, 1024),
        style="count",
        group="usual",
        default=8,
    ),
    Setting(
        key="lora.alpha",
        field="loraAlpha",
        label="LoRA alpha",
        help="How strongly the adapter counts, usually twice r.",
        rule=_above_zero(10_000),
        style="count",
        group="usual",
        default_words="twice r",
        example=16,
    ),
    Setting(
        key="max_length",
        field="maxLength",
        label="Maximum length",
        help="Tokens of one chat. What is longer is cut.",
        rule=_whole(8, 1_000_000),
        style="tokens",
        group="usual",
        unit="tokens",
        default_words="512 on a CPU, 1,024 on a GPU, and no more than the model takes",
        example=1024,
    ),
    Setting(
        key="train_on_responses_only",
        field="trainOnResponsesOnly",
        label="Loss on answers only",
        help="Learn the answers, not the questions.",
        rule=FLAG,
        style="flag",
        group="data",
        default=True,
    ),
    Setting(
        key="eval_split",
        field="datasetSplit",
        label="Evaluation split",
        help="The part of the chats that is kept out of training, to measure the loss on.",
        rule=Rule("number", 0, 0.9, "a fraction of the rows,"),
        style="share",
        group="usual",
        default_words="a tenth and 32 rows at most; none of fewer than ten rows",
        example=0.1,
        passes=lambda value: not isinstance(value, int | float),  # the name of a split, say
    ),
    Setting(
        key="eval_every",
        field="evalSteps",
        label="Evaluation",
        help="Measure the loss on the chats kept out of training every so many steps; 0 is never.",
        rule=_whole(0),
        style="interval",
        group="usual",
        unit="steps",
        default_words="a fifth of the steps",
        example=10,
    ),
    Setting(
        key="save_every",
        field="saveSteps",
        label="Checkpoints",
        help="Save a checkpoint every so many steps, to talk to in the Playground; 0 is never.",
        rule=_whole(0),
        style="interval",
        group="usual",
        unit="steps",
        default_words="a quarter of the steps",
        example=20,
    ),
    Setting(
        key="log_every",
        field="loggingSteps",
        label="Logging",
        help="Report the loss every so many steps.",
        rule=_whole(1),
        style="interval",
        group="evaluation",
        unit="steps",
        default_words="a five-hundredth of the steps",
        example=1,
    ),
    Setting(
        key="optimizer",
        field="optim",
        label="Optimiser",
        help="The rule by which the weights follow the gradient.",
        rule=Rule("choice", choices=("adamw", "sgd")),
        style="text",
        group="schedule",
        default="adamw",
        passes=lambda value: isinstance(value, str) and "adamw" in value,  # adamw_8bit, adamw_torch
    ),
    Setting(
        key="weight_decay",
        field="weightDecay",
        label="Weight decay",
        help="How strongly the weights are drawn towards zero at each step.",
        rule=Rule("number", 0, 1),
        style="rate",
        group="schedule",
        default=0.0,
    ),
    Setting(
        key="seed",
        field="seed",
        label="Seed",
        help="What everything random comes from: the same seed on the same machine gives the same adapter.",
        rule=_whole(0, 2**32 - 1),
        style="text",
        group="advanced",
        default=42,
        where="the local backend",
    ),
    Setting(
        key="load_in_4bit",
        field="loadIn4bit",
        label="Loaded in 4 bit",
        help="Load the base model in 4 bit, which needs a quarter of the memory.",
        rule=FLAG,
        style="flag",
        group="precision",
        default=False,
        where="CUDA GPUs",
    ),
    Setting(
        key="number_format",
        field="numberFormat",
        label="Number format",
        help="What a CPU computes in; the weights that learn are float32 in any case.",
        rule=Rule("choice", choices=("float32", "bfloat16")),
        style="text",
        group="precision",
        default_words="the quicker one, measured",
        example="float32",
        where="the local backend on a CPU",
    ),
    Setting(
        key="dry_run",
        field="dryRun",
        label="Dry run",
        help="Train on a few rows for a few steps, to see that everything works.",
        rule=FLAG,
        style="flag",
        group="advanced",
        default=False,
    ),
)


def below(table: str) -> list[Setting]:
    """The settings that stand directly in a table of arkor.toml; ``""`` is the ``[[trainer]]``."""
    return [setting for setting in SETTINGS if setting.table == table]


def tables() -> list[str]:
    """The tables inside a ``[[trainer]]`` that hold settings."""
    return list(dict.fromkeys(setting.table for setting in SETTINGS if setting.table))


def by_field() -> dict[str, Setting]:
    """Every setting by its field on the wire."""
    return {setting.field: setting for setting in SETTINGS}


def wire_problem(config: Mapping[str, object]) -> str | None:
    """What is wrong with the first setting of a job's config that is; null counts as unsaid."""
    for setting in SETTINGS:
        value = config.get(setting.field)
        if value is None:
            if setting.required:
                return f"config.{setting.field} is missing: it must be {setting.rule.words}"
        elif not setting.passes(value) and not setting.rule.fits(value):
            return f"config.{setting.field} must be {setting.rule.words}, not {quoted(value)}"
    return None
