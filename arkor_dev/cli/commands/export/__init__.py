"""``arkor-dev export``: ``asking`` requests and downloads the files, ``run`` writes them.

``usage`` prints commands that use them.
"""
