"""The subcommands of ``arkor-dev``, a module each, imported on demand. Start with ``start``."""
