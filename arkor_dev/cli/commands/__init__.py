"""The subcommands of ``arkor-dev``, one module each.

Imported on demand, so that the page starts fast. Start reading with ``start``.
"""
