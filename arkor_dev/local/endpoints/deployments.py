"""Deployments and their keys in the jobs' database; each function is to be called through ``AsyncStore``.

A key is 32 random bytes, so its plain SHA-256 is safe: nobody can try all keys, and no slow hash is needed.
Hashes are compared in constant time.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import sqlite3
from typing import TYPE_CHECKING, Final, NamedTuple, TypedDict

from arkor_dev.contract.deployments import TARGET
from arkor_dev.contract.errors import ConflictError, NotFoundError
from arkor_dev.contract.rules import FILLED, TEXT
from arkor_dev.contract.schema import Field, Schema, SchemaError, check_as
from arkor_dev.contract.shapes import AnsweredBy, DeploymentTarget
from arkor_dev.local.inference.engines.choice import AUTO
from arkor_dev.local.jobs.database import SECURE_DELETE, TRUNCATE_LOG, stored_object, transaction
from arkor_dev.local.jobs.records import compact, now

if TYPE_CHECKING:
    from collections.abc import Mapping

    from arkor_dev.contract.shapes import AuthMode, Deployment, DeploymentKey, EngineName
    from arkor_dev.local.jobs.store import Store

KEY_MARK: Final = "ak-"
PREFIX: Final = 10
"""Visible characters of a key: ``ak-`` and 7 more, which leaves 36 unknown."""
MOST_DEPLOYMENTS: Final = 100
MOST_KEYS: Final = 100
COLUMNS: Final = "id, slug, target, auth, enabled, retention, days, created, updated, engine, answered"
STORED: Final = {"authMode": "auth", "enabled": "enabled", "engine": "engine"}
"""Fields of changes that are stored as they are, and their columns."""
RESTART: Final = frozenset({"target", "enabled", "engine"})
"""Fields whose change makes the engine be chosen again."""
DAMAGED_TARGET: Final = "unknown, since its record is damaged: choose again what to serve"
ANSWERED_BY: Final = Schema(
    Field("engine", FILLED, needed=True),
    Field("precision", TEXT, needed=True),
    Field("weights", TEXT),
    Field("why", TEXT),
)
NOT_KEPT: Final = "disabled"


class DeploymentChanges(TypedDict, total=False):
    """A body of the contract's ``UPDATE``."""

    target: DeploymentTarget
    authMode: AuthMode
    enabled: bool
    engine: EngineName
    runRetentionMode: str | None
    runRetentionDays: int | None


class NewDeployment(DeploymentChanges):
    """A body of the contract's ``CREATE``, which also has a target and an ``authMode``."""

    slug: str


class DeploymentRow(NamedTuple):
    """A row of ``COLUMNS``; ``target`` and ``answered`` are JSON."""

    id: str
    slug: str
    target: str
    auth: AuthMode
    enabled: int
    retention: str
    days: int | None
    created: str
    updated: str
    engine: EngineName
    answered: str | None


class Key(NamedTuple):
    """Identifies a caller: the key's id, and its visible part."""

    id: str
    prefix: str


def _shape(store: Store, row: DeploymentRow) -> Deployment:
    deployment: Deployment = {
        "id": row.id,
        "slug": row.slug,
        "orgId": store.org,
        "projectId": store.project_id,
        "target": _target(row.target),
        "authMode": row.auth,
        "urlFormat": "openai_compat",
        "enabled": bool(row.enabled),
        "customDomain": None,
        "runRetentionMode": row.retention,
        "createdAt": row.created,
        "updatedAt": row.updated,
        "engine": row.engine,
        "answeredBy": _answered_by(row.answered),
    }
    if row.days is not None:
        deployment["runRetentionDays"] = row.days
    return deployment


def _answered_by(text: str | None) -> AnsweredBy | None:
    """Return a stored engine; None for a damaged one, as for a deployment that has not answered."""
    try:
        return check_as(AnsweredBy, stored_object(text), ANSWERED_BY)
    except SchemaError:
        return None


def _target(text: object) -> DeploymentTarget:
    """Return a stored target; for a damaged one, a model that no backend has, whose name says what to do."""
    try:
        return check_as(DeploymentTarget, stored_object(text), TARGET)
    except SchemaError:
        return {"kind": "base_model", "baseModel": DAMAGED_TARGET}


def _select(store: Store, db: sqlite3.Connection, column: str, value: str) -> Deployment | None:
    row = db.execute(f"SELECT {COLUMNS} FROM deployments WHERE {column} = ?", (value,)).fetchone()  # noqa: S608 - our own names
    return None if row is None else _shape(store, DeploymentRow(*row))


def listing(store: Store) -> list[Deployment]:
    """Return all deployments, oldest first."""
    rows = store.reading.execute(f"SELECT {COLUMNS} FROM deployments ORDER BY created, id")  # noqa: S608 - constant text
    return [_shape(store, DeploymentRow(*row)) for row in rows.fetchall()]


def get(store: Store, deployment: str) -> Deployment | None:
    return _select(store, store.reading, "id", deployment)


def by_slug(store: Store, slug: str) -> Deployment | None:
    return _select(store, store.reading, "slug", slug)


