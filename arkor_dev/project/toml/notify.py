"""``[notify]`` in ``arkor.toml``: who is notified of a job's end without an open tab."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.placement import is_loopback
from arkor_dev.contract.rules import FLAG, Rule, text_line
from arkor_dev.core.web_url import web_url

from .one_table import load_table

if TYPE_CHECKING:
    from pathlib import Path

    from .problems import Problems

TABLE: Final = "notify"
KINDS: Final = ("finished", "failed", "paused", "non-finite")
RULES: Final = {
    "on": Rule("list", 1, len(KINDS), noun=f"a list of {', '.join(KINDS)}", of=Rule("choice", choices=KINDS)),
    "webhook": text_line(2000, "an https:// address"),
    "webhook_env": text_line(200, "the name of an environment variable"),
    "secret_env": text_line(200, "the name of an environment variable"),
    "allow_http": FLAG,
    "command": Rule(
        "list", 1, 100, noun="a list of a program and its arguments",
        of=Rule("other", test=lambda part: isinstance(part, str) and "\0" not in part),
        test=lambda value: isinstance(value, list) and bool(value[0].strip()),
    ),
    "desktop": FLAG,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Notify:
    """``on``: which of ``KINDS``. ``command`` is a program and its arguments, never a shell's line.

    The address is ``webhook``, or in the environment variable ``webhook_env``; ``secret_env`` names the
    variable with the secret that signs messages. ``allow_http`` allows clear text over the network.
    ``desktop`` asks for a desktop notification.
    """

    on: tuple[str, ...] = KINDS
    webhook: str | None = None
    webhook_env: str | None = None
    secret_env: str | None = None
    allow_http: bool = False
    command: tuple[str, ...] = ()
    desktop: bool = False

    @property
    def mark(self) -> str:
        """A short text that identifies the content of the table."""
        return hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()


def check_notify(table: object, problems: Problems) -> None:
    """Add the problems of a document's ``[notify]``."""
    at = (TABLE,)
    if not isinstance(table, dict):
        problems.not_allowed(at, table, 'a table, such as [notify] with webhook = "https://…" below it')
        return
    problems.check_keys(at, table, list(RULES))
    for key, rule in RULES.items():
        if key in table and not rule.fits(table[key]):
            problems.not_allowed((*at, key), table[key], rule.words)
    if "webhook" in table and "webhook_env" in table:
        problems.add((*at, "webhook_env"), "webhook and webhook_env are both set. Remove one of the two")
    if not {"webhook", "webhook_env", "command"} & set(table) and table.get("desktop", False) is False:
        problems.add(at, "[notify] has no recipient. Add webhook, command or desktop = true")
    address = table.get("webhook")
    if isinstance(address, str) and (problem := address_fault(address, table.get("allow_http") is True)):
        problems.add((*at, "webhook"), problem)


def address_fault(address: str, allow_http: bool) -> str | None:
    """Say why nothing is sent to that address; None if it is allowed. The address itself is not repeated."""
    url = web_url(address)
    if url is None:
        return "webhook is not a web address. Set it to an https:// address"
    if url.scheme == "http" and not allow_http and not is_loopback(url.host):
        return "webhook is http://, which sends it in clear text. Use https://, or set allow_http = true"
    return None


def load_notify(project: Path) -> Notify | None:
    """Return the project's ``[notify]``; None without a valid one (reading the trainers reports why)."""
    from .problems import Problems

    table = load_table(project, TABLE)
    problems = Problems({})
    if table is not None:
        check_notify(table, problems)
    if not isinstance(table, dict) or problems:
        return None
    on = table.get("on", KINDS)
    return Notify(
        on=(on,) if isinstance(on, str) else tuple(on),
        webhook=table.get("webhook"),
        webhook_env=table.get("webhook_env"),
        secret_env=table.get("secret_env"),
        allow_http=table.get("allow_http", False),
        command=tuple(table.get("command", ())),
        desktop=table.get("desktop", False),
    )
