"""Jobs as Studio sees them: the polled list, one job's events from the wire to the page's stream.

It may import ``backend`` and what lies below, never the server. Start with ``event_hub``.
"""
