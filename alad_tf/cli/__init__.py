"""The command `alad`, one module for each family of verbs."""
