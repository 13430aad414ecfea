"""From a launch's settings to a backend: managed, local, or over ssh. Start with ``connect``."""
