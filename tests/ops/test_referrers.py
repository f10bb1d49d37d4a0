"""What refers to an image comes along, when it is wanted."""

import itertools
from collections.abc import Iterator, Sequence

import msgspec
import pytest

from dockless.model.descriptor import Descriptor
from dockless.model.documents import parse_document
from dockless.model.errors import CopyFault, NetworkFault
from dockless.model.events import Event, Notice
from dockless.ops import contents, referrers
from dockless.ops.copy import CopyOptions, copy
from dockless.testing.contract import image
from tests.graphs import AMD, image_for, index, referrer
from tests.watched import FailsAt, Watched, wait_for_threads

ALONG = CopyOptions(referrers=True)


def signed(source: Watched) -> tuple[Descriptor, dict[str, Descriptor]]:
    """Put an index under "1.0": signed, one of its images with an SBOM that is signed, too, and a cosign tag."""
    amd, arm = (image_for(source.store, one) for one in ("linux/amd64", "linux/arm64"))
    root = index(source.store, amd, arm)
    source.store.tag(root, "1.0")
    bill = referrer(source.store, arm, "x/sbom")
    cosign = image(source.store, b"an old signature")
    source.store.tag(cosign, f"sha256-{amd.digest[7:]}.sig")
    made = {"of root": referrer(source.store, root, "x/signature"), "of arm": bill, "cosign": cosign}
    return root, {**made, "of bill": referrer(source.store, bill, "x/signature")}


def test_without_being_asked_for_they_stay_and_cost_nothing() -> None:
    source, destination = Watched(), Watched()
    _, made = signed(source)
    copied = copy(source, "1.0", destination)
    assert copied.referrers == 0
    assert not any(map(destination.store.exists, made.values()))
    assert source.asked("predecessors") == []


def test_all_come_each_once_after_what_they_refer_to_and_before_the_tag() -> None:
    source, destination = Watched(), Watched()
    root, made = signed(source)
    copied = copy(source, "1.0", destination, options=ALONG)
    assert copied.referrers == len(made)
    assert destination.store._contents == source.store._contents
    assert sorted(destination.store.tags()) == sorted(source.store.tags())
    done = [what for _, what in destination.done]
    assert len(set(done)) == len(done)
    assert done[-1] == "1.0"
    assert done.index(root.digest) < done.index(made["of root"].digest)
    assert done.index(made["of arm"].digest) < done.index(made["of bill"].digest)
    assert list(destination.store.predecessors(made["of arm"])) == [made["of bill"]]


def test_they_come_later_too_when_the_image_is_there() -> None:
    source, destination = Watched(), Watched()
    root, made = signed(source)
    copy(source, "1.0", destination)
    destination.calls.clear()
    assert copy(source, "1.0", destination, options=ALONG).referrers == len(made)
    assert destination.store._contents == source.store._contents
    assert root.digest not in destination.asked("push")
    assert "1.0" not in destination.asked("tag")


class Listing(Watched):
    """One that may hold referrers and not list them."""

    def list_referrers(self, of: Descriptor, referrers: Sequence[Descriptor]) -> None:
        assert all(map(self.store.exists, referrers))
        for one in referrers:
            self.begin(of.digest, one.digest)


def test_a_place_that_may_not_list_them_is_asked_to_each_time() -> None:
    source, destination = Watched(), Listing()
    root, made = signed(source)
    copy(source, "1.0", destination, options=msgspec.structs.replace(ALONG, dry_run=True))
    listing = {(root.digest, "of root"), (made["of arm"].digest, "of bill")}
    assert not any(destination.asked(subject) for subject, _ in listing)
    for _ in range(2):
        destination.calls.clear()
        copy(source, "1.0", destination, options=ALONG)
        for subject, name in listing:
            assert destination.asked(subject) == [made[name].digest]


def test_those_of_a_platform_that_stays_behind_stay_too() -> None:
    source, destination = Watched(), Watched()
    _, made = signed(source)
    copied = copy(source, "1.0", destination, options=msgspec.structs.replace(ALONG, platforms=(AMD,)))
    assert copied.referrers == 1
    assert [name for name, one in made.items() if destination.store.exists(one)] == ["cosign"]


