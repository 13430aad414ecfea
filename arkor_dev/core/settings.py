"""All settings of one launch, frozen.

Nothing else in the package reads ``os.environ`` or ``Path.home()`` for its own decisions, so a test can
describe a whole launch with one value.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from .plain_text import tidy_name

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_PORT = 4000
PORT_TRIES = 10
PRODUCTION_URL = "https://api.arkor.ai"


@dataclass(frozen=True, slots=True)
class Settings:
    """One launch of Studio.

    ``port`` is None if the user named none: 4000, or the next free one of ten. ``cloud_url`` is the value of
    ``ARKOR_CLOUD_API_URL``: None if it is not set, and an empty string is a value. Without ``resume``
    (``ARKOR_NO_RESUME``) interrupted jobs of this machine do not resume by themselves. ``cluster``
    (``ARKOR_CLUSTER``) overrides that of ``arkor.toml``; ``here`` means none. ``at_once`` (``ARKOR_AT_ONCE``)
    jobs may train at the same time; None for one per device. ``engine`` (``ARKOR_ENGINE``) answers chats of
    this machine; None for the most suitable one. With ``ssh`` the ``local`` backend runs there.
    ``agent``: coding assistants may read the status with ``agent_secret``.
    """

    project: Path
    home: Path
    data: Path
    cache: Path
    port: int | None = None
    local: bool = False
    open_browser: bool = False
    log_level: str = "warning"
    allow_other_users: bool = False
    cloud_url: str | None = None
    resume: bool = True
    cluster: str | None = None
    insecure_cluster: bool = False
    at_once: int | None = None
    engine: str | None = None
    ssh: str | None = None
    agent: bool = False
    agent_secret: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    studio_token: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str], project: Path, **choices: object) -> Settings:
        """Read the launch's folders and overrides from ``environ`` and this user's platform folders.

        Raises BadRequestError for a variable with an invalid value.
        """
        choices["resume"] = choices.get("resume", True) and environ.get("ARKOR_NO_RESUME", "") in ("", "0")
        choices["cluster"] = choices.get("cluster") or environ.get("ARKOR_CLUSTER", "").strip() or None
        choices["at_once"] = choices.get("at_once") or _at_once_of(environ)
        choices["engine"] = choices.get("engine") or _engine_of(environ)
        return cls(
            project=project.resolve(),
            home=Path.home(),
            data=Path(platformdirs.user_data_dir("arkor-dev", appauthor=False)),
            cache=Path(platformdirs.user_cache_dir("arkor-dev", appauthor=False)),
            cloud_url=environ.get("ARKOR_CLOUD_API_URL"),
            **choices,  # type: ignore[arg-type]
        )

    @property
    def arkor_home(self) -> Path:
        """``~/.arkor``: credentials and the launch's token."""
        return self.home / ".arkor"

    @property
    def local_data(self) -> Path:
        """The local backend's own folder for this project: a readable name and a hash of its path.

        A backend on another machine has another folder here, with the hashes of the files that were sent.
        """
        name = str(self.project) if self.ssh is None else f"{self.project}\0{self.ssh}"
        digest = hashlib.sha256(name.encode()).hexdigest()[:10]
        return self.data / "projects" / f"{tidy_name(self.project.name)}-{digest}"


def _at_once_of(environ: Mapping[str, str]) -> int | None:
    if (value := environ.get("ARKOR_AT_ONCE", "")) in ("", "0"):
        return None
    if not (value.isascii() and value.isdecimal() and len(value) <= 3 and int(value)):
        raise _refusal("ARKOR_AT_ONCE", value, "number of jobs. Choose a whole number, 1 or more")
    return int(value)


def _engine_of(environ: Mapping[str, str]) -> str | None:
    if not (value := environ.get("ARKOR_ENGINE")):
        return None
    from arkor_dev.contract.bodies import ENGINES  # most launches set none

    if value not in ENGINES:
        raise _refusal("ARKOR_ENGINE", value, f"engine. Choose one of {', '.join(ENGINES)}")
    return value


def _refusal(variable: str, value: str, choices: str) -> Exception:
    from arkor_dev.contract.errors import BadRequestError
    from arkor_dev.contract.rules import quoted

    return BadRequestError(f"{variable} is {quoted(value)}, which isn't a valid {choices}.")
