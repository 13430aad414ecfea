"""Storage that a cluster's machines share: a folder, or an fsspec URL."""

from __future__ import annotations

import re
from typing import Final

from arkor_dev.contract.rules import Rule

LIMIT: Final = 1000
PROTOCOLS: Final = (
    *("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "oci", "oss"),
    *("webhdfs", "smb", "sftp", "ftp"),
)
"""Accepted URL schemes: servers that are the same from every machine and accept files.

fsspec has more, and packages may add others: folders and memory of the local machine (``file``, ``memory``),
contents of other programs or files (``dask``, ``reference``), chains (``simplecache::``) and read-only ones
(``http``). A list of refused schemes could never be complete.
"""
STORE: Final = re.compile(
    rf"(?:{'|'.join(PROTOCOLS)})://"
    r"(?:[\w.-]{1,255}@)?"  # a container, or a user name; a password would follow a colon
    r"[\w.-]{1,255}(?::[0-9]{1,5})?"
    r"((?:/[\w.+=~-]+)*)/?"  # no patterns, queries, or escapes to another protocol
)


def is_store(value: object) -> bool:
    """Return whether ``value`` is a storage URL without a secret and without ``..``."""
    if not isinstance(value, str) or len(value) > LIMIT or not value.isprintable():
        return False
    found = STORE.fullmatch(value)
    return found is not None and not {".", ".."} & set(found[1].split("/"))


def is_folder(value: object) -> bool:
    """Return whether ``value`` may be a folder on other machines: an absolute path without ``..``."""
    if not isinstance(value, str) or not value.startswith("/") or not value.isprintable():
        return False
    return len(value) <= LIMIT and value.strip("/") != "" and ".." not in value.split("/")


SHARED_STORAGE: Final = Rule(
    "other",
    noun='the absolute path of a folder that the machines of the cluster share, such as "/mnt/jobs", or a '
    f'store\'s address without any key or password, such as "s3://bucket/jobs" ({", ".join(PROTOCOLS)})',
    test=lambda value: is_folder(value) or is_store(value),
)
