"""When a run logs, evaluates, saves and stops."""

from __future__ import annotations

from functools import partial
from typing import Final

from arkor_dev.contract.rules import Rule, integer, text_line

from .classification import METHOD as CLASSIFICATION
from .embedding import METHOD as EMBEDDING
from .setting import EVERYWHERE, LOCAL, Setting

RERANKING: Final = "rerank"
NO_SAMPLES: Final = "off"
SETTLED: Final = "settled"


def samples_off(samples: object) -> bool:
    """Return whether the setting ``samples`` turns off sample answers."""
    return samples in (NO_SAMPLES, [NO_SAMPLES])


_setting = partial(Setting, group="evaluation", where=LOCAL)

ROWS: Final = (
    _setting(
        key="log_every",
        aliases=("logging_steps",),
        field="loggingSteps",
        adjustable=True,
        label="Log every",
        help="Log the loss every N steps.",
        rule=integer(1),
        style="interval",
        unit="steps",
        default_words="1/500 of the steps",
        example=1,
        where=EVERYWHERE,
    ),
    _setting(
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
        default_words="three held-out examples",
        example=["Where is my parcel?", "Can I get a refund?"],
    ),
    _setting(
        key="early_stopping_patience",
        field="earlyStoppingPatience",
        label="Early stopping patience",
        help="Stop after this many evaluations without improvement on half of the held-out rows, and keep "
        "the best adapter; the other half judges it.",
        rule=integer(1, 1000),
        style="count",
        unit="evaluations",
        default_words="early stopping off; the final adapter is kept",
        example=3,
    ),
    _setting(
        key="early_stopping_threshold",
        field="earlyStoppingThreshold",
        label="Early stopping threshold",
        help="Minimum improvement of that loss that counts for early stopping.",
        rule=Rule("number", 0, 100),
        style="rate",
        default=0.0,
    ),
    _setting(
        key="stop_when",
        field="stopWhen",
        label="Stop when",
        help="End the run after its last step, or at the first evaluation that settles the verdict: better, "
        "or hopeless from half of the run on. The adapter may still improve then.",
        rule=Rule("choice", choices=("last_step", SETTLED)),
        style="text",
        default="last_step",
        methods=("sft", "sdft", "distill"),
    ),
    _setting(
        key="verdict_margin",
        field="verdictMargin",
        adjustable=True,
        label="Verdict margin",
        help="The smallest difference in mean loss per token that counts as better or worse in the verdict.",
        rule=Rule("number", 0, 10),
        style="rate",
        unit="nats",
        default=0.01,
        variants={
            CLASSIFICATION: {
                "help": "The smallest difference in accuracy from the most frequent label that counts as "
                "better or worse in the verdict.",
                "unit": "",
            },
            EMBEDDING: {
                "help": "The smallest difference in nDCG@10, or in the rank correlation with scores, that "
                "counts as better or worse in the verdict.",
                "unit": "",
            },
            RERANKING: {
                "help": "The smallest difference in nDCG@10 from the order of the rows that counts as better "
                "or worse in the verdict.",
                "unit": "",
            },
        },
    ),
    _setting(
        key="replay",
        field="replay",
        label="Replay",
        help="Against forgetting: this share of each step's rows are general prompts that the base model "
        "answered itself.",
        rule=Rule("number", 0, 0.5),
        style="rate",
        group="data",
        default=0.0,
        example=0.2,
        methods=("sft",),
    ),
    _setting(
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
        methods=("sft",),
    ),
    _setting(
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
        methods=("sft",),
    ),
    _setting(
        key="max_harm",
        field="maxHarm",
        label="Max harm in general",
        help="Against forgetting: choose among the run's checkpoints and turn the adapter down, until its "
        "loss on general questions is less than this above the base's, with 95 % confidence.",
        rule=Rule("number", 0.01, 10),
        style="rate",
        unit="nats",
        group="data",
        default_words="no limit",
        example=0.2,
        methods=("sft", "sdft", "distill"),
    ),
    _setting(
        key="save_total_limit",
        field="saveTotalLimit",
        adjustable=True,
        label="Max checkpoints to keep",
        help="Keep the newest N checkpoints and the best one; delete the others.",
        rule=integer(1, 10_000),
        style="count",
        unit="checkpoints",
        default_words="all",
        example=3,
    ),
    _setting(
        key="on_non_finite",
        field="onNonFinite",
        adjustable=True,
        label="On NaN/Inf loss",
        help="Stop, or roll back once to the last evaluation or checkpoint and halve the learning rate.",
        rule=Rule("choice", choices=("stop", "lower_rate")),
        style="text",
        default="stop",
    ),
)
