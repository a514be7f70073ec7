"""Plumbing that imports nothing of ours: where files lie, what reads and writes them."""
