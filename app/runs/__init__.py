"""The life of runs: validated, queued, started, controlled, fed with points, ended."""
