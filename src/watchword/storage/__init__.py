"""Stores: the reference in memory, and those over SQL. No HTTP, and no rule: what to write was decided before."""
