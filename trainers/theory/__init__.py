"""What is known of a run before and after it: stability, cost surfaces, diagnoses."""
