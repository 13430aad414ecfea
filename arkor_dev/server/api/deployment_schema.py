"""What a deployment may be asked to be (docs/contract.md#deployments), checked before a scope is made for it.

Fields that the contract does not name pass: a newer backend may know them.
"""

from __future__ import annotations

import re
from typing import Final

from arkor_dev.core.errors import StudioError

_SLUG: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,48}[a-z0-9]")
_AUTH_MODES: Final = ("none", "fixed_api_key")
LABEL_LIMIT: Final = 80

Body = dict[str, object]


def _refuse(text: str) -> StudioError:
    return StudioError(400, text)


def check_create(body: Body) -> Body:
    """``{slug, target, authMode, …retention}``. StudioError 400 names what is wrong."""
    for name in ("slug", "target", "authMode"):
        if name not in body:
            raise _refuse(f"An endpoint needs `{name}`.")
    slug = body["slug"]
    if not (isinstance(slug, str) and _SLUG.fullmatch(slug)):
        raise _refuse(
            "`slug` has to be 2 to 50 characters of a-z, 0-9 and dashes, with no dash at either end."
        )
    _check_fields(body)
    return body


def check_update(body: Body) -> Body:
    """Any of ``{target, authMode, enabled, …retention}``. StudioError 400 names what is wrong."""
    if not body:
        raise _refuse("There is nothing to change: give `target`, `authMode`, `enabled` or the retention.")
    if "slug" in body:
        raise _refuse("`slug` cannot be changed: delete the endpoint and create another.")
    _check_fields(body)
    return body


def check_key(body: Body) -> Body:
    """``{label}``, 1 to 80 characters after trimming. StudioError 400 otherwise."""
    label = body.get("label")
    if not isinstance(label, str) or not 1 <= len(label.strip()) <= LABEL_LIMIT:
        raise _refuse(f"A key needs a `label` of 1 to {LABEL_LIMIT} characters.")
    return {**body, "label": label.strip()}


def _check_fields(body: Body) -> None:
    if "target" in body and not _is_target(body["target"]):
        raise _refuse("`target` has to be a base model, or the final adapter or a checkpoint of a job.")
    if "authMode" in body and body["authMode"] not in _AUTH_MODES:
        raise _refuse("`authMode` has to be `none` or `fixed_api_key`.")
    if "enabled" in body and not isinstance(body["enabled"], bool):
        raise _refuse("`enabled` has to be true or false.")
    mode, days = body.get("runRetentionMode"), body.get("runRetentionDays")
    if mode is not None and not isinstance(mode, str):
        raise _refuse("`runRetentionMode` has to be a text.")
    if mode == "days":
        if not isinstance(days, int) or isinstance(days, bool) or days < 1:
            raise _refuse("Retention by days needs `runRetentionDays` of 1 or more.")
    elif days is not None:
        raise _refuse("`runRetentionDays` goes with the retention mode `days` only.")


def _is_target(target: object) -> bool:
    match target:
        case {"kind": "base_model", "baseModel": str(name)}:
            return bool(name)
        case {"kind": "adapter", "adapter": {"kind": "final", "jobId": str(job)}}:
            return bool(job)
        case {"kind": "adapter", "adapter": {"kind": "checkpoint", "jobId": str(job), "step": int(step)}}:
            return bool(job) and not isinstance(step, bool) and step >= 0
    return False
