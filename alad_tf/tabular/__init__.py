"""Your own data files: readers and writers, fit, score, inspect and report."""
