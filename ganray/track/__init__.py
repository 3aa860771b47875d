"""Experiment trackers: what a run's record has is sent to TensorBoard, MLflow or W&B by a process of its own, off the training path."""
