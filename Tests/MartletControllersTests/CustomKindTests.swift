import MartletBase
import MartletControllers
import MartletObject
import Testing

@Suite struct CustomKindTests {
    private static func cart(_ version: String) -> ResourceKind {
        ResourceKind(
            group: "shop.test", version: version, kind: "Cart", plural: "carts", singular: "cart", isNamespaced: true,
            stored: StoredForm(group: "shop.test", version: "v1", conversion: .apiVersion),
            custom: CustomKind(version: ["name": .string(version)], identity: "1", isHome: version == "v1"))
    }

    private static func story() -> Story {
        var story = Story()
        story.snapshot.catalog = KindCatalog(custom: [cart("v1"), cart("v2")])
        story.put(
            .namespace,
            [
                "apiVersion": "v1", "kind": "Namespace", "metadata": ["name": "default"],
                "spec": ["finalizers": ["kubernetes"]],
            ])
        story.put(
            cart("v1"),
            [
                "apiVersion": "shop.test/v1", "kind": "Cart", "metadata": ["name": "a", "namespace": "default"],
            ])
        story.settle()
        return story
    }

    private static func owned(by owner: JSON, apiVersion: String) -> JSON {
        [
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": [
                "name": "b", "namespace": "default",
                "ownerReferences": [
                    [
                        "apiVersion": .string(apiVersion), "kind": "Cart", "name": .string(owner.name),
                        "uid": .string(owner.uid), "blockOwnerDeletion": true,
                    ]
                ],
            ],
        ]
    }

    @Test func whatACustomObjectOwnsGoesWithItWhateverVersionIsNamed() throws {
        for version in ["shop.test/v1", "shop.test/v2"] {
            var story = Self.story()
            let owner = try #require(story.snapshot.get(Self.cart("v1"), namespace: "default", name: "a"))
            story.put(.configMap, Self.owned(by: owner, apiVersion: version))
            story.settle()
            #expect(story.snapshot.get(.configMap, namespace: "default", name: "b") != nil)
            story.take(ObjectKey(Self.cart("v1"), namespace: "default", name: "a"))
            story.settle()
            #expect(story.snapshot.get(.configMap, namespace: "default", name: "b") == nil)
        }
    }

    @Test func anOwnerOfAnUnknownKindIsTakenToLive() throws {
        var story = Self.story()
        story.put(.configMap, Self.owned(by: ["metadata": ["name": "x", "uid": "u"]], apiVersion: "moon.test/v1"))
        story.settle()
        #expect(story.snapshot.get(.configMap, namespace: "default", name: "b") != nil)
    }

    @Test func inForegroundTheOwnerWaitsForWhatBlocksIt() throws {
        var story = Self.story()
        let key = ObjectKey(Self.cart("v1"), namespace: "default", name: "a")
        var owner = try #require(story.snapshot.get(key))
        var held = Self.owned(by: owner, apiVersion: "shop.test/v1")
        held["metadata", "finalizers"] = ["shop.test/hold"]
        story.put(.configMap, held)
        owner["metadata", "finalizers"] = ["foregroundDeletion"]
        story.put(key.kind, owner)
        story.delete(key)
        story.settle()
        #expect(story.snapshot.get(key) != nil)
        story.take(ObjectKey(.configMap, namespace: "default", name: "b"))
        story.settle()
        #expect(story.snapshot.get(key) == nil)
    }

    @Test func aNamespaceIsNotEmptyWhileACustomObjectIsInIt() throws {
        var story = Self.story()
        let key = ObjectKey(Self.cart("v1"), namespace: "default", name: "a")
        var cart = try #require(story.snapshot.get(key))
        cart["metadata", "finalizers"] = ["shop.test/hold"]
        story.put(key.kind, cart)
        story.delete(ObjectKey(.namespace, namespace: "", name: "default"))
        story.settle()
        let namespace = try #require(story.snapshot.get(.namespace, name: "default"))
        let conditions = namespace["status", "conditions"]?.array ?? []
        let remaining = conditions.first { $0["type"] == "NamespaceContentRemaining" }
        #expect(remaining?["status"] == "True")
        #expect(
            remaining?["message"] == "Some resources are remaining: carts.shop.test has 1 resource instances")
        let finalizers = conditions.first { $0["type"] == "NamespaceFinalizersRemaining" }
        #expect(
            finalizers?["message"]
                == "Some content in the namespace has finalizers remaining: shop.test/hold in 1 resource instances")
        story.take(key)
        story.settle()
        #expect(story.snapshot.get(.namespace, name: "default") == nil)
    }
}
