"""Tables of rows in files: readers, schema, preprocessing, fit and score."""
