"""The method used for real: memory, runs, export."""
