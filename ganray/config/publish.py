"""The `publish` section: where the best generator goes."""

from pydantic import Field

from ganray.config.fields import Name, Section


class Publish(Section):
    """Where the best generator goes."""

    model: Name | None = Field(None, description="model of the registry, under <storage>/models; null: the job's name")
    when_done: bool = Field(True, description="publish by itself when training ends")
