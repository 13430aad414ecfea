"""``arkor-dev ssh``: what ``--ssh`` has put on another machine, and what runs there."""
