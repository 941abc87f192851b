"""The tools that are measured side by side, each as its users use it."""
