"""What runs in the process of Ray Train's controller, which imports no torch: policies, limits, and the process group of its workers."""
