"""Tables and figures that compare our results with the paper's, and HTML report pages."""
