"""Environments of tools, in which a model learns by acting. Processes of their own run them: any may fail.

``adapters`` makes the shapes of a project's class look alike, ``host`` runs in the process that forks one for
each episode, and ``pool`` is the training worker's side.
"""
