"""The command `alad`: one module a family of verbs."""
