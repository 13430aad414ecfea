"""The shapes of two optional features: forecasts, and public endpoints with their keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NotRequired, TypedDict

if TYPE_CHECKING:
    from .shapes import AdapterRef


class ForecastMemory(TypedDict):
    """Memory of the training process, or of its device, in bytes; null where the system does not say."""

    name: NotRequired[str]
    peakBytes: int
    freeBytes: int | None
    totalBytes: int | None


class ForecastFix(TypedDict):
    """Settings, by field, with which a job fits; ``words`` say what changes, ``peakBytes`` what it takes."""

    settings: dict[str, object]
    words: str
    peakBytes: NotRequired[int]


class ForecastProgress(TypedDict):
    """How far a measurement has come; ``total`` is null while unknown."""

    label: str
    done: float
    total: float | None
    unit: str


class Forecast(TypedDict):
    """What a job will take, where a backend measures it: docs/contract.md#forecasts.

    All but ``id`` and ``state`` is there once it is ``measured``, ``error`` when it ``failed``.
    """

    id: NotRequired[str]
    state: NotRequired[Literal["measured", "measuring", "waiting", "failed"]]
    progress: NotRequired[ForecastProgress]
    error: NotRequired[str]
    seconds: NotRequired[float]
    loadingSeconds: NotRequired[float]
    trainingSeconds: NotRequired[float]
    evaluationSeconds: NotRequired[float]
    savingSeconds: NotRequired[float]
    steps: NotRequired[int]
    memory: NotRequired[ForecastMemory]
    device: NotRequired[ForecastMemory]
    rows: NotRequired[int]
    lookedAtRows: NotRequired[int]
    cutRows: NotRequired[int]
    tokens: NotRequired[int]
    learnedTokens: NotRequired[int]
    diskBytes: NotRequired[int]
    freeDiskBytes: NotRequired[int | None]
    checkpoints: NotRequired[int]
    fits: NotRequired[bool]
    fixes: NotRequired[list[ForecastFix]]


class DeploymentTarget(TypedDict):
    """What a deployment serves."""

    kind: Literal["adapter", "base_model"]
    adapter: NotRequired[AdapterRef]
    baseModel: NotRequired[str]


class Deployment(TypedDict):
    """A public OpenAI-compatible endpoint of the managed backend."""

    id: str
    slug: str
    orgId: str
    projectId: str
    target: DeploymentTarget
    authMode: Literal["none", "fixed_api_key"]
    urlFormat: str
    enabled: bool
    customDomain: NotRequired[str | None]
    runRetentionMode: NotRequired[str | None]
    runRetentionDays: NotRequired[int | None]
    createdAt: str
    updatedAt: str


class DeploymentKey(TypedDict):
    """An API key of a deployment; ``plaintext`` is in the answer to its creation alone."""

    id: str
    label: str
    prefix: str
    enabled: bool
    createdAt: str
    lastUsedAt: str | None
    plaintext: NotRequired[str]
