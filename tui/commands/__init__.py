"""What the commands of `prune-tui` do, one family a file; imported when a command runs."""
