"""``arkor-dev export``: ``asking`` has the files made and fetches them, ``run`` writes them.

``usage`` says what to do with them.
"""
