"""What travels with what a job made: ``provenance.json`` and the model card in ``README.md``.

``provenance`` is made of a run's facts, ``card`` of a provenance and what was measured since; ``beside``
writes both. Whatever is a text goes through ``privacy`` and ``escaping``: nothing of it may name this
machine, its user or a secret, and none of it is markup.
"""
