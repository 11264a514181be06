"""Repairs: what mends a pruned model."""
