"""``arkor-dev push``: ``run`` asks and has it made, ``hub`` starts the process that publishes, ``uploader``.

The token is read in that process alone, by the hub's own library, and no line of ours says it.
"""
