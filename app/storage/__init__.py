"""Runs and their points on disk."""
