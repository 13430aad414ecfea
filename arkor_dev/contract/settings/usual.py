"""The most common settings: model, length, learning rate, evaluation and checkpoints."""

from __future__ import annotations

from functools import partial
from typing import Final

from arkor_dev.contract.rules import Rule, above_zero, integer, text_line

from .preference import RATINGS
from .setting import LOCAL, Setting

_setting = partial(Setting, group="usual")

ROWS: Final = (
    _setting(
        key="model",
        field="model",
        label="Base model",
        help="The model to fine-tune: the starter model, a Hugging Face model id, or a folder.",
        rule=text_line(300, "a model's name or folder, as one line of text"),
        style="text",
        example="smollm2-135m-instruct",
        required=True,
    ),
    _setting(
        key="steps",
        aliases=("max_steps",),
        field="maxSteps",
        adjustable=True,
        label="Steps",
        help="Number of optimizer steps. Set steps or epochs, not both.",
        rule=integer(1),
        style="count",
        unit="steps",
        default_words="derived from epochs",
        example=40,
        passes=lambda value: value == -1,  # the name in Hugging Face trainers for "by epochs"
    ),
    _setting(
        key="epochs",
        aliases=("num_train_epochs",),
        field="numTrainEpochs",
        adjustable=True,
        label="Epochs",
        help="Number of passes through the training set. Set steps or epochs, not both.",
        rule=above_zero(10_000),
        style="count",
        default=3,
    ),
    _setting(
        key="batch_size",
        aliases=("per_device_train_batch_size",),
        field="batchSize",
        label="Batch size",
        help="Examples per batch. A smaller batch needs less memory.",
        rule=integer(1, 1024),
        style="count",
        unit="examples",
        default=4,
        measured_by=RATINGS,  # their loss depends on the other rows of a batch
    ),
    _setting(
        key="gradient_accumulation_steps",
        field="gradientAccumulationSteps",
        label="Gradient accumulation steps",
        help="Accumulates gradients over this many batches before each update.",
        rule=integer(1, 10_000),
        style="count",
        default=1,
        where=LOCAL,
    ),
    _setting(
        key="learning_rate",
        field="learningRate",
        adjustable=True,
        label="Learning rate",
        help="Step size. Too high: the loss spikes; too low: it barely falls.",
        # The gradient norm is clipped to 1, so with a rate of 1 a single step can replace all that was
        # learned.
        rule=above_zero(1),
        style="rate",
        default_words=(
            "by the model's size: 5e-4 below 4 B parameters, 2e-4 below 20 B, else 1e-4; "
            "a tenth of that for the whole model, a fifth with lion"
        ),
        example=5e-4,
    ),
    _setting(
        key="scheduler",
        aliases=("lr_scheduler_type",),
        field="lrSchedulerType",
        adjustable=True,
        label="LR scheduler",
        help="How the learning rate decays.",
        rule=Rule(
            "choice",
            choices=(
                "linear",
                "cosine",
                "constant",
                "constant_with_warmup",
                "cosine_with_restarts",
                "polynomial",
                "wsd",
            ),
        ),
        style="text",
        default="linear",
        passes=lambda value: value == "warmup_stable_decay",  # transformers' name for wsd
    ),
    _setting(
        key="warmup_steps",
        field="warmupSteps",
        adjustable=True,
        label="Warmup steps",
        help="Steps to ramp up to the peak learning rate.",
        rule=integer(0),
        style="steps",
        default_words="5 % of the steps",
        example=2,
    ),
    _setting(
        key="lora.r",
        field="loraR",
        label="LoRA rank",
        help="Rank of the LoRA matrices. A higher rank learns more and needs more memory.",
        rule=integer(1, 1024),
        style="count",
        default=8,
    ),
    _setting(
        key="lora.alpha",
        aliases=("lora.lora_alpha",),
        field="loraAlpha",
        label="LoRA alpha",
        help="LoRA scaling factor; commonly twice the rank.",
        rule=above_zero(10_000),
        style="count",
        default_words="twice the rank",
        example=16,
    ),
    _setting(
        key="max_length",
        aliases=("max_seq_length",),
        field="maxLength",
        label="Max length",
        help="Maximum tokens per example. Longer examples are truncated.",
        rule=integer(8, 1_000_000),
        style="tokens",
        unit="tokens",
        default_words="512 on a CPU, 1,024 on a GPU, never above the model's context",
        example=1024,
    ),
    _setting(
        key="eval_split",
        field="datasetSplit",
        label="Evaluation split",
        help="Fraction held out for evaluation.",
        rule=Rule("number", 0, 0.9, "a fraction of the rows,"),
        style="share",
        default_words=(
            "10 %, at least 8 rows from 24 on, at most 32 rows or groups of rows; none below ten rows"
        ),
        example=0.1,
        passes=lambda value: not isinstance(value, int | float),  # such as the name of a split
    ),
    _setting(
        key="eval_every",
        aliases=("eval_steps",),
        field="evalSteps",
        adjustable=True,
        label="Evaluate every",
        help="Evaluate on the held-out rows every N steps; 0 disables evaluation.",
        rule=integer(0),
        style="interval",
        unit="steps",
        default_words="about a quarter of the steps, aligned with checkpoints",
        example=10,
    ),
    _setting(
        key="save_every",
        aliases=("save_steps",),
        field="saveSteps",
        adjustable=True,
        label="Save every",
        help="Save a checkpoint every N steps, to try in the playground; 0 disables checkpoints.",
        rule=integer(0),
        style="interval",
        unit="steps",
        default_words="a quarter of the steps",
        example=20,
    ),
)
