"""When a run logs, evaluates, saves and stops."""

from __future__ import annotations

from typing import Final

from arkor_dev.contract.rules import Rule, integer, text_line

from .setting import LOCAL, Setting

NO_SAMPLES: Final = "off"


def asks_nothing(samples: object) -> bool:
    """Return whether the setting ``samples`` turns off sample answers."""
    return samples in (NO_SAMPLES, [NO_SAMPLES])


ROWS: Final = (
    Setting(
        key="log_every",
        aliases=("logging_steps",),
        field="loggingSteps",
        label="Log every",
        help="Log the loss every N steps.",
        rule=integer(1),
        style="interval",
        group="evaluation",
        unit="steps",
        default_words="1/500 of the steps",
        example=1,
    ),
    Setting(
        key="samples",
        field="samples",
        label="Sample prompts",
        help='Prompts that the base model and each checkpoint answer during the run; "off" for none.',
        rule=Rule(
            "list",
            1,
            8,
            f'a prompt or a list of up to 8, each one line of text, or "{NO_SAMPLES}" alone',
            of=text_line(2000),
            alone=(NO_SAMPLES,),
        ),
        style="list",
        group="evaluation",
        default_words="three held-out examples",
        example=["Where is my parcel?", "Can I get a refund?"],
        where=LOCAL,
    ),
    Setting(
        key="early_stopping_patience",
        field="earlyStoppingPatience",
        label="Early stopping patience",
        help="Stop after this many evaluations without improvement and keep the best adapter.",
        rule=integer(1, 1000),
        style="count",
        group="evaluation",
        unit="evaluations",
        default_words="early stopping off; the final adapter is kept",
        example=3,
        where=LOCAL,
    ),
    Setting(
        key="early_stopping_threshold",
        field="earlyStoppingThreshold",
        label="Early stopping threshold",
        help="Minimum improvement of the held-out loss that counts for early stopping.",
        rule=Rule("number", 0, 100),
        style="rate",
        group="evaluation",
        default=0.0,
        where=LOCAL,
    ),
    Setting(
        key="verdict_margin",
        field="verdictMargin",
        label="Verdict margin",
        help="The smallest difference in mean loss per token that counts as better or worse in the verdict.",
        rule=Rule("number", 0, 10),
        style="rate",
        group="evaluation",
        unit="nats",
        default=0.01,
        where=LOCAL,
    ),
    Setting(
        key="replay",
        field="replay",
        label="Replay",
        help="Against forgetting: this share of each step's rows are general prompts that the base model "
        "answered itself before training.",
        rule=Rule("number", 0, 0.5),
        style="rate",
        group="data",
        default=0.0,
        example=0.2,
        where=LOCAL,
        methods=("sft",),
    ),
    Setting(
        key="replay_dataset",
        field="replayDataset",
        label="Replay data set",
        help="General prompts for replay and base_kl in place of the built-in ones; the base model answers "
        "those without an answer.",
        rule=text_line(1000, "the path of a file or folder of the project"),
        style="text",
        group="data",
        default_words="the built-in prompts",
        example="data/general.jsonl",
        where=LOCAL,
        methods=("sft",),
    ),
    Setting(
        key="base_kl",
        field="baseKl",
        label="Base KL penalty",
        help="Against forgetting: this times the adapter's divergence from its base on general prompts is "
        "added to the loss. The rows are those of replay, or a fifth of each step's without it.",
        rule=Rule("number", 0, 10),
        style="rate",
        group="data",
        default=0.0,
        example=0.1,
        where=LOCAL,
        methods=("sft",),
    ),
    Setting(
        key="save_total_limit",
        field="saveTotalLimit",
        label="Max checkpoints to keep",
        help="Keep the newest N checkpoints and the best one; delete the others.",
        rule=integer(1, 10_000),
        style="count",
        group="evaluation",
        unit="checkpoints",
        default_words="all",
        example=3,
        where=LOCAL,
    ),
    Setting(
        key="on_non_finite",
        field="onNonFinite",
        label="On NaN/Inf loss",
        help="Stop, or roll back once to the last evaluation or checkpoint and halve the learning rate.",
        rule=Rule("choice", choices=("stop", "lower_rate")),
        style="text",
        group="evaluation",
        default="stop",
        where=LOCAL,
    ),
)
