"""Section V-B: the methods that ALAD is compared with, a module each.

classical  OC-SVM, Isolation Forest, two trivial ones: scikit-learn's classes and two of their kind
dsebm      deep structured energy-based models
dagmm      deep autoencoding Gaussian mixture models
anogan     a GAN and a search for the z of each row
detector   the three deep ones as scikit-learn outlier detectors
"""
