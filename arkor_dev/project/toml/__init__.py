"""A TOML document as text: its limits, where its keys stand, what is wrong, edits that leave the rest.

Start with ``edit``.
"""
