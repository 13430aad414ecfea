"""Sends a job's metrics to experiment trackers: TensorBoard, Trackio, W&B, MLflow.

Each is called through its own package, in a separate process, so that one that hangs or fails neither slows
nor fails a run. Start with ``service``, the backend's side. ``worker`` is the process, ``writers`` call the
packages.
"""
