"""Lists the models of a teacher with OpenAI's API, for the form that names one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import aiohttp
from yarl import URL

from arkor_dev.contract.errors import BadRequestError
from arkor_dev.core.proxy import proxy_for
from arkor_dev.teacher.client import clean_address, open_teacher_session, reason_of

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS: Final = 10.0
LARGEST: Final = 2**20
"""Maximum number of bytes of a list."""
MOST: Final = 500
LONGEST: Final = 200


async def models_of(address: str, key: str | None) -> list[str]:
    """Return the names of the models that a teacher lists. Raises BadRequestError if it lists none."""
    url = URL(clean_address(address, with_key=key is not None)) / "models"
    headers = {"Accept": "application/json"}
    if key is not None:
        headers["Authorization"] = f"Bearer {key}"
    try:
        async with (
            open_teacher_session() as session,
            session.get(
                url, headers=headers, allow_redirects=False, proxy=proxy_for(url),
                timeout=aiohttp.ClientTimeout(total=SECONDS),
            ) as response,
        ):  # fmt: skip
            data = b""
            while len(data) < LARGEST and (more := await response.content.read(LARGEST - len(data))):
                data += more
    except TimeoutError:
        raise BadRequestError(f"{url.authority} did not list its models within {SECONDS:g} s.") from None
    except aiohttp.ClientConnectorError as fault:
        raise BadRequestError(f"{url.authority} cannot be reached ({reason_of(fault)}).") from None
    except (aiohttp.ClientError, OSError):
        raise BadRequestError(f"{url.authority} broke off its list of models.") from None
    if response.status != 200:
        hint = " Check the key's environment variable." if response.status in (401, 403) else ""
        raise BadRequestError(f"{url.authority} does not list its models ({response.status}).{hint}")
    # A server may send back what it was sent: the key is nobody's model.
    names = dict.fromkeys(name for name in _names_in(data) if key is None or key not in name)
    if not names:
        raise BadRequestError(f"{url.authority} lists no models. Name one.")
    return list(names)[:MOST]


def _names_in(data: bytes) -> Iterator[str]:
    try:
        answer = json.loads(data)
    except (ValueError, RecursionError):
        return
    models = answer.get("data") if isinstance(answer, dict) else None
    for model in models if isinstance(models, list) else ():
        name = model.get("id") if isinstance(model, dict) else None
        if isinstance(name, str) and 0 < len(name) <= LONGEST and name.isprintable():
            yield name
