"""Runs and results on disk: identity, references, files."""
