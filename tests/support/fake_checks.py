"""What the fake backend refuses: bodies that docs/contract.md does not allow, in words of its own."""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

ROLES = ("system", "user", "assistant", "tool")
SOURCES = {"huggingface": "name", "blob": "url", "file": "path", "list": None}
COUNTS = {
    "maxSteps", "batchSize", "warmupSteps", "loggingSteps", "saveSteps", "evalSteps", "loraR", "maxLength"
}  # fmt: skip
MAY_BE_ZERO = {"warmupSteps", "saveSteps", "evalSteps", "weightDecay"}
NUMBERS = {"numTrainEpochs", "learningRate", "weightDecay", "loraAlpha"}
CLUSTER = re.compile(r"auto|(ray://)?[\w.-]+:\d{1,5}")
FOLDER = re.compile(r"(/(?!\.\./)[\w .-]+)+/?")
SWITCHES = {"loadIn4bit", "trainOnResponsesOnly", "dryRun"}
CHAT_NUMBERS = {"temperature": (0, 100), "topP": (0, 1), "maxTokens": (1, 10**9)}
RETENTION = ("runRetentionMode", "runRetentionDays")


class RefusedError(Exception):
    """A call that is answered with a status and ``{"error"}``, and ``extra`` beside it."""

    def __init__(self, status: int, text: str, **extra: object) -> None:
        super().__init__(text)
        self.status = status
        self.extra = extra


def wrong(text: str) -> NoReturn:
    raise RefusedError(400, text)


def parsed(body: bytes) -> dict[str, Any]:
    """A body that is a JSON object."""

    def no_number(text: str) -> NoReturn:
        wrong(f"The body has {text} in it.")

    try:
        value = json.loads(body, parse_constant=no_number)
    except (ValueError, RecursionError):
        wrong("The body is not JSON.")
    return value if isinstance(value, dict) else wrong("The body is not a JSON object.")


def text(body: dict[str, Any], name: str, longest: int = 10**6) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not 1 <= len(value.strip()) <= longest:
        wrong(f"{name} has to be a text.")
    return value


def number(body: dict[str, Any], name: str, least: float, most: float = math.inf) -> None:
    value = body.get(name)
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        wrong(f"{name} has to be a number of at least {least}.")


def whole(body: dict[str, Any], name: str, least: int) -> None:
    number(body, name, least)
    if not isinstance(body.get(name), int | None):
        wrong(f"{name} has to be a whole number.")


def check_project(body: dict[str, Any]) -> None:
    text(body, "name")
    text(body, "slug", 40)


def check_job(body: dict[str, Any], *, managed: bool = False) -> None:
    text(body, "name")
    check_config(body.get("config"))
    split = body["config"].get("datasetSplit") if managed else None
    if split is None:
        return
    if not isinstance(split, dict) or not set(split) <= {"enabled", "testSize", "seed"}:
        wrong("datasetSplit has to be an object of enabled, testSize and seed.")
    if not isinstance(split.get("enabled"), bool | None) or not 0 < split.get("testSize", 0.1) < 1:
        wrong("datasetSplit has to say whether, and a share between 0 and 1.")


def check_config(config: object) -> None:
    if not isinstance(config, dict):
        wrong("config has to be an object.")
    text(config, "model")
    source = config.get("datasetSource")
    if not isinstance(source, dict) or source.get("type") not in SOURCES:
        wrong(f"datasetSource has to be of a type of {', '.join(SOURCES)}.")
    if (key := SOURCES[source["type"]]) is not None:
        text(source, key)
    for name in COUNTS:
        whole(config, name, 0 if name in MAY_BE_ZERO else 1)
    for name in NUMBERS:
        number(config, name, 0 if name in MAY_BE_ZERO else 5e-324)
    for name in SWITCHES:
        if not isinstance(config.get(name), bool | None):
            wrong(f"{name} has to be true or false.")
    check_samples(config.get("samples"))
    if config.get("cluster") is not None and not CLUSTER.fullmatch(str(config["cluster"])):
        wrong("cluster has to be an address.")
    if config.get("storage") is not None and not FOLDER.fullmatch(str(config["storage"])):
        wrong("storage has to be a folder.")
    check_sets(config.get("evaluations"))


