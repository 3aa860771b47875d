"""The adversarial core: networks, losses, penalties, the average and one step. Torch only: no ray, no files, no clock."""
