"""Columns of a table: schema, checks of cells, and preprocessing to features."""
