"""A page of another site, in a true browser, tries to use an endpoint that is open to all."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser

    from tests.support.fake_backend import FakeBackend
    from tests.support.studio import Studio

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ATTACK = """async (target) => {
  const body = JSON.stringify({messages: [{role: 'user', content: 'hi'}]});
  const url = target + '/chat/completions';
  const ways = {
    fetch: () => fetch(url, {method: 'POST', headers: {'Content-Type': 'application/json'}, body}),
    simple: () => fetch(url, {method: 'POST', body}),
    'no-cors': () => fetch(url, {method: 'POST', mode: 'no-cors', body}),
    'no-cors form': () => fetch(url, {
      method: 'POST', mode: 'no-cors', headers: {'Content-Type': 'application/x-www-form-urlencoded'}, body,
    }),
    'with credentials': () => fetch(url, {
      method: 'POST', credentials: 'include', headers: {'Content-Type': 'application/json'}, body,
    }),
    'with a key': () => fetch(url, {
      method: 'POST', headers: {'Content-Type': 'application/json', Authorization: 'Bearer x'}, body,
    }),
    models: () => fetch(target + '/models'),
    'models without cors': () => fetch(target + '/models', {mode: 'no-cors'}),
    xhr: () => new Promise((done, fail) => {
      const request = new XMLHttpRequest();
      request.open('POST', url);
      request.setRequestHeader('Content-Type', 'application/json');
      request.onload = () => done({type: 'xhr', status: request.status});
      request.onerror = () => fail(new Error('refused'));
      request.send(body);
    }),
    beacon: () => navigator.sendBeacon(url, new Blob([body], {type: 'text/plain'})),
    image: () => new Promise((done, fail) => {
      const image = new Image();
      image.onload = () => done({status: 200});
      image.onerror = () => fail(new Error('refused'));
      image.src = target + '/models';
    }),
    script: () => new Promise((done, fail) => {
      const script = document.createElement('script');
      script.onload = () => done({status: 200});
      script.onerror = () => fail(new Error('refused'));
      script.src = target + '/models';
      document.head.append(script);
    }),
  };
  const form = document.createElement('form');
  form.method = 'POST';
  form.action = url;
  form.target = 'frame';
  form.enctype = 'text/plain';
  const frame = document.createElement('iframe');
  frame.name = 'frame';
  document.body.append(form, frame);
  const told = {};
  for (const [name, way] of Object.entries(ways)) {
    try {
      const answer = await way();
      told[name] = answer === true ? 'sent' : `${answer.type ?? ''} ${answer.status}`;
    } catch (fault) { told[name] = 'refused'; }
  }
  await new Promise((done) => { frame.onload = done; form.submit(); });
  try { told.form = frame.contentDocument.body.innerText; } catch { told.form = 'refused'; }
  return told;
}"""


@asynccontextmanager
async def another_site() -> AsyncIterator[str]:
    """A server of somebody else, with an empty page; answers its address."""

    async def page(_: web.Request) -> web.Response:
        return web.Response(text="<!doctype html><title>evil</title>", content_type="text/html")

    app = web.Application()
    app.router.add_get("/", page)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert runner.addresses
    yield f"http://localhost:{runner.addresses[0][1]}/"
    await runner.cleanup()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_a_foreign_web_page_cannot_use_an_open_endpoint(
    studio: Studio, fake_backend: FakeBackend, browser: Browser, host: str
) -> None:
    fake_backend.features = ["endpoints", "serving"]
    body = {"slug": "open", "target": {"kind": "base_model", "baseModel": "tiny"}, "authMode": "none"}
    async with studio.session.post("/api/deployments", json=body) as answer:
        assert answer.status == 201
    target = f"http://{host}:{studio.port}/e/open/v1"
    context = await browser.new_context()
    async with another_site() as site:
        page = await context.new_page()
        await page.goto(site)
        told = await page.evaluate(ATTACK, target)
    await context.close()
    assert {name: what for name, what in told.items() if what not in ("refused", "opaque 0", "sent")} == {}
    assert {"fetch", "xhr", "form", "beacon", "image", "script"} <= told.keys()
    assert fake_backend.serving.asked == []
    # None of it reached the backend: neither what the page could not read, nor what it sent blindly.
    assert [seen for seen in fake_backend.requests if "/v1/serve" in str(seen.url)] == []
