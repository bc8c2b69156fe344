"""Runs of one architecture, recorded once, matched and permuted."""
