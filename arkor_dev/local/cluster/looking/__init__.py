"""Processes that look at a cluster and say what they see: ``status`` for a person, ``room`` for a job."""
