import HTTPTypes
import MartletBase
import MartletHTTP
import MartletObject
import MartletStore
import Testing

@testable import MartletGateway

@Suite struct CustomKindTests {
    static let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    static let carts = "/apis/shop.test/v1/namespaces/default/carts"

    static func definition() throws -> JSON {
        try JSON(
            parsing: #"""
                {"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition",
                 "metadata":{"name":"carts.shop.test"},
                 "spec":{"group":"shop.test","scope":"Namespaced",
                  "names":{"plural":"carts","kind":"Cart","shortNames":["ct"],"categories":["all"]},
                  "versions":[
                   {"name":"v1","served":true,"storage":true,
                    "schema":{"openAPIV3Schema":{"type":"object","properties":{
                     "spec":{"type":"object","properties":{
                      "size":{"type":"integer","minimum":1,"default":3},"color":{"type":"string"},
                      "replicas":{"type":"integer"}}},
                     "status":{"type":"object","properties":{
                      "replicas":{"type":"integer"},"selector":{"type":"string"},"phase":{"type":"string"}}}}}},
                    "subresources":{"status":{},"scale":{"specReplicasPath":".spec.replicas",
                     "statusReplicasPath":".status.replicas","labelSelectorPath":".status.selector"}},
                    "selectableFields":[{"jsonPath":".spec.color"}],
                    "additionalPrinterColumns":[{"name":"Size","type":"integer","jsonPath":".spec.size"}]},
                   {"name":"v2","served":true,"storage":false,"deprecated":true,
                    "schema":{"openAPIV3Schema":{"type":"object","x-kubernetes-preserve-unknown-fields":true}}}]}}
                """#.utf8)
    }

    static func cart(_ name: String, _ spec: JSON = [:]) -> JSON {
        [
            "apiVersion": "shop.test/v1", "kind": "Cart", "metadata": ["name": .string(name)], "spec": spec,
            "status": ["phase": "ignored"],
        ]
    }

    static func run(_ body: @escaping @Sendable (TestAPI) async throws -> Void) async throws {
        try await TestAPI.run { api in
            let made = await api.post(definitions, try definition())
            #expect(made.code == 201, "\(made.text)")
            try await body(api)
        }
    }

    @Test func aDefinitionMakesAKind() async throws {
        try await Self.run { api in
            let definition = await api.get("\(Self.definitions)/carts.shop.test").json
            #expect(definition["spec", "names", "listKind"] == "CartList")
            #expect(definition["status", "storedVersions"] == ["v1"])
            #expect(definition["status", "conditions"]?.array?.map { $0["status"] } == ["True", "True"])
            let made = await api.post(Self.carts, Self.cart("a", ["color": "red", "moon": 1]))
            #expect(made.code == 201 && made.warnings == ["299 - \"unknown field \\\"spec.moon\\\"\""])
            #expect(made.json["spec"] == ["color": "red", "size": 3])
            #expect(made.json["status"] == nil && made.json.generation == 1)
            let strict = await api.post("\(Self.carts)?fieldValidation=Strict", Self.cart("b", ["moon": 1]))
            #expect(strict.code == 400)
            let invalid = await api.post(Self.carts, Self.cart("b", ["size": 0]))
            #expect(invalid.code == 422)
            #expect(
                invalid.message == "Cart.shop.test \"b\" is invalid: spec.size: Invalid value: 0: spec.size in body "
                    + "should be greater than or equal to 1")
            let table = await api.get(Self.carts, accept: "application/json;as=Table;v=v1;g=meta.k8s.io").json
            #expect(table["columnDefinitions"]?.array?.map { $0["name"] } == ["Name", "Size"])
            #expect(table["rows"]?[0]?["cells"] == ["a", 3])
            #expect(await api.get("\(Self.carts)?fieldSelector=spec.color=red").names == ["a"])
            #expect(await api.get("\(Self.carts)?fieldSelector=spec.color=blue").names == [])
            #expect(await api.get("\(Self.carts)?fieldSelector=spec.size=3").code == 400)
        }
    }

    @Test func statusAndScaleAreSubresources() async throws {
        try await Self.run { api in
            _ = await api.post(Self.carts, Self.cart("a", ["replicas": 2]))
            let status = await api.patch(
                "\(Self.carts)/a/status", ["spec": ["replicas": 9], "status": ["replicas": 1, "selector": "a=b"]])
            #expect(status.json["spec", "replicas"] == 2 && status.json["status", "replicas"] == 1)
            #expect(status.json.generation == 1)
            #expect(await api.patch("\(Self.carts)/a/status", ["status": ["replicas": "x"]]).code == 422)
            let scale = await api.get("\(Self.carts)/a/scale").json
            #expect(scale.kind == "Scale" && scale["spec", "replicas"] == 2)
            #expect(scale["status"] == ["replicas": 1, "selector": "a=b"])
            #expect(await api.patch("\(Self.carts)/a/scale", ["spec": ["replicas": 5]]).code == 200)
            let after = await api.get("\(Self.carts)/a").json
            #expect(after["spec", "replicas"] == 5 && after.generation == 2)
            func twice(_ validation: String) async -> Reply {
                let patch = Array(#"{"spec":{"replicas":1,"replicas":6}}"#.utf8)
                return await api.send(
                    .patch, "\(Self.carts)/a/scale?fieldValidation=\(validation)", patch, type: PatchType.merge.rawValue
                )
            }
            #expect(await twice("Strict").code == 422)
            let warned = await twice("Warn")
            #expect(warned.warnings == [Gateway.warning(#"duplicate field "spec.replicas""#)])
            #expect(warned.json["spec", "replicas"] == 6)
        }
    }

    @Test func versionsAreViewsOfOneObject() async throws {
        try await Self.run { api in
            _ = await api.post(Self.carts, Self.cart("a", ["color": "red"]))
            let path = "/apis/shop.test/v2/namespaces/default/carts/a"
            let second = await api.get(path)
            #expect(second.json.apiVersion == "shop.test/v2" && second.json["spec", "color"] == "red")
            #expect(second.warnings == ["299 - \"shop.test/v2 Cart is deprecated\""])
            #expect(await api.patch(path, ["spec": ["color": "blue"]]).code == 200)
            #expect(await api.get("\(Self.carts)/a").json["spec", "color"] == "blue")
            #expect(await api.patch(path, [:], .strategic).code == 415)
            #expect(await api.get("\(path)/status").code == 404)
        }
    }

    @Test func discoveryAndOpenAPIKnowTheKind() async throws {
        try await Self.run { api in
            let groups = await api.get("/apis").json["groups"]?.array ?? []
            let group = groups.first { $0["name"] == "shop.test" }
            #expect(group?["preferredVersion", "version"] == "v2")
            let resources = await api.get("/apis/shop.test/v1").json["resources"]?.array ?? []
            #expect(resources.map { $0["name"] } == ["carts", "carts/status", "carts/scale"])
            #expect(resources.first?["shortNames"] == ["ct"])
            let accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
            let aggregated = await api.get("/apis", accept: accept)
            #expect(aggregated.json["items"]?.array?.contains { $0.name == "shop.test" } == true)
            #expect(aggregated.head.headerFields[.eTag] != nil)
            let v3 = await api.get("/openapi/v3/apis/shop.test/v1").json
            let cart = v3["components", "schemas"]?["test.shop.v1.Cart"]
            #expect(cart?["properties", "spec"]?["properties"]?["size"]?["minimum"] == 1)
            #expect(cart?["x-kubernetes-group-version-kind"]?[0]?["kind"] == "Cart")
            let v2 = await api.get("/openapi/v2").json
            let schema = v2["definitions"]?[
                "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps"]
            // kubectl holds definitions against this: a default may be of any type.
            #expect(schema?["properties", "default"] == ["description": "Any value."])
            #expect(schema?["properties", "enum"]?["items"] == ["description": "Any value."])
            #expect(v2["definitions"]?["test.shop.v2.Cart"]?["properties"]?["metadata"] != nil)
        }
    }

    @Test func documentsCarryATagAndAreNotSentTwice() async throws {
        try await Self.run { api in
            let index = await api.get("/openapi/v3").json
            let url = index["paths"]?["apis/shop.test/v1"]?["serverRelativeURL"]?.string ?? ""
            let document = await api.get(url)
            #expect(document.code == 200)
            #expect(document.head.headerFields[.cacheControl]?.contains("immutable") == true)
            #expect(await api.get("/openapi/v3/apis/shop.test/v1?hash=00").code == 301)
            var request = api.request(.get, "/openapi/v2")
            request.head.headerFields[.ifNoneMatch] = await api.get("/openapi/v2").head.headerFields[.eTag]
            let again = await TestAPI.collect(await api.gateway.serve(request, as: TestAPI.admin))
            #expect(again.code == 304 && again.bytes.isEmpty)
        }
    }

    @Test func aDeletedDefinitionTakesItsObjectsAlong() async throws {
        try await Self.run { api in
            _ = await api.post(Self.carts, Self.cart("a"))
            var held = Self.cart("held")
            held["metadata", "finalizers"] = ["shop.test/hold"]
            _ = await api.post(Self.carts, held)
            let watch = await api.watch("\(Self.carts)?watch=true")
            let going = await api.delete("\(Self.definitions)/carts.shop.test").json
            #expect(going.isTerminating)
            #expect(going["metadata", "finalizers"] == [.string(CustomDefinition.cleanupFinalizer)])
            let late = await api.post(Self.carts, Self.cart("late"))
            #expect(late.code == 405)
            for _ in 0..<100 where await api.get(Self.carts).names != ["held"] {
                try await api.world.sleep(for: .milliseconds(20))
            }
            #expect(await api.get("\(Self.definitions)/carts.shop.test").code == 200)
            _ = await api.patch("\(Self.carts)/held", ["metadata": ["finalizers": nil]])
            for _ in 0..<200 where await api.get("\(Self.definitions)/carts.shop.test").code != 404 {
                try await api.world.sleep(for: .milliseconds(20))
            }
            #expect(await api.get("\(Self.definitions)/carts.shop.test").code == 404)
            #expect(await api.get(Self.carts).code == 404)
            var last = await watch.summary()
            while last != "end" { last = await watch.summary() }
        }
    }

    /// A creation that was let in while the kind was served, and comes to the store when its definition is going.
    @Test func aLateCreationLeavesNoOrphan() async throws {
        try await Self.run { api in
            let kind = try #require(
                api.gateway.served.current.catalog.kinds.first { $0.apiVersion == "shop.test/v1" && $0.kind == "Cart" })
            let target = Target(kind: kind, namespace: "default", name: "", subresource: "")
            let registry = api.gateway.registry.acting(as: TestAPI.admin)
            func create() async -> Int {
                do {
                    _ = try await registry.create(target, object: Self.cart("late"), options: WriteOptions())
                    return 201
                } catch {
                    return error.code
                }
            }
            var held = Self.cart("held")
            held["metadata", "finalizers"] = ["shop.test/hold"]
            _ = await api.post(Self.carts, held)
            // As it was checked before the deletion.
            let place = try await registry.definitionGuard(target)
            _ = await api.delete("\(Self.definitions)/carts.shop.test")
            let late = try await registry.storage.commit(Transaction(when: place, then: []))
            #expect(!late.succeeded)
            #expect(await create() == 405)
            _ = await api.patch("\(Self.carts)/held", ["metadata": ["finalizers": nil]])
            while await api.get("\(Self.definitions)/carts.shop.test").code != 404 {
                try await api.world.sleep(for: .milliseconds(20))
            }
            #expect(await create() == 404)
            #expect(await registry.storage.count(Keys.collection(kind, namespace: "")) == 0)
        }
    }

    @Test func objectsOfAKindThatIsNotServedGoWithTheirDefinition() async throws {
        try await Self.run { api in
            _ = await api.post(Self.carts, Self.cart("a"))
            let path = "\(Self.definitions)/carts.shop.test"
            var hidden = await api.get(path).json
            hidden["spec", "versions"] = .array(
                (hidden["spec", "versions"]?.array ?? []).map { version in
                    var version = version
                    version["served"] = false
                    return version
                })
            #expect(await api.put(path, hidden).code == 200)
            _ = await api.delete(path)
            for _ in 0..<200 where await api.get(path).code != 404 {
                try await api.world.sleep(for: .milliseconds(20))
            }
            #expect(await api.post(Self.definitions, try Self.definition()).code == 201)
            for _ in 0..<200 where await api.get(Self.carts).code != 200 {
                try await api.world.sleep(for: .milliseconds(20))
            }
            #expect(await api.get(Self.carts).names == [])
        }
    }

    @Test(.timeLimit(.minutes(1))) func watchesSeeEveryObjectGoBeforeTheyEndWithTheirKind() async throws {
        try await Self.run { api in
            let names = (10..<40).map { "c\($0)" }
            for name in names { _ = await api.post(Self.carts, Self.cart(name)) }
            // In both versions, with and without a selector.
            let watches = [
                await api.watch("\(Self.carts)?watch=true"),
                await api.watch("/apis/shop.test/v2/carts?watch=true"),
                await api.watch("\(Self.carts)?watch=true&fieldSelector=metadata.name%3Dc10"),
            ]
            _ = await api.delete("\(Self.definitions)/carts.shop.test")
            for (index, watch) in watches.enumerated() {
                var seen: [String] = []
                var next = await watch.summary()
                while next != "end" {
                    seen.append(next)
                    next = await watch.summary()
                }
                let wanted = index == 2 ? ["c10"] : names
                #expect(seen.prefix(wanted.count) == wanted.map { "ADDED \($0)" }[...])
                #expect(seen.dropFirst(wanted.count).sorted() == wanted.map { "DELETED \($0)" })
            }
        }
    }

    /// As aChangedSchema, with watches: they end, since what they show has another form now.
    @Test(.timeLimit(.minutes(1))) func watchesEndWhenTheSchemaChanges() async throws {
        try await Self.run { api in
            let watch = await api.watch("\(Self.carts)?watch=true")
            let path = "\(Self.definitions)/carts.shop.test"
            var versions = await api.get(path).json["spec", "versions"]?.array ?? []
            let place = ["schema", "openAPIV3Schema", "properties", "spec", "properties", "size", "minimum"]
            versions[0].set(2, at: place)
            #expect(await api.patch(path, ["spec": ["versions": .array(versions)]]).code == 200)
            #expect(await watch.summary() == "end")
        }
    }

    @Test func aChangedSchemaHoldsFromThenOn() async throws {
        try await Self.run { api in
            let path = "\(Self.definitions)/carts.shop.test"
            var definition = await api.get(path).json
            var versions = definition["spec", "versions"]?.array ?? []
            let place = ["schema", "openAPIV3Schema", "properties", "spec", "properties", "size", "minimum"]
            versions[0].set(2, at: place)
            definition["spec", "versions"] = .array(versions)
            #expect(await api.put(path, definition).code == 200)
            #expect(await api.post(Self.carts, Self.cart("a", ["size": 1])).code == 422)
            definition = await api.get(path).json
            definition["spec", "scope"] = "Cluster"
            #expect(await api.put(path, definition).code == 422)
        }
    }
}
