"""What a model is fed and what it gave: samples, preprocessing, true values and traces."""
