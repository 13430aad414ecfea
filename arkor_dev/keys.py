"""What the application's handlers share, by typed key."""

from __future__ import annotations

from aiohttp import web

from .backend import Backend
from .events import EventHub
from .jobs import JobsCache
from .manifest import ManifestReader
from .settings import Settings
from .training import TrainingRuns

SETTINGS = web.AppKey("settings", Settings)
BACKEND = web.AppKey("backend", Backend)
JOBS = web.AppKey("jobs", JobsCache)
EVENTS = web.AppKey("events", EventHub)
MANIFEST = web.AppKey("manifest", ManifestReader)
RUNS = web.AppKey("runs", TrainingRuns)
