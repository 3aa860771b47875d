"""From a prepared dataset to one worker's uint8 batches: resident, or streaming. The position to save is `images_seen`."""

from ganray.data.resident import Resident, ResidentShards, hold
from ganray.data.streaming import Stream, Streaming, streaming_config, streaming_dataset, streaming_source

__all__ = ["Resident", "ResidentShards", "Stream", "Streaming", "hold", "streaming_config", "streaming_dataset", "streaming_source"]
