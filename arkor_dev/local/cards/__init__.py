"""Files stored with a job's result: ``provenance.json`` and the model card in ``README.md``.

``writer`` writes both: ``provenance`` from a run's facts, ``card`` from a provenance and later measurements.
Every text passes through ``privacy`` and ``escaping``: it must not identify this machine, its user or a
secret, and must not become markup.
"""
