"""Runs as charts: bounded curves, kept up to date, their colours, and which runs are shared."""
