"""Published generators: what an artifact is, and the registry of versions with its best pointer."""

from ganray.registry.artifact import load_generator
from ganray.registry.registry import Registry, Version

__all__ = ["Registry", "Version", "load_generator"]
