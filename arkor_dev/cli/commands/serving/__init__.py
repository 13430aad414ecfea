"""``arkor-dev serve``: one endpoint without the page."""
