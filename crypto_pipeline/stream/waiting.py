"""Wait on a topic for its next record, as long as a sensor may: its own turn comes too rarely."""

from __future__ import annotations

import time
from contextlib import closing

from kafka.admin import OffsetSpec

from crypto_pipeline.settings import Settings
from crypto_pipeline.stream.connection import kafka_errors, open_admin
from crypto_pipeline.stream.ranges import offsets_of, partitions_of

LOOK_SECONDS = 0.1


def next_position(settings: Settings, name: str, *, known: str | None, seconds: float) -> str:
    """Where a topic of one partition ends, `id:offset`; waits for another place than the known.

    Raises StreamError when the broker is away or the topic is not there.
    """
    until = time.monotonic() + seconds
    with closing(open_admin(settings)) as admin, kafka_errors(settings):
        described = admin.describe_topics([name])[0]
        place = partitions_of(name, described)[0]
        while True:
            end = offsets_of(admin, [place], OffsetSpec.LATEST)[place]
            position = f"{described['topic_id']}:{end}"
            if position != known or time.monotonic() + LOOK_SECONDS > until:
                return position
            time.sleep(LOOK_SECONDS)
