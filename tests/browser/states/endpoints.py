"""Endpoints: none, one in full, being made, its key shown once, being deleted, and a backend without any."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from playwright.async_api import expect

from . import Scene, ago, state, trained, walk

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


def endpoint(scene: Scene, slug: str, **more: object) -> str:
    """An endpoint that exists, with three keys, one of them revoked; answers its id."""
    made = scene.fake.new_id("dep")
    scene.fake.deployments[made] = {
        "id": made,
        "slug": slug,
        "orgId": "o",
        "projectId": "p",
        "target": {"kind": "base_model", "baseModel": "SmolLM2-135M-Instruct"},
        "authMode": "fixed_api_key",
        "urlFormat": "openai_compat",
        "enabled": True,
        "customDomain": None,
        "createdAt": ago(86_400 * 3),
        "updatedAt": ago(3600),
        **more,
    }
    keys = {}
    for label, used, enabled in (
        ("web shop", ago(120), True),
        ("nightly tests", None, True),
        ("lost laptop", ago(7200), False),
    ):
        key = scene.fake.new_id("key")
        keys[key] = {
            "id": key,
            "label": label,
            "prefix": f"ak_{key[-1]}abc",
            "enabled": enabled,
            "createdAt": ago(86_400),
            "lastUsedAt": used,
        }
    scene.fake.keys[made] = keys
    return made


@state("endpoints-empty", "Before the first endpoint", tour="job")
async def empty(scene: Scene) -> None:
    await scene.go("/#/endpoints")
    await expect(scene.page.get_by_text("Give a model its own address")).to_be_visible()


@walk(
    {
        "endpoints-list": "Several endpoints, one of them off",
        "endpoints-new": "Making one: job and checkpoint are picked",
        "endpoints-one": "One endpoint: its facts, its keys, how to call it",
        "endpoints-delete": "Deleting asks for the name",
        "endpoints-key": "A new key is shown once",
    }
)
async def several(scene: Scene) -> AsyncGenerator[None]:
    page = scene.page
    job = trained(scene.fake, "support-bot")
    target = {"kind": "adapter", "adapter": {"kind": "checkpoint", "jobId": job, "step": 300}}
    by = {
        "engine": "transformers",
        "precision": "float32",
        "weights": "0a1b2c3d4e5f",
        "why": "its file for llama.cpp is being made meanwhile",
    }
    made = endpoint(scene, "support-bot", target=target, engine="auto", answeredBy=by)
    endpoint(scene, "a-very-long-address-that-somebody-found-meaningful-in-2026", authMode="none")
    endpoint(scene, "base", enabled=False)
    menu = {"kind": "model_menu", "models": [{"name": "a"}]}
    endpoint(scene, "menu", target=menu, expiresAt=ago(-86_400 * 3 - 60))
    await scene.go("/#/endpoints")
    await expect(page.get_by_role("link", name="support-bot")).to_be_visible()
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name="menu"))
    await expect(row).to_contain_text("An unknown target (model_menu)")
    await expect(row).to_contain_text("ends in 3 d")
    yield
    await scene.go("/#/endpoints?new=1")
    await page.locator("#ep-slug").fill("Support bot")
    await page.get_by_role("button", name="Create endpoint").click()
    await expect(page.get_by_role("alert")).to_be_visible()
    yield
    await scene.go(f"/#/endpoints?id={made}")
    await expect(page.get_by_text("nightly tests")).to_be_visible()
    await expect(page.get_by_text("transformers, float32, weights 0a1b2c3d4e5f")).to_be_visible()
    yield
    await page.get_by_role("button", name="Delete endpoint").click()
    await page.get_by_role("dialog").get_by_role("textbox").fill("support")
    yield
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_be_hidden()
    await page.get_by_label("Label of a new key").fill("staging")
    await page.get_by_role("button", name="Issue key").click()
    await expect(page.get_by_label("API key", exact=True)).to_have_value(re.compile("^ak_"))
    yield


@state("endpoints-classifier", "An endpoint of a classifier, with the curl it answers", tour="job")
async def classifier(scene: Scene) -> None:
    job = trained(scene.fake, "tickets", method="classify")
    target = {"kind": "adapter", "adapter": {"kind": "final", "jobId": job}}
    made = endpoint(scene, "tickets", target=target)
    await scene.go(f"/#/endpoints?id={made}")
    curl = scene.page.get_by_text("/v1/classify").last
    await expect(curl).to_be_visible()
    await curl.scroll_into_view_if_needed()


@state("endpoints-none", "A backend that has no endpoints")
async def none(scene: Scene) -> None:
    scene.fake.fault("GET /v1/endpoints", status=404, body=b'{"error": "No such thing here."}')
    await scene.go("/#/endpoints")
    await expect(scene.page.get_by_text("This backend has no endpoints")).to_be_visible()


@state("endpoints-requests", "What callers asked: answered, refused, left, one with its text")
async def requests(scene: Scene) -> None:
    scene.fake.features = ["endpoints", "serving"]
    job = trained(scene.fake, "support-bot")
    target = {"kind": "adapter", "adapter": {"kind": "final", "jobId": job}}
    made = endpoint(scene, "support-bot", target=target, runRetentionMode="days", runRetentionDays=7)
    usual = {
        "call": "chat/completions", "status": 200, "key": "ak-9Fh2kQz", "stream": True, "promptTokens": 212,
        "completionTokens": 96, "firstTokenSeconds": 0.21, "seconds": 1.9,
        "messages": [
            {"role": "system", "content": "Answer in one sentence."},
            {"role": "user", "content": "Where is my parcel? The number is 4711-08."},
        ],
        "answers": ["It left our house this morning, and the carrier brings it to you tomorrow."],
    }  # fmt: skip
    none = {"promptTokens": 0, "completionTokens": 0, "firstTokenSeconds": None, "seconds": 0.002}
    refused = {**usual, **none, "stream": False}
    del refused["messages"], refused["answers"]
    wrong = "top_k cannot be enforced: leave it out"
    rows: list[dict[str, object]] = [
        usual,
        {**usual, "stream": False, "completionTokens": 1204, "seconds": 31.4},
        {**refused, "status": 401, "key": None, "error": "The API key is not one of this endpoint's"},
        {**refused, "status": 400, "error": wrong},
        {**refused, "status": 499, "seconds": 4.2},
        {**refused, "status": 429, "error": "Too many requests with this key: try again in 1 s"},
        usual,
    ]
    scene.fake.serving.log[made] = [
        {"id": str(60 - at), "at": ago(20 + 90 * at), **row} for at, row in enumerate(rows)
    ]
    scene.fake.serving.totals = {
        "requests": 214, "errors": 9, "tokensPerSecond": 51.8, "medianSeconds": 1.84, "slowSeconds": 12.6
    }  # fmt: skip
    await scene.go(f"/#/endpoints?id={made}")
    await scene.page.get_by_role("button", name="Show the text").first.click()
    await expect(scene.page.get_by_text("4711-08")).to_be_visible()
    await scene.page.get_by_role("heading", name="Requests").evaluate("(node) => node.scrollIntoView()")
