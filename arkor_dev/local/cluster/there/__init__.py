"""What runs on a node: ``host``, an actor, which is the place of one job after the other, each a ``node``."""
