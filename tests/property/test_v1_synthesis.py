"""Whatever a registry holds becomes an image that others read, or is refused; and what became one stays the same."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from dockless.model.descriptor import describe
from dockless.model.digest import digest_of
from dockless.model.documents import Manifest, parse_document
from dockless.model.errors import InvalidDocument, Unsupported
from dockless.model.image_config import parse_image_config
from dockless.model.image_id import is_image_id
from dockless.model.media_types import OCI_LAYER_GZIP
from dockless.model.v1_synthesis import Layer, oci_from_v1, v1_from_oci

thoroughly = settings(deadline=None, max_examples=200)

texts = st.text(max_size=8) | st.sampled_from(["2015-01-01T00:00:00Z", "x86_64", "arm", "linux", "windows", ""])
junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
commands = st.none() | texts | st.lists(texts, max_size=3)
inner_configs = st.none() | st.fixed_dictionaries(
    {}, optional={"Cmd": commands, "Entrypoint": commands, "Env": st.lists(texts, max_size=2) | junk, "Strange": junk}
)
v1_images = st.fixed_dictionaries(
    {},
    optional={
        "created": texts | st.none(),
        "author": texts | st.none(),
        "comment": texts | st.none(),
        "architecture": texts | st.none(),
        "os": texts | st.none(),
        "variant": texts,
        "throwaway": st.booleans() | junk,
        "config": inner_configs,
        "container_config": st.none() | st.fixed_dictionaries({"Cmd": commands}),
        "strange": junk,
    },
)
steps = st.fixed_dictionaries(
    {},
    optional={"created": texts, "created_by": texts, "author": texts, "comment": texts, "empty_layer": st.booleans()},
)
configs = st.fixed_dictionaries(
    {},
    optional={
        "created": texts,
        "author": texts,
        "architecture": texts,
        "os": texts,
        "config": inner_configs,
        "history": st.none() | st.lists(steps, max_size=6),
        "strange": junk,
    },
)


def layer(number: int) -> Layer:
    content = b"%d" % number
    return Layer(describe(content, OCI_LAYER_GZIP), digest_of(content))


@thoroughly
@given(st.lists(st.tuples(v1_images, st.booleans()), min_size=1, max_size=5))
def test_v1_becomes_oci_for_good_or_is_refused(images: list[tuple[dict[str, object], bool]]) -> None:
    layers = [layer(number) if has_layer else None for number, (_, has_layer) in enumerate(images)]
    try:
        made = oci_from_v1([json.dumps(image).encode() for image, _ in images], layers)
    except InvalidDocument:
        return

    manifest = parse_document(made.manifest, made.manifest_raw)
    assert isinstance(manifest, Manifest)
    assert manifest.layers == tuple(one.descriptor for one in layers if one)
    config = parse_image_config(made.config_raw, "the config")
    assert config.rootfs.diff_ids == tuple(one.diff_id for one in layers if one)
    assert [step.empty_layer for step in config.history or ()] == [one is None for one in layers]
    assert config.os
    assert config.architecture

    back = v1_from_oci(made.config_raw, manifest.layers)
    assert oci_from_v1([one.raw for one in back], layers) == made


@thoroughly
@given(configs, st.integers(0, 5))
def test_oci_becomes_v1_and_comes_back_with_its_layers(config: dict[str, object], count: int) -> None:
    descriptors = [layer(number).descriptor for number in range(count)]
    raw = json.dumps(config).encode()
    try:
        made = v1_from_oci(raw, descriptors)
    except InvalidDocument:
        return

    parent: str | None = None
    for one in made:
        image = json.loads(one.raw)
        assert (image["id"], image.get("parent")) == (one.id, parent)
        assert is_image_id(one.id)
        parent = one.id
    assert len({one.id for one in made}) == len(made)
    assert [one.layer for one in made if one.layer] == descriptors
    assert v1_from_oci(raw, descriptors) == made

    steps = parse_image_config(raw, "it").history or ()
    texts = [step.created_by or None for step in steps]
    layers = [Layer(one.layer, one.layer.digest) if one.layer else None for one in made]
    try:
        back = oci_from_v1([one.raw for one in made], layers)
    except InvalidDocument:  # a platform that is none
        return
    history = parse_image_config(back.config_raw, "it").history or ()
    assert [step.created_by for step in history][: len(texts)] == texts


@thoroughly
@given(st.binary(max_size=40) | junk.map(lambda value: json.dumps(value).encode()), st.text(max_size=30))
def test_what_is_neither_is_refused(raw: bytes, media_type: str) -> None:
    for made in (
        lambda: oci_from_v1([raw], [None]),
        lambda: v1_from_oci(raw, [describe(b"", media_type)]),
    ):
        try:
            made()
        except (InvalidDocument, Unsupported):
            continue
