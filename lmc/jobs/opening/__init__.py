"""References become opened runs: networks, weights, constraints, data, pairs and folders."""
