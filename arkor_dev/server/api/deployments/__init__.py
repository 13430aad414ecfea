"""Endpoints of the backend: ``routes`` passes their calls on, ``schema`` says what bodies they take."""
