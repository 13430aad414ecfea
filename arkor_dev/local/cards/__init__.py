"""Files beside a job's result: ``provenance.json`` and the model card in ``README.md``.

``writer`` writes both: ``provenance`` from a run's facts, ``card`` from a provenance and later measurements.
Every text goes through ``privacy`` and ``escaping``: it must not name this machine, its user or a secret, and
must not become markup.
"""