def check_sets(sets: object) -> None:
    if sets is None:
        return
    if not isinstance(sets, list) or not all(isinstance(each, dict) for each in sets):
        wrong("evaluations has to be a list of objects.")
    for each in sets:
        text(each, "name", 60)
        text(each, "path", 1000)
        metric = each.get("metric", "loss")
        if not isinstance(metric, str) or not re.fullmatch(r"[a-z_]+|[\w.]+:\w+", metric):
            wrong("metric has to be a name, or module:function.")
        if (metric == "json_schema") != (each.get("schema") is not None):
            wrong("json_schema goes with a schema.")
    if len({each["name"] for each in sets}) < len(sets):
        wrong("evaluations has a name twice.")


def check_samples(asked: object) -> None:
    prompts = [asked] if isinstance(asked, str) else asked
    if prompts is None:
        return
    if not isinstance(prompts, list) or not 1 <= len(prompts) <= 8:
        wrong("samples has to be up to 8 prompts.")
    if not all(isinstance(prompt, str) and prompt.strip() and prompt.isprintable() for prompt in prompts):
        wrong("A prompt of samples has to be one line of text.")
    if "off" in prompts and len(prompts) > 1:
        wrong("off stands alone in samples.")


def check_chat(body: dict[str, Any]) -> None:
    messages = body.get("messages")
    if messages is None and isinstance(body.get("prompt"), str):
        messages = [{"role": "user", "content": body["prompt"]}]
    if not isinstance(messages, list) or not messages:
        wrong("There has to be a message.")
    for message in messages:
        if not isinstance(message, dict) or message.get("role") not in ROLES:
            wrong("A message needs a role.")
        if not isinstance(message.get("content"), str) and not message.get("tool_calls"):
            wrong("A message needs a content.")
    if body.get("adapter") is None:
        text(body, "baseModel")
    else:
        check_adapter(body["adapter"])
    for name, (least, most) in CHAT_NUMBERS.items():
        number(body, name, least, most)
    if not isinstance(body.get("tools"), list | None):
        wrong("tools has to be a list.")


def check_strength(body: dict[str, Any]) -> None:
    number(body, "adapterStrength", 0, 1.5)
    if body.get("adapterStrength") is not None and body.get("adapter") is None:
        wrong("A base model has no strength.")


def check_adapter(adapter: object) -> None:
    if not isinstance(adapter, dict) or adapter.get("kind") not in ("final", "checkpoint"):
        wrong("adapter has to be a final one or a checkpoint.")
    text(adapter, "jobId")
    if adapter["kind"] == "checkpoint":
        if "step" not in adapter:
            wrong("A checkpoint has a step.")
        whole(adapter, "step", 0)


def check_deployment(body: dict[str, Any], *, new: bool) -> None:
    if new != ("slug" in body) or not body:
        wrong("A new deployment has a slug, a change has none.")
    if new and not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,48}[a-z0-9]", text(body, "slug")):
        wrong("slug is not a host name.")
    if new or "target" in body:
        target = body.get("target")
        if not isinstance(target, dict) or target.get("kind") not in ("base_model", "adapter"):
            wrong("target has to be a base model or an adapter.")
        if target["kind"] == "base_model":
            text(target, "baseModel")
        else:
            check_adapter(target.get("adapter"))
    if (new or "authMode" in body) and body.get("authMode") not in ("none", "fixed_api_key"):
        wrong("authMode is not known.")
    if not isinstance(body.get("enabled", True), bool):
        wrong("enabled has to be true or false.")
    mode, days = (body.get(name) for name in RETENTION)
    if (mode == "days") != (days is not None):
        wrong("runRetentionDays goes with the mode days.")
    whole(body, "runRetentionDays", 1)


def check_key(body: dict[str, Any]) -> None:
    text(body, "label", 80)
