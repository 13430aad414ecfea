"""What a deployment may be asked to be (CONTRACT §2), checked before any scope is created for it."""

from __future__ import annotations

import re
from typing import Final

from .errors import StudioError

_SLUG: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,48}[a-z0-9]")
_AUTH_MODES: Final = ("none", "fixed_api_key")
LABEL_LIMIT: Final = 80

Body = dict[str, object]


def _refuse(text: str) -> StudioError:
    return StudioError(400, text)


def check_create(body: Body) -> Body:
    """``{slug, target, authMode, …retention}``, known fields only. StudioError 400 names what is wrong."""
    for name in ("slug", "target", "authMode"):
        if name not in body:
            raise _refuse(f"An endpoint needs `{name}`.")
    return _checked(body, ("slug", "target", "authMode", "runRetentionMode", "runRetentionDays"))


def check_update(body: Body) -> Body:
    """Any of ``{target, authMode, enabled, …retention}``. StudioError 400 names what is wrong."""
    checked = _checked(body, ("target", "authMode", "enabled", "runRetentionMode", "runRetentionDays"))
    if not checked:
        raise _refuse("There is nothing to change: give `target`, `authMode`, `enabled` or the retention.")
    return checked


def check_key(body: Body) -> Body:
    """``{label}``, 1 to 80 characters after trimming. StudioError 400 otherwise."""
    label = body.get("label")
    if not isinstance(label, str) or not 1 <= len(label.strip()) <= LABEL_LIMIT:
        raise _refuse(f"A key needs a `label` of 1 to {LABEL_LIMIT} characters.")
    return {"label": label.strip()}


def _checked(body: Body, known: tuple[str, ...]) -> Body:
    if "slug" in known and not (isinstance(body["slug"], str) and _SLUG.fullmatch(body["slug"])):
        raise _refuse(
            "`slug` has to be 2 to 50 characters of a-z, 0-9 and dashes, with no dash at either end."
        )
    if "target" in body:
        _check_target(body["target"])
    if "authMode" in body and body["authMode"] not in _AUTH_MODES:
        raise _refuse("`authMode` has to be `none` or `fixed_api_key`.")
    if "enabled" in body and not isinstance(body["enabled"], bool):
        raise _refuse("`enabled` has to be true or false.")
    _check_retention(body)
    return {name: body[name] for name in known if name in body}


def _check_target(target: object) -> None:
    match target:
        case {"kind": "base_model", "baseModel": str(name)} if name:
            return
        case {"kind": "adapter", "adapter": {"kind": "final", "jobId": str(job)}} if job:
            return
        case {"kind": "adapter", "adapter": {"kind": "checkpoint", "jobId": str(job), "step": int(step)}} if (
            job and not isinstance(step, bool) and step >= 0
        ):
            return
    raise _refuse("`target` has to be a base model, or the final adapter or a checkpoint of a job.")


def _check_retention(body: Body) -> None:
    mode, days = body.get("runRetentionMode"), body.get("runRetentionDays")
    if mode is not None and not isinstance(mode, str):
        raise _refuse("`runRetentionMode` has to be a text.")
    if mode == "days":
        if not isinstance(days, int) or isinstance(days, bool) or days < 1:
            raise _refuse("Retention by days needs `runRetentionDays` of 1 or more.")
    elif days is not None:
        raise _refuse("`runRetentionDays` goes with the retention mode `days` only.")
