from hypothesis import given
from hypothesis import strategies as st

from robustfront.config.layers import Layer, dotted, flatten, merge, written_at

KEYS = st.sampled_from("abc")
TREES = st.recursive(
    st.dictionaries(KEYS, st.integers(0, 3) | st.lists(st.integers(0, 3), max_size=2), max_size=3),
    lambda inner: st.dictionaries(KEYS, inner | st.integers(0, 3), max_size=3),
    max_leaves=6,
)


@given(TREES, TREES)
def test_merging_keeps_every_leaf_of_the_upper_and_what_it_does_not_hide_of_the_lower(
    base: dict[str, object], over: dict[str, object]
) -> None:
    merged = merge(base, over)
    assert merged.keys() == base.keys() | over.keys()
    for key, value in merged.items():
        if isinstance(base.get(key), dict) and isinstance(over.get(key), dict):
            assert value == merge(base[key], over[key])
        else:
            assert value == over.get(key, base.get(key))


@given(TREES, TREES, TREES)
def test_merging_is_associative_and_leaves_its_arguments_alone(
    a: dict[str, object], b: dict[str, object], c: dict[str, object]
) -> None:
    before = repr((a, b, c))
    assert merge(merge(a, b), c) == merge(a, merge(b, c)) or not _kinds_agree(a, b, c)
    assert merge(a, {}) == a == merge({}, a)
    assert repr((a, b, c)) == before


def _kinds_agree(*trees: object) -> bool:
    """Whether no key is a mapping in one tree and a leaf in another: there the order of merging matters."""
    mappings = [tree for tree in trees if isinstance(tree, dict)]
    if len(mappings) not in (0, len(trees)):
        return False
    keys = {key for tree in mappings for key in tree}
    return all(_kinds_agree(*[tree[key] for tree in mappings if key in tree]) for key in keys)


def test_a_key_is_named_where_the_uppermost_layer_has_it() -> None:
    layers = [
        Layer("defaults", {"model": {"width": 4, "depth": 10}, "seeds": [0, 1]}),
        Layer("scales.a", {"model": {"width": 8}}),
    ]
    assert flatten(layers) == {"model": {"width": 8, "depth": 10}, "seeds": [0, 1]}
    assert written_at(layers, ("model", "width")) == "scales.a.model.width"
    assert written_at(layers, ("model", "depth")) == "defaults.model.depth"
    assert written_at(layers, ("seeds", 1)) == "defaults.seeds[1]"
    assert written_at(layers, ("model", "absent")) == "scales.a.model.absent"
    assert written_at(layers, ("note",)) == "scales.a.note"


def test_a_layer_can_be_entered() -> None:
    layer = Layer("runs.st", {"model": {"width": 8}})
    assert layer.at("model") == Layer("runs.st.model", {"width": 8})
    assert layer.at("training") == Layer("runs.st.training", {})


def test_dotted_joins_names_and_positions() -> None:
    assert dotted("", "runs", "a.b", 3, "c") == "runs.a.b[3].c"
    assert dotted("runs", "", "a\nb") == "runs.''.'a\\nb'"
