"""Schemas: everything else reads from them what a kind is."""

from lab.apiserver.schemas import Schema, Schemas


def test_a_kind_is_found_by_group_version_and_name(schemas: Schemas) -> None:
    assert schemas.find("apps", "v1", "Deployment") is not None
    assert schemas.find("", "v1", "Pod") is not None
    assert schemas.find("apps", "v1", "Pod") is None


def test_what_stands_beside_a_reference_wins_over_the_definition(schemas: Schemas, deployment: Schema) -> None:
    """The selector's atomicity is said where it is used, not where LabelSelector is defined."""
    strategy = schemas.property(schemas.property(deployment, "spec"), "strategy")
    assert schemas.resolve(strategy)["x-kubernetes-patch-strategy"] == "retainKeys"
    assert "rollingUpdate" in schemas.resolve(strategy)["properties"]


def test_the_values_of_a_map_share_one_schema(schemas: Schemas, deployment: Schema) -> None:
    labels = schemas.property(schemas.property(deployment, "metadata"), "labels")
    assert schemas.property(labels, "any-key") == {"type": "string"}
    assert not schemas.declares(labels, "any-key")


def test_a_custom_kind_comes_and_goes() -> None:
    schemas = Schemas()
    schemas.add_custom("example.com", "v1", "Gadget", None)
    gadget = schemas.find("example.com", "v1", "Gadget")
    assert schemas.allows_unknown(gadget)
    assert schemas.property(schemas.property(gadget, "metadata"), "labels")
    schemas.remove_custom("example.com", "v1", "Gadget")
    assert schemas.find("example.com", "v1", "Gadget") is None


def test_every_reference_leads_to_a_definition(schemas: Schemas) -> None:
    def references(node: object) -> list[str]:
        if isinstance(node, dict):
            here = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
            return here + [ref for value in node.values() for ref in references(value)]
        return [ref for item in node for ref in references(item)] if isinstance(node, list) else []

    for ref in set(references(schemas.definitions)):
        assert schemas.resolve({"$ref": ref}), ref


def test_an_object_without_declared_fields_is_free_only_where_that_is_meant(schemas: Schemas) -> None:
    assert schemas.allows_unknown({"$ref": "#/components/schemas/io.k8s.apimachinery.pkg.runtime.RawExtension"})
    assert schemas.allows_unknown({})
    assert not schemas.allows_unknown({"type": "object"})
