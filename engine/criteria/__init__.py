"""Criteria: what a weight or a unit is worth. One idea a file."""
