"""Arkor Studio: fine-tune a language model from a local web page and talk to the result."""

__version__ = "0.1.0"
