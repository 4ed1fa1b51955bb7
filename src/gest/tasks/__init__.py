"""Tasks of a trained model (embed, generate, annotate, perturb), and the clustering of embeddings."""
