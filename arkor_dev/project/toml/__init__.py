"""A TOML document as text: limits, positions of its keys, problems, and edits that leave the rest unchanged.

Start with ``edit``.
"""
