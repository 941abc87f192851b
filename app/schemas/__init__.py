"""The shapes of requests, responses and the shared view; they import nothing of ours but trainers."""