def create(store: Store, body: NewDeployment) -> Deployment:
    """Create a deployment. Chats are kept only if that requests it."""
    db, identity = store.writing, f"dep_{secrets.token_hex(6)}"
    retention = body.get("runRetentionMode") or NOT_KEPT
    facts = (body["slug"], compact(body["target"]), body["authMode"], body.get("enabled", True), retention)
    with transaction(db):
        if db.execute("SELECT count(*) FROM deployments").fetchone()[0] >= MOST_DEPLOYMENTS:
            raise ConflictError(
                f"There are {MOST_DEPLOYMENTS} endpoints, which is the most: delete one first"
            )
        try:
            db.execute(
                f"INSERT INTO deployments ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)",  # noqa: S608 - constant text
                (identity, *facts, body.get("runRetentionDays"), now(), now(), body.get("engine") or AUTO),
            )
        except sqlite3.IntegrityError:
            raise ConflictError(f"There is an endpoint {body['slug']} already") from None
    created = _select(store, db, "id", identity)
    assert created
    return created


def change(store: Store, deployment: str, body: DeploymentChanges) -> Deployment:
    """Apply these changes, and no others; return the deployment."""
    changes: dict[str, object] = {"updated": now()}
    if "target" in body:
        changes["target"] = compact(body["target"])
    given: Mapping[str, object] = body
    changes |= {column: given[field] for field, column in STORED.items() if field in given}
    if RESTART & body.keys():
        changes["answered"] = None
    if "runRetentionMode" in body:
        changes |= {"retention": body["runRetentionMode"] or NOT_KEPT, "days": body.get("runRetentionDays")}
    store.writing.execute(
        f"UPDATE deployments SET {', '.join(f'{column} = ?' for column in changes)} WHERE id = ?",  # noqa: S608 - our own names
        (*changes.values(), deployment),
    )
    changed = _select(store, store.writing, "id", deployment)
    if changed is None:
        raise NotFoundError(f"There is no endpoint {deployment}")
    return changed


def record_answered(store: Store, deployment: str, answered_by: AnsweredBy) -> None:
    """Record the answering engine of a deployment, if that is not yet known."""
    store.writing.execute(
        "UPDATE deployments SET answered = ? WHERE id = ? AND answered IS NULL",
        (compact(answered_by), deployment),
    )


def remove(store: Store, deployment: str) -> None:
    """Delete a deployment with its keys and its request log."""
    db = store.writing
    db.execute(SECURE_DELETE)
    with transaction(db):
        db.execute("DELETE FROM endpoint_keys WHERE deployment = ?", (deployment,))
        db.execute("DELETE FROM endpoint_requests WHERE deployment = ?", (deployment,))
        db.execute("DELETE FROM deployments WHERE id = ?", (deployment,))
    db.execute(TRUNCATE_LOG)


# Keys


def keys(store: Store, deployment: str) -> list[DeploymentKey]:
    """Return the keys, oldest first, without plaintexts."""
    rows = store.reading.execute(
        """SELECT id, label, prefix, created, used FROM endpoint_keys WHERE deployment = ?
            ORDER BY created, id""",
        (deployment,),
    )
    return [_key_shape(*row) for row in rows.fetchall()]


def _key_shape(identity: str, label: str, prefix: str, created: str, used: str | None) -> DeploymentKey:
    return {
        "id": identity,
        "label": label,
        "prefix": prefix,
        "enabled": True,
        "createdAt": created,
        "lastUsedAt": used,
    }


def issue(store: Store, deployment: str, label: str) -> DeploymentKey:
    """Create a key and return it with its ``plaintext``, which is not stored and so never returned again."""
    db, plaintext = store.writing, KEY_MARK + secrets.token_urlsafe(32)
    key = _key_shape(f"key_{secrets.token_hex(6)}", label, plaintext[:PREFIX], now(), None)
    with transaction(db):
        count = db.execute("SELECT count(*) FROM endpoint_keys WHERE deployment = ?", (deployment,))
        if count.fetchone()[0] >= MOST_KEYS:
            raise ConflictError(f"This endpoint has {MOST_KEYS} keys, which is the most: revoke one first")
        db.execute(
            "INSERT INTO endpoint_keys VALUES (?, ?, ?, ?, ?, ?, NULL)",
            (key["id"], deployment, label, key["prefix"], _hash(plaintext), key["createdAt"]),
        )
    return {**key, "plaintext": plaintext}


def revoke(store: Store, deployment: str, key: str) -> bool:
    """Delete a key; return whether it existed."""
    done = store.writing.execute(
        "DELETE FROM endpoint_keys WHERE deployment = ? AND id = ?", (deployment, key)
    )
    return done.rowcount > 0


def key_of(store: Store, deployment: str, plaintext: str) -> Key | None:
    """Return the deployment's key that equals ``key``; all are compared, even after a match."""
    hashed = _hash(plaintext)
    rows = store.reading.execute(
        "SELECT id, prefix, hash FROM endpoint_keys WHERE deployment = ?", (deployment,)
    )
    match = None
    for identity, prefix, stored_hash in rows.fetchall():
        if hmac.compare_digest(stored_hash, hashed):
            match = Key(identity, prefix)
    return match


def record_used(store: Store, key: str) -> None:
    """Record that a key has been used now."""
    store.writing.execute("UPDATE endpoint_keys SET used = ? WHERE id = ?", (now(), key))


def _hash(plaintext: str) -> bytes:
    return hashlib.sha256(plaintext.encode("utf-8", "surrogateescape")).digest()
