"""``/api/start-requests``: a page learns of them with the list of jobs, and answers once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arkor_dev.contract.shapes import REQUESTS_HEADER
from arkor_dev.project.start_requests import PendingStart, folder_of
from arkor_dev.server.app_keys import START_REQUESTS
from tests.project.test_start_requests import SAID

if TYPE_CHECKING:
    from tests.support.studio import Studio


async def test_start_requests_are_counted_and_answered_once(studio: Studio) -> None:
    async with studio.session.get("/api/jobs") as jobs:
        assert REQUESTS_HEADER not in jobs.headers
        tag = jobs.headers["ETag"]
    with PendingStart(folder_of(studio.settings), SAID) as request:
        studio.app[START_REQUESTS].expire()  # as time does
        async with studio.session.get("/api/jobs", headers={"If-None-Match": tag}) as jobs:
            assert (jobs.status, jobs.headers[REQUESTS_HEADER]) == (304, "1")
        async with studio.session.get("/api/start-requests") as listed:
            (shown,) = (await listed.json())["requests"]
        path = f"/api/start-requests/{shown['id']}"
        async with studio.stranger.post(path, json={"allow": True}) as refused:
            assert refused.status == 403
        for body, status in (({"allow": "yes"}, 400), ({"allow": True}, 200), ({"allow": False}, 404)):
            async with studio.session.post(path, json=body) as answered:
                assert answered.status == status
        assert request.answer() is True
        async with studio.session.get("/api/jobs") as jobs:
            assert REQUESTS_HEADER not in jobs.headers
