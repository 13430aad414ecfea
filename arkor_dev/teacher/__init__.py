"""Models behind OpenAI's API that make or judge rows: requests, budget, and kept answers."""
