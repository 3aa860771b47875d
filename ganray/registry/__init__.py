"""Published generators: artifacts, and the registry of their versions with a best alias a model."""

from ganray.registry.artifact import load_generator
from ganray.registry.registry import Registry, Version

__all__ = ["Registry", "Version", "load_generator"]
