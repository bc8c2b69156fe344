"""Tables in words: what a person reads on a terminal. Each is a function of tables, as figures are."""

from lmc.summaries.summary import Summary

__all__ = ["Summary"]
