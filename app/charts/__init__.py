"""Runs as pictures: bounded curves kept up to date, their colours, and which runs are shared."""
