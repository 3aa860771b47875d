"""Published generators over HTTP: a page to look at samples, and an interface for programs, on Ray Serve with FastAPI."""
