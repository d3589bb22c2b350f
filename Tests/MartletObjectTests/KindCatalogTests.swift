import MartletObject
import Testing

@Suite struct KindCatalogTests {
    private static func kind(
        _ group: String, _ version: String, _ name: String, singular: String? = nil
    ) -> ResourceKind {
        ResourceKind(
            group: group, version: version, kind: name, plural: name.lowercased() + "s",
            singular: singular ?? name.lowercased(),
            isNamespaced: true, stored: StoredForm(group: group, version: "v1", conversion: .apiVersion),
            custom: CustomKind(version: ["name": .string(version)], identity: "1"))
    }

    @Test func kindsAreFoundByPlaceAndByType() {
        let catalog = KindCatalog(custom: [Self.kind("shop.test", "v1", "Cart")])
        #expect(catalog.kind(group: "shop.test", version: "v1", plural: "carts")?.kind == "Cart")
        #expect(catalog.kind(group: "shop.test", version: "v2", plural: "carts") == nil)
        #expect(catalog.kind(apiVersion: "shop.test/v1", kind: "Cart")?.plural == "carts")
        #expect(catalog.kind(group: "", version: "v1", plural: "pods") == .pod)
        #expect(catalog.has(group: "shop.test", version: "v1") && !catalog.has(group: "shop.test", version: "v2"))
        #expect(!KindCatalog.builtIn.has(group: "shop.test"))
    }

    @Test func customGroupsFollowTheBuiltInOnesAndPreferTheirNewestVersion() {
        let versions = ["v1", "v2alpha1", "v2", "v11beta2", "moon", "v10", "v2beta1"]
        let catalog = KindCatalog(
            custom: versions.map { Self.kind("shop.test", $0, "Cart") } + [Self.kind("a.test", "v1", "A")])
        #expect(catalog.groups.suffix(2).map(\.name) == ["a.test", "shop.test"])
        #expect(
            catalog.groups.last?.versions.map(\.name)
                == ["v10", "v2", "v1", "v11beta2", "v2beta1", "v2alpha1", "moon"])
    }

    @Test func aCustomKindNeverTakesTheNameOfABuiltInOne() {
        let pod = Self.kind("", "v1", "Pod", singular: "thief")
        #expect(KindCatalog(custom: [pod]).kind(group: "", version: "v1", plural: "pods")?.singular == "pod")
    }

    @Test func onlyApiVersionDiffersBetweenVersionsOfOneObject() throws {
        let old = Self.kind("shop.test", "v1", "Cart")
        let new = Self.kind("shop.test", "v2", "Cart")
        let object: JSON = ["apiVersion": "shop.test/v2", "kind": "Cart", "metadata": ["name": "a"]]
        let stored = new.toStored(object).encoded()
        #expect(try old.fromStored(stored) == stored)
        #expect(try JSON(parsing: new.fromStored(stored)) == object)
    }
}
