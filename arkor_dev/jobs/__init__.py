"""Jobs as Studio sees them: the polled list, and one job's events from the wire to the page's stream.

It may import ``backend`` and the layers below, never the server. Start with ``event_hub``.
"""
