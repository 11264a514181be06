"""Model-preserving compression by interpolative decomposition (methods.md §5)."""
