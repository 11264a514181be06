"""Targets: until when."""
