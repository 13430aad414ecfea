"""The settings in a job's config as types.

Generated from ``arkor_dev/contract/settings/`` by ``scripts/generate.py``. Not edited by hand. None is the
default.
"""

from __future__ import annotations

from typing import Literal, TypedDict


class JobSettings(TypedDict, total=False):
    """The settings of a job, by field."""

    maxSteps: int | None
    numTrainEpochs: float | None
    batchSize: int | None
    gradientAccumulationSteps: int | None
    learningRate: float | None
    lrSchedulerType: (
        Literal[
            "linear",
            "cosine",
            "constant",
            "constant_with_warmup",
            "cosine_with_restarts",
            "polynomial",
            "wsd",
        ]
        | None
    )
    warmupSteps: int | None
    loraR: int | None
    loraAlpha: float | None
    maxLength: int | None
    datasetSplit: float | None
    evalSteps: int | None
    saveSteps: int | None
    warmupRatio: float | None
    lrNumCycles: int | None
    lrPower: float | None
    lrNumDecaySteps: int | None
    optim: Literal["adamw", "adamw_torch", "adamw_torch_fused", "adafactor", "sgd", "lion"] | None
    weightDecay: float | None
    adamBeta1: float | None
    adamBeta2: float | None
    adamEpsilon: float | None
    maxGradNorm: float | None
    fullFineTuning: bool | None
    loraTargetModules: str | list[str] | None
    loraLayersToTransform: int | list[int] | None
    loraModulesToSave: str | list[str] | None
    loraDropout: float | None
    useRslora: bool | None
    useDora: bool | None
    initLoraWeights: Literal["default", "gaussian", "orthogonal", "pissa", "olora"] | None
    method: str | None
    trainOnResponsesOnly: bool | None
    completionOnlyLoss: bool | None
    enableThinking: bool | None
    thoughtWeight: float | None
    answerWeight: float | None
    trainOnEmptyThoughts: bool | None
    packing: bool | None
    groupByLength: bool | None
    labelSmoothingFactor: float | None
    skipBadRows: bool | None
    beta: float | None
    lossType: (
        Literal["sigmoid", "hinge", "ipo", "apo_zero", "simpo", "dapo", "grpo", "bnpo", "dr_grpo"] | None
    )
    rpoAlpha: float | None
    cpoAlpha: float | None
    simpoGamma: float | None
    desirableWeight: float | None
    undesirableWeight: float | None
    rewardFuncs: str | list[str] | None
    rewardWeights: float | list[float] | None
    environment: str | None
    maxTurns: int | None
    maxEpisodeTokens: int | None
    numGenerations: int | None
    maxCompletionLength: int | None
    temperature: float | None
    scaleRewards: Literal["group", "batch", "none"] | None
    numIterations: int | None
    epsilon: float | None
    epsilonHigh: float | None
    importanceSamplingLevel: Literal["token", "sequence"] | None
    maskTruncatedCompletions: bool | None
    softPunishCache: int | None
    maxResampleTimes: int | None
    teacher: str | None
    lmbda: float | None
    seqKd: bool | None
    distillationTopk: int | None
    distillationAddTail: bool | None
    teacherModelKind: Literal["base", "ema", "live"] | None
    teacherUpdateRate: float | None
    teacherSyncSteps: int | None
    classWeight: str | list[str] | None
    loss: Literal["MultipleNegativesRankingLoss", "CoSENTLoss", "CosineSimilarityLoss"] | None
    scale: float | None
    matryoshkaDims: int | list[int] | None
    poolingMode: Literal["mean", "lasttoken"] | None
    queryPrompt: str | None
    documentPrompt: str | None
    corpus: str | None
    loggingSteps: int | None
    samples: str | list[str] | None
    earlyStoppingPatience: int | None
    earlyStoppingThreshold: float | None
    stopWhen: Literal["last_step", "settled"] | None
    verdictMargin: float | None
    replay: float | None
    replayDataset: str | None
    baseKl: float | None
    maxHarm: float | None
    saveTotalLimit: int | None
    onNonFinite: Literal["stop", "lower_rate"] | None
    loadIn4bit: bool | None
    numberFormat: Literal["auto", "float32", "bfloat16", "float16"] | None
    bf16: bool | None
    fp16: bool | None
    gradientCheckpointing: bool | None
    offload: Literal["auto", "none", "layers"] | None
    activationOffloading: bool | None
    seed: int | None
    dataSeed: int | None
    splitSeed: int | None
    neftuneNoiseAlpha: float | None
    reportTo: (
        Literal["tensorboard", "trackio", "wandb", "mlflow"]
        | list[Literal["tensorboard", "trackio", "wandb", "mlflow"]]
        | None
    )
    pauseOnBattery: bool | None
    dryRun: bool | None
    cpus: int | None
    gpus: int | None
    memory: float | None
    workers: int | None
    gpuTypes: str | list[str] | None
