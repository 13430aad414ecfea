"""How base and adapter answer general questions: how long, repeating or refusing. Start with ``figures``."""
