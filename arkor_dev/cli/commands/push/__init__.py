"""``arkor-dev push``: ``run`` confirms and exports, ``hub`` starts ``uploader``, the process that publishes.

Only that process reads the token, through the Hub's own library. Our code never prints it.
"""
