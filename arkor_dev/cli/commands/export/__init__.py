"""``arkor-dev export``: ``run`` asks for the files and writes them, ``usage`` says what to do with them."""
