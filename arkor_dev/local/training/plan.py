"""A job's settings with every default resolved: steps, optimizer, when to report and save."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, TypeVar

from arkor_dev.contract.settings import SETTINGS
from arkor_dev.contract.settings.conflicts import BETAS, EPSILON
from arkor_dev.contract.settings.evaluation import SETTLED
from arkor_dev.contract.settings.schedule import OPTIMIZERS
from arkor_dev.local.workers.errors import JobFailure

from .schedule import Schedule, default_rate

if TYPE_CHECKING:
    from .job_settings import EffectiveSettings, MethodSettings


DRY_ROWS: Final = 20
DRY_STEPS: Final = 4


def asked_format(settings: EffectiveSettings) -> str | None:
    """Return the requested dtype by torch's name; None if it is to be chosen by measurement."""
    format_name, half, short = (settings.get(field) for field in ("numberFormat", "bf16", "fp16"))
    if short:
        return "float16"
    if half is not None:
        return "bfloat16" if half else "float32"
    return None if format_name == "auto" else format_name


Member = TypeVar("Member", int, str)


@dataclass(frozen=True, slots=True)
class OptimizerPlan:
    """The optimizer and its initial values. ``betas`` and ``epsilon`` apply to the Adam family."""

    kind: str
    rate: float
    weight_decay: float
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8

    @classmethod
    def of(cls, settings: EffectiveSettings, parameters: int = 0) -> OptimizerPlan:
        """Build from a job's settings; another backend's AdamW variants map to ours.

        The default learning rate depends on the model's number of ``parameters``.
        """
        get, name = settings.get, settings.get("optim")
        kind = settings.resolve("optim", name if name in OPTIMIZERS else "adamw")
        usual = default_rate(parameters, full=get("fullFineTuning"), optimizer=kind)
        plan = cls(kind, get("learningRate", usual.value), get("weightDecay"))
        if kind in BETAS:
            plan = replace(plan, betas=(get("adamBeta1"), get("adamBeta2")))
        return replace(plan, epsilon=get("adamEpsilon")) if kind in EPSILON else plan


@dataclass(frozen=True, slots=True)
class AdapterPlan:
    """The adapter's settings. ``targets`` and ``saved`` are suffixes of layer names, ``layers`` indices of
    blocks.

    An empty ``layers`` means every block. ``init`` uses the contract's values.
    """

    rank: int
    alpha: float
    dropout: float
    targets: tuple[str, ...]
    layers: tuple[int, ...]
    saved: tuple[str, ...]
    rslora: bool
    dora: bool
    init: str

    @classmethod
    def of(cls, settings: EffectiveSettings) -> AdapterPlan:
        """Build from a job's settings."""
        get = settings.get
        rank, init = get("loraR"), get("initLoraWeights")
        return cls(
            rank=rank,
            alpha=get("loraAlpha", 2 * rank),
            dropout=get("loraDropout"),
            targets=_members(get("loraTargetModules")),
            layers=_members(get("loraLayersToTransform")),
            saved=_members(get("loraModulesToSave")),
            rslora=get("useRslora"),
            dora=get("useDora"),
            init=settings.resolve("initLoraWeights", "default" if init is True else init),
        )


def _members(value: list[Member] | Member | None) -> tuple[Member, ...]:
    """Return a tuple: of a list's items, of a single value, or empty for None."""
    if value is None:
        return ()
    return tuple(value) if isinstance(value, list) else (value,)


