"""Tests of training/: small networks and tiny data, nothing fetched."""
