"""Published generators: artifacts, and the registry of their versions with a best alias a model."""
