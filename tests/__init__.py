"""Tests: `pytest` runs them all, without the network and without a released model."""
