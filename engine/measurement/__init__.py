"""What a model costs and what it can do."""
