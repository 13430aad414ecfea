"""Typed keys of the objects that handlers share."""

from __future__ import annotations

from aiohttp import web

from arkor_dev.backend.client import Backend
from arkor_dev.connection.engine_setup import EngineSetupService
from arkor_dev.core.settings import Settings
from arkor_dev.jobs.event_hub import EventHub
from arkor_dev.jobs.jobs_cache import JobsCache
from arkor_dev.making.service import MakingService
from arkor_dev.processes.training_runs import TrainingRuns
from arkor_dev.project.manifest import ManifestReader
from arkor_dev.project.start_requests import WaitingCount
from arkor_dev.project.watch import ProjectWatch

SETTINGS = web.AppKey("settings", Settings)
BACKEND = web.AppKey("backend", Backend)
JOBS = web.AppKey("jobs", JobsCache)
ENGINE = web.AppKey("engine", EngineSetupService)
EVENTS = web.AppKey("events", EventHub)
MAKING = web.AppKey("making", MakingService)
MANIFEST = web.AppKey("manifest", ManifestReader)
RUNS = web.AppKey("runs", TrainingRuns)
START_REQUESTS = web.AppKey("start_requests", WaitingCount)
WATCH = web.AppKey("watch", ProjectWatch)
