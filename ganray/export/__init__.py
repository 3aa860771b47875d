"""Published generators in formats that run without ganray: ONNX, and torch.export's program."""
