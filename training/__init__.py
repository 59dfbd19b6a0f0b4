"""Labelled data in, a released model out."""
