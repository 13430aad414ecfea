"""The ``arkor-dev`` command: options, subcommands and terminal output.

The topmost layer: no other package imports it. ``main`` is the entry point; ``commands`` has one module for
each subcommand.
"""
