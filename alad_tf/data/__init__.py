"""The data sets of Table I, split as the released code splits them, and the toy data of Figure 2."""
