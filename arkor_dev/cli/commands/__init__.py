"""The subcommands of ``arkor-dev``, a module each.

They are imported when they are asked for, so that the page starts fast. Start with ``start``.
"""
