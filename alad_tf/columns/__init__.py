"""Columns of a table: which are used, their cells, and the features made of them."""
