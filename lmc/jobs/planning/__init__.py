"""Runs that are to be made: checked, named, trained in stacks, stored on the way."""
