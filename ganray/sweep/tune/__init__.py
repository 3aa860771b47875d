"""What the sweep plugs into Ray Tune: its searchers and schedulers, the search over them, the trainable, the tuner."""
