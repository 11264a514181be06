"""Scopes: across which weights the choice is made. One idea a file."""
