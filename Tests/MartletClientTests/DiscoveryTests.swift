import MartletObject
import Testing

@testable import MartletClient

@Suite struct DiscoveryTests {
    @Test func kindsAreReadFromTheirList() throws {
        let list: JSON = [
            "resources": [
                [
                    "name": "carts", "singularName": "cart", "namespaced": true, "kind": "Cart",
                    "verbs": ["get", "list"], "shortNames": ["ct"],
                ],
                ["name": "carts/status", "kind": "Cart"], ["name": "carts/scale", "kind": "Scale"], ["name": 1], 7,
            ]
        ]
        let kinds = Client.kinds(in: list, group: "shop.test", version: "v1")
        let kind = try #require(kinds.first)
        #expect(kinds.count == 1 && kind.apiVersion == "shop.test/v1" && kind.isNamespaced)
        #expect(kind.subresources == ["status", "scale"] && kind.shortNames == ["ct"])
    }

    @Test(arguments: [nil, [], ["resources": 1], ["resources": [nil, "a", ["name": "a"]]]] as [JSON])
    func whatIsNoListHasNoKinds(list: JSON) {
        #expect(Client.kinds(in: list, group: "a", version: "v1").isEmpty)
    }
}
