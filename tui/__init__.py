"""The terminal app and the `prune-tui` command."""
