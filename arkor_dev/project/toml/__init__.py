"""A TOML document as text: limits, positions, problems, and minimal edits. Start with ``edit``."""
