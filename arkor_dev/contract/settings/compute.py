"""What a job asks of the machine of a cluster on which it is to run; here it takes what there is."""

from __future__ import annotations

from typing import Final

from arkor_dev.contract.placement.workers import WORKERS
from arkor_dev.contract.rules import above_zero, whole

from .setting import Setting

CLUSTER: Final = "the local backend, on a cluster"

ROWS: Final = (
    Setting(
        key="cpus",
        field="cpus",
        label="Processors",
        help="Processors of one machine of a cluster, and as many threads.",
        rule=whole(1, 1024),
        style="count",
        group="advanced",
        default_words="one, with as many threads as there are",
        example=4,
        where=CLUSTER,
    ),
    Setting(
        key="gpus",
        field="gpus",
        label="GPUs",
        help="GPUs of one machine of a cluster. Training uses one.",
        rule=whole(0, 1),
        style="count",
        group="advanced",
        default_words="none",
        example=1,
        where=CLUSTER,
    ),
    Setting(
        key="memory",
        field="memory",
        label="Memory",
        help="Memory of one machine of a cluster for this job alone.",
        rule=above_zero(100_000),
        style="count",
        group="advanced",
        unit="GiB",
        default_words="not asked for",
        example=8,
        where=CLUSTER,
    ),
    Setting(
        key="workers",
        field="workers",
        label="Workers",
        help="Processes of a cluster that share each batch, each with all of this.",
        rule=WORKERS,
        style="count",
        group="advanced",
        default_words="one",
        example=2,
        where=CLUSTER,
    ),
)
