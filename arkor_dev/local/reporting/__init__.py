"""Sends a job's metrics to experiment trackers: TensorBoard, Trackio, W&B, MLflow.

Each is used through its own package, in a separate process: one that hangs or fails neither slows nor fails a
run. Start with ``service``, the backend's side. ``worker`` is the process, ``writers`` call the packages.
"""
