"""When a run reports, measures, saves and stops."""

from __future__ import annotations

from typing import Final

from arkor_dev.contract.rules import Rule, text_line, whole

from .setting import LOCAL, Setting

NO_SAMPLES: Final = "off"


def asks_nothing(samples: object) -> bool:
    """Whether the setting ``samples`` says that a job answers nothing."""
    return samples in (NO_SAMPLES, [NO_SAMPLES])


ROWS: Final = (
    Setting(
        key="log_every",
        aliases=("logging_steps",),
        field="loggingSteps",
        label="Logging",
        help="Report the loss every so many steps.",
        rule=whole(1),
        style="interval",
        group="evaluation",
        unit="steps",
        default_words="a five-hundredth of the steps",
        example=1,
    ),
    Setting(
        key="samples",
        field="samples",
        label="Sample prompts",
        help='What the base and each checkpoint are asked, to see how answers change; "off" for nothing.',
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
        default_words="four of the chats kept out of training",
        example=["Where is my parcel?", "Can I get a refund?"],
        where=LOCAL,
    ),
    Setting(
        key="early_stopping_patience",
        field="earlyStoppingPatience",
        label="Patience",
        help="Stop after so many evaluations without a better one, and keep the adapter of the best.",
        rule=whole(1, 1000),
        style="count",
        group="evaluation",
        unit="evaluations",
        default_words="never stop early; the last adapter is kept",
        example=3,
        where=LOCAL,
    ),
    Setting(
        key="early_stopping_threshold",
        field="earlyStoppingThreshold",
        label="Least improvement",
        help="By how much an evaluation has to be better to count as one, where patience is set.",
        rule=Rule("number", 0, 100),
        style="rate",
        group="evaluation",
        default=0.0,
        where=LOCAL,
    ),
    Setting(
        key="save_total_limit",
        field="saveTotalLimit",
        label="Checkpoints kept",
        help="Keep so many checkpoints, the newest, beside the best one; remove the others from the disk.",
        rule=whole(1, 10_000),
        style="count",
        group="evaluation",
        unit="checkpoints",
        default_words="all of them",
        example=3,
        where=LOCAL,
    ),
    Setting(
        key="on_non_finite",
        field="onNonFinite",
        label="A loss that is no number",
        help="Stop at once, or go back once to the last evaluation or checkpoint, with half the rate.",
        rule=Rule("choice", choices=("stop", "lower_rate")),
        style="text",
        group="evaluation",
        default="stop",
        where=LOCAL,
    ),
)
