"""Base models from the Hugging Face hub, into the hub library's own cache, where other programs share them.

Imported by worker processes only. A transfer that breaks off goes on where it stopped.
"""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .errors import JobFailure
from .growth import every, size_of

if TYPE_CHECKING:
    from collections.abc import Callable

    Progress = Callable[[str, float, float | None, str], None]

REACH_SECONDS: Final = 3.0
WANTED: Final = ["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja"]


def _unreachable(endpoint: str) -> str | None:
    """Why the hub cannot be reached, or None. Quick, so that a machine without network does not wait."""
    try:
        probe = urllib.request.Request(f"{endpoint}/api/models?limit=1", method="HEAD")  # noqa: S310 - the hub's
        urllib.request.urlopen(probe, timeout=REACH_SECONDS).close()  # noqa: S310 - the hub's own address
    except urllib.error.HTTPError as error:
        return None if error.code < 500 else f"it answers {error.code}"
    except (OSError, ValueError) as error:
        return str(getattr(error, "reason", None) or error)
    return None


def hub_model(name: str, progress: Progress) -> Path:
    """The folder of ``name`` in the hub's cache, fetched when it is not there; raises :class:`JobFailure`."""
    from huggingface_hub import HfApi, constants, snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
    )

    try:
        cached = Path(snapshot_download(name, allow_patterns=WANTED, local_files_only=True))
        if any(cached.glob("*.safetensors")):
            return cached
    except (LocalEntryNotFoundError, OSError, ValueError):
        pass
    if constants.HF_HUB_OFFLINE:
        raise JobFailure(f"The model {name} is not on this machine, and HF_HUB_OFFLINE forbids to fetch it")
    endpoint = os.environ.get("HF_ENDPOINT") or constants.ENDPOINT
    reason = _unreachable(endpoint)
    if reason:
        raise JobFailure(
            f"The model {name} is not on this machine, and {endpoint} cannot be reached: {reason}"
        )
    try:
        files = HfApi(endpoint=endpoint).model_info(name, files_metadata=True).siblings or []
        patterns = tuple(pattern.removeprefix("*") for pattern in WANTED)
        total = sum(file.size or 0 for file in files if file.rfilename.endswith(patterns))
        blobs = Path(constants.HF_HUB_CACHE) / f"models--{name.replace('/', '--')}" / "blobs"
        with every(lambda: progress(f"Fetching {name}", size_of(blobs), total or None, "B")):
            return Path(snapshot_download(name, allow_patterns=WANTED, endpoint=endpoint))
    except GatedRepoError:
        raise JobFailure(
            f"The model {name} wants its licence accepted on {endpoint}/{name}; then set HF_TOKEN"
        ) from None
    except RepositoryNotFoundError:
        raise JobFailure(
            f"{endpoint} has no model {name}: check the name, or set HF_TOKEN for a private one"
        ) from None
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise JobFailure(
            f"The model {name} could not be fetched from {endpoint}: {error}; try again"
        ) from None