def test_a_dry_run_counts_them_and_sets_no_tag() -> None:
    source, destination = Watched(), Watched()
    _, made = signed(source)
    dry = copy(source, "1.0", destination, options=msgspec.structs.replace(ALONG, dry_run=True))
    assert dry.referrers == len(made)
    assert {call for call, _ in destination.calls} == {"resolve", "exists"}
    assert copy(source, "1.0", destination, options=ALONG) == dry


@pytest.mark.parametrize("clobber", [True, False])
def test_a_signature_that_is_there_stays_without_clobber(clobber: bool) -> None:
    source, destination = Watched(), Watched()
    _, made = signed(source)
    (name,) = [tag for tag in source.store.tags() if tag.endswith(".sig")]
    before = image(destination.store, b"another signature")
    destination.store.tag(before, name)
    events: list[Event] = []
    options = msgspec.structs.replace(ALONG, clobber=clobber)
    copy(source, "1.0", destination, options=options, observe=events.append)
    assert destination.store.resolve(name) == (made["cosign"] if clobber else before)
    assert [name in event.text for event in events if isinstance(event, Notice)] == ([] if clobber else [True])
    destination.calls.clear()
    copy(source, "1.0", destination, options=options)
    assert destination.asked("tag") == []


def test_signatures_that_go_in_a_circle_come_once() -> None:
    source, destination = Watched(), Watched()
    first, second = image(source.store), image(source.store, b"another layer")
    for subject, signature in ((first, second), (second, first)):
        source.store.tag(signature, f"sha256-{subject.digest[7:]}.sig")
    source.store.tag(first, "1.0")
    assert copy(source, "1.0", destination, options=ALONG).referrers == 1
    assert sorted(destination.store.tags()) == sorted(source.store.tags())


def test_nothing_is_asked_for_its_referrers_twice() -> None:
    source, destination = Watched(), Watched()
    root = image(source.store)
    source.store.tag(root, "1.0")
    index(source.store, root, subject=root)
    assert copy(source, "1.0", destination, options=ALONG).referrers == 1
    assert len(source.asked("predecessors")) == 2


def test_when_one_fails_there_is_no_tag() -> None:
    source, destination = Watched(), Watched()
    root, made = signed(source)
    (held,) = parse_document(made["of bill"], source.store.fetch_named(made["of bill"].digest)[1]).successors[1:]
    source.store._contents[held.digest] = b"damaged"
    with pytest.raises(CopyFault) as failed:
        copy(source, "1.0", destination, options=ALONG)
    assert (failed.value.side, failed.value.exit_code) == ("source", 5)
    assert destination.store.exists(root)
    assert "1.0" not in destination.store.tags()


def test_a_fault_while_they_are_looked_for_is_the_sources() -> None:
    source, destination = Watched(), Watched()
    signed(source)
    source.meddle = FailsAt(2, NetworkFault("gone"), "predecessors")
    with pytest.raises(CopyFault, match="source: gone"):
        copy(source, "1.0", destination, options=ALONG)


def test_a_list_without_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(referrers, "MOST", 10)

    class Endless(Watched):
        def predecessors(self, of: Descriptor) -> Iterator[Descriptor]:
            return itertools.repeat(signature)

    source = Endless()
    root = image(source.store)
    source.store.tag(root, "1.0")
    signature = referrer(source.store, root, "x/signature")
    assert copy(source, "1.0", Watched(), options=ALONG).referrers == 1


def test_there_are_no_more_than_any_image_has(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Watched()
    root = image(source.store)
    source.store.tag(root, "1.0")
    for number in range(10):
        referrer(source.store, root, f"x/{number}")
    monkeypatch.setattr(contents, "MOST", 10)
    with pytest.raises(CopyFault, match="more than 10"):
        copy(source, "1.0", Watched(), options=ALONG)
    wait_for_threads()
