"""Deployments on the wire: ``bodies`` has the requests that create them, ``shapes`` the log of served
requests.

The shapes of deployments and their keys are in ``contract/feature_shapes.py``.
"""
