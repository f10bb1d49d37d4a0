"""What a push to a v1 registry says."""

import json

from dockless.model.image_id import ImageId
from dockless.wire.v1.push import checksum_headers, image_list

ONE, TWO = ImageId("0123456789abcdef"), ImageId("f" * 64)


def test_a_list_has_ids_in_order_and_the_checksums_that_are_known() -> None:
    assert json.loads(image_list([(ONE, None), (TWO, "sha256:1")])) == [
        {"id": ONE},
        {"id": TWO, "checksum": "sha256:1"},
    ]
    assert image_list([]) == b"[]"


def test_a_checksum_goes_to_servers_of_all_ages() -> None:
    assert dict(checksum_headers("sha256:1")) == {
        "X-Docker-Checksum-Payload": "sha256:1",
        "X-Docker-Checksum": "sha256:1",
    }
