"""Deployments and their keys in the jobs' database; each function is to be called through ``AsyncStore``.

A key is 32 random bytes, so its plain SHA-256 is safe: nobody can try all keys, and no slow hash is needed.
Hashes are compared in constant time.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import sqlite3
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from arkor_dev.contract.deployments import TARGET
from arkor_dev.contract.errors import ConflictError, NotFoundError
from arkor_dev.contract.schema import SchemaError, check
from arkor_dev.local.inference.engines.choice import AUTO
from arkor_dev.local.jobs.database import SECURE_DELETE, TRUNCATE_LOG, stored_object, transaction
from arkor_dev.local.jobs.records import compact, now

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from arkor_dev.local.jobs.store import Store

KEY_MARK: Final = "ak-"
PREFIX: Final = 10
"""Visible characters of a key: ``ak-`` and 7 more, which leaves 36 unknown."""
MOST_DEPLOYMENTS: Final = 100
MOST_KEYS: Final = 100
COLUMNS: Final = "id, slug, target, auth, enabled, retention, days, created, updated, engine, answered"
RESTART: Final = frozenset({"target", "enabled", "engine"})
"""Fields whose change makes the engine be chosen again."""
DAMAGED_TARGET: Final = "unknown, since its record is damaged: choose again what to serve"
NOT_KEPT: Final = "disabled"


class Key(NamedTuple):
    """Identifies a caller: the key's id, and its visible part."""

    id: str
    prefix: str


def _shape(store: Store, row: Sequence[Any]) -> dict[str, Any]:
    """Return the contract's ``Deployment``."""
    identity, slug, target, auth, enabled, retention, days, created, updated, engine, answered = row
    deployment = {
        "id": identity,
        "slug": slug,
        "orgId": store.org,
        "projectId": store.project_id,
        "target": _target(target),
        "authMode": auth,
        "urlFormat": "openai_compat",
        "enabled": bool(enabled),
        "customDomain": None,
        "runRetentionMode": retention,
        "createdAt": created,
        "updatedAt": updated,
        "engine": engine,
        "answeredBy": stored_object(answered) or None,
    }
    return deployment if days is None else {**deployment, "runRetentionDays": days}


def _target(text: object) -> dict[str, Any]:
    """Return a stored target; for a damaged one, a model that no backend has, whose name says what to do."""
    try:
        return check(stored_object(text), TARGET)
    except SchemaError:
        return {"kind": "base_model", "baseModel": DAMAGED_TARGET}


def _select(store: Store, db: sqlite3.Connection, column: str, value: str) -> dict[str, Any] | None:
    row = db.execute(f"SELECT {COLUMNS} FROM deployments WHERE {column} = ?", (value,)).fetchone()  # noqa: S608 - our own names
    return None if row is None else _shape(store, row)


def listing(store: Store) -> list[dict[str, Any]]:
    """Return all deployments, oldest first."""
    rows = store.reading.execute(f"SELECT {COLUMNS} FROM deployments ORDER BY created, id")  # noqa: S608 - constant text
    return [_shape(store, row) for row in rows.fetchall()]


def get(store: Store, deployment: str) -> dict[str, Any] | None:
    return _select(store, store.reading, "id", deployment)


def by_slug(store: Store, slug: str) -> dict[str, Any] | None:
    return _select(store, store.reading, "slug", slug)


def create(store: Store, body: Mapping[str, Any]) -> dict[str, Any]:
    """Create a deployment from the contract's ``CREATE``. Chats are kept only if that requests it."""
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


def change(store: Store, deployment: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Apply the changes in the contract's ``UPDATE``, and no others; return the deployment."""
    changes: dict[str, Any] = {"updated": now()}
    if "target" in body:
        changes["target"] = compact(body["target"])
    for field, column in (("authMode", "auth"), ("enabled", "enabled"), ("engine", "engine")):
        if field in body:
            changes[column] = body[field]
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


def record_answered(store: Store, deployment: str, answered_by: Mapping[str, str]) -> None:
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


def keys(store: Store, deployment: str) -> list[dict[str, Any]]:
    """Return the contract's ``DeploymentKey`` of each key, oldest first, without plaintexts."""
    rows = store.reading.execute(
        """SELECT id, label, prefix, created, used FROM endpoint_keys WHERE deployment = ?
            ORDER BY created, id""",
        (deployment,),
    )
    return [_key_shape(*row) for row in rows.fetchall()]


def _key_shape(identity: str, label: str, prefix: str, created: str, used: str | None) -> dict[str, Any]:
    visible = {"id": identity, "label": label, "prefix": prefix, "enabled": True}
    return {**visible, "createdAt": created, "lastUsedAt": used}


def issue(store: Store, deployment: str, label: str) -> dict[str, Any]:
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
