"""Deployments on the wire: ``bodies`` are the requests that make them, ``shapes`` what their callers asked.

Their own shapes, and those of their keys, are in ``contract/feature_shapes.py``.
"""
