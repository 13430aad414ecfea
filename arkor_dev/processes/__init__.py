"""The child processes of Studio: training runs, their supervisors and their output.

It knows nothing about projects, jobs or HTTP. Start with ``training_runs``; ``supervisor`` is a separate
program.
"""
