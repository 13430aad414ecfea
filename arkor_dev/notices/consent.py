"""Asks of a project's ``[notify]``: what it does, and whether a person has agreed to exactly that."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from yarl import URL

from arkor_dev.core.plain_text import one_line
from arkor_dev.project.toml.notify import load_notify

from .claims import Claims

if TYPE_CHECKING:
    from arkor_dev.contract.shapes import NoticeConsent
    from arkor_dev.core.settings import Settings
    from arkor_dev.project.toml.notify import Notify


def pending(settings: Settings) -> NoticeConsent | None:
    """Return what a person has not agreed to yet; None without a table, or with one that is agreed to."""
    notify = load_notify(settings.project)
    if notify is None or Claims(settings).trusted(notify.mark):
        return None
    return {"mark": notify.mark, "does": _does(notify)}


def agree(settings: Settings, mark: str) -> bool:
    """Record consent to the table of this mark; return whether it is the project's current one."""
    notify = load_notify(settings.project)
    if notify is None or notify.mark != mark:
        return False
    Claims(settings).trust(mark)
    return True


def _does(notify: Notify) -> list[str]:
    """Return each thing that the table does, without the address's path, which may be a secret."""
    does = []
    if notify.command:
        does.append(f"run {one_line(shlex.join(notify.command), 300)}")
    if notify.webhook is not None:
        does.append(f"send each job's name and figures to {one_line(URL(notify.webhook).host or '', 253)}")
    if notify.webhook_env is not None:
        does.append(f"send each job's name and figures to the address in {one_line(notify.webhook_env, 200)}")
    if notify.desktop:
        does.append("show desktop notifications")
    return does
