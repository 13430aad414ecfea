"""What machines share is a folder, or an address that means the same on each of them and holds no secret."""

from __future__ import annotations

import time

import pytest

from arkor_dev.contract.placement import LIMIT, PROTOCOLS, SHARED_STORAGE
from arkor_dev.local.server.interruptions import _moved


@pytest.mark.parametrize(
    "value", ["", "/", "mnt/jobs", "~/jobs", "/mnt/../etc", "/mnt/a\nb", 3, "/" + "a" * LIMIT]
)
def test_a_storage_folder_must_be_absolute(value: object) -> None:
    assert not SHARED_STORAGE.fits(value)
    assert SHARED_STORAGE.fits("/mnt/jobs")


@pytest.mark.parametrize(
    "address",
    [
        "s3://bucket",
        "s3://bucket/jobs/",
        "s3://my.bucket-1/a/b_c/v1.2",
        "gs://bucket/jobs",
        "az://container/jobs",
        "az://container@account.dfs.core.windows.net/jobs",
    ],
)
def test_valid_storage_addresses_pass(address: str) -> None:
    assert SHARED_STORAGE.fits(address)


@pytest.mark.parametrize(
    "value",
    [
        # secrets
        "s3://key:secret@bucket/jobs",
        "s3://key:12345@bucket/jobs",
        "s3://key:se/cret@bucket/jobs",
        "s3://key:1234/cret@bucket/jobs",
        "s3://:pass@host/jobs",
        "az://container/jobs?sig=secret",
        "s3://bucket/jobs#secret",
        # what means another thing on each machine, is read alone, or does more than keep files
        *(
            f"{name}://{rest}"
            for name in (
                *("file", "local", "memory", "http", "https", "github", "git", "data", "dir", "zip", "tar"),
                *(
                    "cached",
                    "simplecache",
                    "filecache",
                    "blockcache",
                    "reference",
                    "python",
                    "dask",
                    "generic",
                ),
                *(
                    "jupyter",
                    "dbfs",
                    "libarchive",
                    "asyncwrapper",
                    "hf",
                    "nonsense",
                    "S3",
                    "",
                    "ftp",
                    "sftp",
                    "smb",
                ),
            )
            for rest in ("bucket/jobs", "/mnt/jobs")
        ),
        "simplecache::s3://bucket/jobs",
        "s3://bucket/jobs::file:///etc",
        "s3::/bucket",
        # ways up, patterns, and what a protocol may read otherwise
        "s3://bucket/../other",
        "s3://bucket/./jobs",
        "s3://bucket/a//b",
        "s3://bucket/*",
        "s3://bucket/[ab]",
        "s3://bucket/%2e%2e/x",
        "s3://bucket/a b",
        "s3://bucket/a\\b",
        "s3://bucket/a\nb",
        "s3://bucket/jobs\n",
        "s3:///jobs",
        "s3://",
        "s3:/bucket/jobs",
        "s3://host:123456/jobs",
        "s3://bucket/" + "a" * LIMIT,
    ],
)
def test_invalid_storage_addresses_are_refused(value: str) -> None:
    assert not SHARED_STORAGE.fits(value)


def test_validating_a_hostile_address_takes_linear_time() -> None:
    begun = time.process_time()
    for text in (
        "s3://" + "a." * 490,
        "s3://b" + "/a" * 490 + "!",
        "s3://" + "@" * 990,
        "s3://b/" + "-" * 990,
    ):
        assert not SHARED_STORAGE.fits(text + "*")
    assert time.process_time() - begun < 1


def test_the_storage_error_lists_the_protocols() -> None:
    assert "without any key or password" in SHARED_STORAGE.words
    assert f"({', '.join(PROTOCOLS)})" in SHARED_STORAGE.words


@pytest.mark.parametrize("storage", ["/mnt/jobs", "s3://bucket/jobs"])
def test_moving_a_job_keeps_storage_only_on_a_cluster(storage: str) -> None:
    config = {"cluster": "auto", "insecureCluster": True, "storage": storage, "maxSteps": 3}
    assert _moved(config, "here") == {"maxSteps": 3}
    assert _moved(config, "head:6379") == {"cluster": "head:6379", "storage": storage, "maxSteps": 3}
