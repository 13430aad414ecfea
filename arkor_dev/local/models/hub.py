"""Base models from the Hugging Face hub, in the hub library's own cache, which other programs share.

Imported only by worker processes. An interrupted download continues where it stopped.
"""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Final

from arkor_dev.local.modeling.gate import check_trainable
from arkor_dev.local.workers.errors import JobFailure

from .catalog import PICKLED, PICKLES, STARTER_FOLDER
from .downloads import every, size_of
from .hub_guard import check_commit, check_files, check_listing, watch_answers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Progress = Callable[[str, float, float | None, str], None]

REACH_SECONDS: Final = 3.0
FILE_PATTERNS: Final = ["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja", "*README.md"]
"""Files to download. The model card contains the license of the model and its derivatives."""
ABOUT: Final = ("config.json", "README.md")
"""The small files that tell, before anything else is downloaded, whether a model can be trained."""


def _unreachable(endpoint: str) -> str | None:
    """Return why the Hub is unreachable, or None. Fast, so that offline machines do not wait."""
    try:
        probe = urllib.request.Request(f"{endpoint}/api/models?limit=1", method="HEAD")  # noqa: S310 - the hub's
        urllib.request.urlopen(probe, timeout=REACH_SECONDS).close()  # noqa: S310 - the hub's own address
    except urllib.error.HTTPError as error:
        error.close()  # the error is the response
        return None if error.code < 500 else f"it answers {error.code}"
    except (OSError, ValueError) as error:
        return str(getattr(error, "reason", None) or error)
    return None


def hub_model(name: str, progress: Progress, give_up: Callable[[str], None]) -> Path:
    """Return the folder of ``name`` in the hub's cache, downloading it if needed. Raises JobFailure.

    ``give_up`` is called with the reason, from another thread, if a running download must end.
    """
    from huggingface_hub import HfApi, constants, snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
    )

    try:
        cached = Path(snapshot_download(name, allow_patterns=FILE_PATTERNS, local_files_only=True))
        if any(cached.glob("*.safetensors")):
            return cached
    except (LocalEntryNotFoundError, OSError, ValueError):
        pass
    if constants.HF_HUB_OFFLINE:
        raise JobFailure(
            f"The model {name} is not on this machine, and HF_HUB_OFFLINE forbids downloading it"
        )
    endpoint = os.environ.get("HF_ENDPOINT") or constants.ENDPOINT
    reason = _unreachable(endpoint)
    if reason:
        raise JobFailure(
            f"The model {name} is not on this machine, and {endpoint} cannot be reached: {reason}. "
            f"Check the name and the network, or name a folder or the starter model {STARTER_FOLDER}"
        )
    watch_answers()
    cache = Path(constants.HF_HUB_CACHE)
    folder = cache / f"models--{name.replace('/', '--')}"
    try:
        info = HfApi(endpoint=endpoint).model_info(name, files_metadata=True)
        commit = check_commit(info.sha)
        patterns = tuple(pattern.removeprefix("*") for pattern in FILE_PATTERNS)
        listed = {file.rfilename: file.size for file in info.siblings or []}
        pickles = [file for file in listed if Path(file).suffix in PICKLES]
        if pickles and not any(file.endswith(".safetensors") for file in listed):
            raise JobFailure(f"The model {name} cannot be used here: {PICKLED.format(pickles[0])}")
        sizes = {file: size for file, size in listed.items() if file.endswith(patterns)}

        def fetch(sizes: Mapping[str, int | None], names: Sequence[str]) -> Path:
            total, most = check_listing(sizes, cache)
            before = size_of(folder)

            def tick() -> None:
                done = size_of(folder / "blobs")
                progress(f"Fetching {name}", done, total, "B")
                if size_of(folder) - before > most:
                    announced = (
                        "the disk has room for" if total is None else f"the {total:,} bytes that it announced"
                    )
                    give_up(f"The model hub sent more of {name} than {announced}: do not use this hub")

            with every(tick):
                snapshot = Path(
                    snapshot_download(name, revision=commit, allow_patterns=[*names], endpoint=endpoint)
                )
            check_files(snapshot, sizes, cache)
            return snapshot

        check_trainable(fetch({file: sizes[file] for file in ABOUT if file in sizes}, ABOUT))
        snapshot = fetch(sizes, FILE_PATTERNS)
        # lets the library find the model again without network access
        (folder / "refs").mkdir(exist_ok=True)
        (folder / "refs" / "main").write_text(commit)
        return snapshot
    except GatedRepoError:
        raise JobFailure(
            f"The model {name} requires accepting its licence on {endpoint}/{name}; then set HF_TOKEN"
        ) from None
    except RepositoryNotFoundError:
        raise JobFailure(
            f"{endpoint} has no model {name}: check the name, or set HF_TOKEN for a private one"
        ) from None
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise JobFailure(
            f"The model {name} could not be fetched from {endpoint}: {error}; try again"
        ) from None
