"""Tests of the interface of training methods."""
