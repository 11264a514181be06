"""The rules that ship: one family of layers a file."""
