"""Finds, stores and downloads base models. Start with ``catalog``; ``worker`` downloads them."""
