"""Models in production: export, conversion, clients, scoring in batches."""
