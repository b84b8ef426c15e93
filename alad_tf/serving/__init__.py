"""Models in production: export, conversion, clients, batch scoring."""