@dataclass(frozen=True, slots=True)
class Plan:
    """A job's settings with every default resolved. Counts are optimizer steps, ``max_length`` is in tokens.

    ``adapter`` is None for full fine-tuning. ``accumulation`` batches make a step, ``per_epoch`` steps an
    epoch. ``packed_to`` is the maximum number of tokens in a pack of rows; 0 disables packing. ``by_length``
    groups rows of similar length. ``max_norm`` clips the gradient; 0 disables that. ``smoothing`` is the
    label smoothing, ``noise`` NEFTune's alpha, 0 for none. ``gradient_checkpointing`` recomputes activations,
    with ``selective_checkpointing`` only those for which there is no memory, ``offload`` moves them to CPU
    memory. ``streams``: the layers' frozen weights are read from their files as they are used.
    ``order_seed`` shuffles the rows.
    ``max_checkpoints`` is the maximum number of checkpoints kept, None for all. ``patience`` consecutive
    evaluations without an improvement of more than ``threshold`` stop the run, and so does a settled verdict
    with ``stops_settled``. ``rolls_back``: roll back once
    after a non-finite loss. ``method`` holds the training method's settings, by field.
    """

    steps: int
    batch_size: int
    accumulation: int
    per_epoch: int
    packed_to: int
    by_length: bool
    schedule: Schedule
    optimizer: OptimizerPlan
    max_norm: float
    smoothing: float
    noise: float
    gradient_checkpointing: bool
    selective_checkpointing: bool
    offload: bool
    streams: bool
    order_seed: int
    logging: int
    save: int
    max_checkpoints: int | None
    evaluate: int
    patience: int | None
    threshold: float
    stops_settled: bool
    rolls_back: bool
    adapter: AdapterPlan | None
    method: MethodSettings = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        settings: EffectiveSettings,
        train_rows: int,
        eval_rows: int,
        packed_to: int = 0,
        restart: int = 0,
        parameters: int = 0,
    ) -> Plan:
        """Plan a job that trains on ``train_rows`` rows and evaluates on ``eval_rows``.

        With ``packed_to``, ``train_rows`` counts packs. The schedule restarts after step ``restart``. The
        model's number of ``parameters``, known once it is loaded, determines the default learning rate.
        """
        get, resolve = settings.get, settings.resolve
        batch = resolve("batchSize", min(get("batchSize"), train_rows))
        accumulation = get("gradientAccumulationSteps")
        per_epoch = steps_per_epoch(train_rows, batch, accumulation)
        steps = get("maxSteps", -1)
        if steps < 1:
            steps = max(1, math.ceil(get("numTrainEpochs") * per_epoch))
        save = get("saveSteps", max(1, steps // 4))
        evaluate = get("evalSteps", evaluations(steps, save))
        if get("dryRun"):
            steps = min(steps, DRY_STEPS)
            save, evaluate = max(1, steps - 1), steps
        resolve("numTrainEpochs", round(steps / per_epoch, 4))
        evaluate, patience = evaluate if eval_rows else 0, get("earlyStoppingPatience")
        if patience and not evaluate:
            raise JobFailure(
                "early_stopping_patience requires evaluations, but no rows are held out: set eval_split, "
                "or remove early_stopping_patience"
            )
        stops_settled = get("stopWhen") == SETTLED
        if stops_settled and not evaluate:
            raise JobFailure(
                "stop_when requires evaluations, but no rows are held out: set eval_split, or remove "
                "stop_when"
            )
        optimizer, streams = OptimizerPlan.of(settings, parameters), get("offload") == "layers"
        return cls(
            steps=resolve("maxSteps", steps),
            batch_size=batch,
            accumulation=accumulation,
            per_epoch=per_epoch,
            packed_to=packed_to,
            by_length=get("groupByLength"),
            schedule=Schedule.of(settings, steps, optimizer.rate, restart),
            optimizer=optimizer,
            max_norm=get("maxGradNorm"),
            smoothing=get("labelSmoothingFactor"),
            noise=get("neftuneNoiseAlpha") or 0.0,
            gradient_checkpointing=get("gradientCheckpointing", get("loadIn4bit") or streams),
            selective_checkpointing=False,
            offload=get("activationOffloading"),
            streams=streams,
            order_seed=get("dataSeed", get("seed")),
            logging=get("loggingSteps", max(1, steps // 500)),
            save=resolve("saveSteps", save),
            max_checkpoints=get("saveTotalLimit"),
            patience=patience,
            threshold=get("earlyStoppingThreshold") if patience else 0.0,
            evaluate=resolve("evalSteps", evaluate),
            stops_settled=stops_settled,
            rolls_back=get("onNonFinite") == "lower_rate",
            adapter=None if get("fullFineTuning") else AdapterPlan.of(settings),
            method={row.field: get(row.field) for row in SETTINGS if get("method") in row.methods},
        )


def evaluations(steps: int, save: int) -> int:
    """Return the default evaluation interval: about a quarter of the steps, aligned with checkpoints every
    ``save``.

    Only evaluated checkpoints can be compared.
    """
    quarter = max(1, steps // 4)
    if save > quarter:
        least = -(-save // quarter)
        return next((save // part for part in range(least, 3 * least) if save % part == 0), quarter)
    return save * (quarter // save) if save else quarter


def steps_per_epoch(units: int, batch_size: int, accumulation: int) -> int:
    """Return the steps of an epoch over ``units`` rows or packs; the last one may be smaller."""
    return math.ceil(math.ceil(units / batch_size) / accumulation)
