"""What a job has made, written for other programs, with the proof that it answers as the trained one.

``service`` takes the orders, ``worker`` is the process that writes (``writing``), and reads what it wrote
as a stranger would (``reading``, ``proof``). torch is imported in that process alone. Start with ``making``.
"""
