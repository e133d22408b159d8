"""Stores of one process: the model holds the truth in memory, a journal on disk."""
