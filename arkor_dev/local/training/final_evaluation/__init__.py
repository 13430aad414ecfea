"""What a run has made, beside the model that it began from. Start with ``measure``."""
