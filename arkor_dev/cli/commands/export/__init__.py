"""``arkor-dev export``: ``asking`` gets the files, ``run`` writes them, ``usage`` prints next steps."""
