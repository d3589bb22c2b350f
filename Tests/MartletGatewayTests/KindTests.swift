import MartletObject
import Testing

@testable import MartletGateway

/// What the kinds' tables bring to an answer.
@Suite struct KindTests {
    @Test func anInvalidObjectNamesItsFaults() async throws {
        try await TestAPI.run { api in
            var pod = Samples.pod("a")
            pod["spec", "containers"] = [["name": "main", "image": ""]]
            let refused = await api.post(Paths.pods, pod)
            #expect(refused.code == 422)
            #expect(refused.message == "Pod \"a\" is invalid: spec.containers[0].image: Required value")
            #expect(refused.json["details", "kind"] == "Pod")
            #expect(refused.json["details", "causes"]?[0]?["reason"] == "FieldValueRequired")
        }
    }

    @Test func aTablesRowsHaveTheKindsCells() async throws {
        try await TestAPI.run { api in
            _ = await api.post(Paths.configMaps, Samples.configMap("a", ["k": "v"]))
            let table = await api.get(
                Paths.configMaps, accept: "application/json;as=Table;v=v1;g=meta.k8s.io"
            ).json
            #expect(table["columnDefinitions"]?[0]?["name"] == "Name")
            #expect(table["rows"]?[0]?["cells"]?[0] == "a")
        }
    }
}
