"""What every package of Studio may use: the settings of a launch, errors, private files, plain text.

It imports nothing of Studio but ``contract``. Start with ``settings``.
"""
