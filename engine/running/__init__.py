"""The run: a recipe goes in, events come out."""
