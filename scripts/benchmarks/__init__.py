"""The parts of ``scripts/bench``: each module has ``measure(*, quick) -> Iterator[Figure]``."""
