"""Events are values, told to a callable."""

import pytest

from dockless.model.events import (
    BlobAdvanced,
    BlobFinished,
    BlobMounted,
    BlobQueued,
    BlobStarted,
    Event,
    Notice,
    Observer,
    Retrying,
    ignore,
)

EVENTS: list[Event] = [
    BlobQueued("layer", size=1),
    BlobStarted("layer", size=None, offset=0),
    BlobAdvanced("layer", done=1),
    BlobFinished("layer", size=1, verified=None),
    BlobMounted("layer", size=1),
    Retrying("refused", pause=0.5),
    Notice("something to know"),
]


@pytest.mark.parametrize("event", EVENTS)
def test_an_event_never_changes_after_it_was_told(event: Event) -> None:
    with pytest.raises(AttributeError):
        setattr(event, event.__struct_fields__[0], "other")


def test_the_default_observer_takes_every_event_and_does_nothing() -> None:
    observer: Observer = ignore

    assert list(map(observer, EVENTS)) == [None] * len(EVENTS)
