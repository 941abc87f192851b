"""Visdom, kept at arm's length: a supervised child, a connection that posts to it, a proxy that shows it.

Nothing here imports the visdom package but child.py, which is a program of its own.
"""
