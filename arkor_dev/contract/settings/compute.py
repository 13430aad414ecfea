"""Resources that a job reserves on a cluster node, and GPU types of the managed backend.

On this machine a job uses whatever is free.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from arkor_dev.contract.placement import WORKERS
from arkor_dev.contract.rules import Rule, above_zero, integer, text_line

from .setting import LOCAL, MANAGED, Setting

CLUSTER: Final = "the local backend, on a cluster"

_setting = partial(Setting, group="advanced")

ROWS: Final = (
    _setting(
        key="cpus",
        field="cpus",
        label="CPU cores",
        help="CPU cores to reserve on one cluster node, and the number of threads.",
        rule=integer(1, 1024),
        style="count",
        default_words="one core, all threads",
        example=4,
        where=CLUSTER,
    ),
    _setting(
        key="gpus",
        field="gpus",
        label="GPUs",
        help="GPUs over which one process spreads the layers of a model. On a cluster they are reserved.",
        rule=integer(0, 16),
        style="count",
        default_words="one here, more if the model needs them; none on a cluster",
        example=2,
        where=LOCAL,
    ),
    _setting(
        key="memory",
        field="memory",
        label="Memory",
        help="Memory to reserve on one cluster node for this job.",
        rule=above_zero(100_000),
        style="count",
        unit="GiB",
        default_words="no reservation",
        example=8,
        where=CLUSTER,
    ),
    _setting(
        key="workers",
        field="workers",
        label="Workers",
        help="Worker processes that share each batch: one per GPU here, with these resources on a cluster.",
        rule=WORKERS,
        style="count",
        default_words="one",
        example=2,
        where=LOCAL,
    ),
    Setting(
        key="gpu_types",
        field="gpuTypes",
        label="GPU types",
        help="Types of GPU to run on, by the backend's names: the preferred one first, then its substitutes.",
        rule=Rule("list", 1, 16, "a GPU type or a list of up to 16", of=text_line(100)),
        style="list",
        group="advanced",
        default_words="the backend's choice",
        example=["a100"],
        where=MANAGED,
    ),
)
