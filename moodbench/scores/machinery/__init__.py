"""What several scores share: statistics of ID train, Gaussians, shaping, samples, and how scores are fitted."""
