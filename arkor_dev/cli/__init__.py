"""The ``arkor-dev`` command: its options, its subcommands, and what a terminal shows.

It is the top of the house: nothing imports it. Start with ``main``; ``commands`` has a module a subcommand.
"""
