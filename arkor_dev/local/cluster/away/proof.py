"""How a place on a node proves that it is the one which was made. Both sides use it."""

from __future__ import annotations

import hashlib
import hmac


def proof(nonce: str, name: str, challenge: str) -> str:
    """The answer of the place ``name`` to ``challenge``, as hexadecimal digits; it takes the nonce."""
    said = f"arkor-dev place\n{name}\n{challenge}"
    return hmac.new(bytes.fromhex(nonce), said.encode(), hashlib.sha256).hexdigest()
