"""GAN training on Ray."""
