"""A place that the machines of a cluster share: a folder, or a store's address as fsspec has it."""

from __future__ import annotations

import re
from typing import Final

from arkor_dev.contract.rules import Rule

LIMIT: Final = 1000
PROTOCOLS: Final = (
    *("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "oci", "oss"),
    *("webhdfs", "smb", "sftp", "ftp"),
)
"""What an address may begin with: a server that means the same on every machine, and takes files.

fsspec has others, and any package may add some: folders and memory of whichever machine reads the address
(``file``, ``memory``), what other programs or files say (``dask``, ``reference``), chains of several
(``simplecache::``), and what is read alone (``http``). A list of what is refused would never be whole.
"""
STORE: Final = re.compile(
    rf"(?:{'|'.join(PROTOCOLS)})://"
    r"(?:[\w.-]{1,255}@)?"  # a container, or a name; a password would follow a colon
    r"[\w.-]{1,255}(?::[0-9]{1,5})?"
    r"((?:/[\w.+=~-]+)*)/?"  # nothing that is a pattern, a query or an escape to some protocol
)


def is_store(value: object) -> bool:
    """Whether ``value`` is a store's address, which holds no secret and no way up in it."""
    if not isinstance(value, str) or len(value) > LIMIT or not value.isprintable():
        return False
    found = STORE.fullmatch(value)
    return found is not None and not {".", ".."} & set(found[1].split("/"))


def is_folder(value: object) -> bool:
    """Whether ``value`` may name a folder of other machines: an absolute path with no way up in it."""
    if not isinstance(value, str) or not value.startswith("/") or not value.isprintable():
        return False
    return len(value) <= LIMIT and value.strip("/") != "" and ".." not in value.split("/")


SHARED_STORAGE: Final = Rule(
    "other",
    noun='the absolute path of a folder that the machines of the cluster share, such as "/mnt/jobs", or a '
    f'store\'s address without any key or password, such as "s3://bucket/jobs" ({", ".join(PROTOCOLS)})',
    test=lambda value: is_folder(value) or is_store(value),
)
