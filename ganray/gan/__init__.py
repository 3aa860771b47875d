"""The adversarial core: networks, losses, penalties, EMA and one training step. Torch only: no Ray, no files, no clock."""
