"""Visdom at arm's length: a supervised child process, a connection that posts to it, a proxy that shows it.

Nothing here imports the visdom package but server_process.py, which is a program of its own.
"""
