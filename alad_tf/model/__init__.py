"""Figure 1 and Section IV: networks, spectral norm, losses, training, scores."""
