"""A job's figures in the programs where people already look: TensorBoard, Trackio, W&B, MLflow.

Each goes through its own package, in a process of its own: one that hangs or fails neither slows nor fails a
run. ``service`` is the backend's side and where to start, ``worker`` the process, ``writers`` speak to the
packages.
"""
