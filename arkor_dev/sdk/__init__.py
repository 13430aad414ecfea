"""The Python API: ``from arkor_dev import Studio``.

``async_studio`` has a project's runs as coroutines, over the same contract as the commands; ``studio`` is the
same for code that does not await, generated from it on the base of ``blocking``, and ``training_settings``
the settings' types, generated from their table. ``metrics`` has a run's figures, ``requests`` converts Python
values to the contract's form, ``chart`` draws a run for a notebook, and ``live`` a chart that follows it.
"""
