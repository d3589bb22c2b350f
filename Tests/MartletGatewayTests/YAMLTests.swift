import HTTPTypes
import MartletObject
import Testing

@testable import MartletGateway

/// Bodies and answers in YAML.
@Suite struct YAMLTests {
    private static let manifest = """
        # A comment.
        apiVersion: v1
        kind: ConfigMap
        metadata:
          name: notes
          labels: {app: web}
        data:
          "yes": 'no'
          text: |
            one
            two
        """

    @Test func whatIsSentInYAMLIsStoredLikeJSON() async throws {
        try await TestAPI.run { api in
            let created = await api.send(.post, Paths.configMaps, Array(Self.manifest.utf8), type: "application/yaml")
            #expect(created.code == 201)
            #expect(created.json["data"] == ["yes": "no", "text": "one\ntwo"])
            let options = "kind: DeleteOptions\npropagationPolicy: Background\n"
            let path = "\(Paths.configMaps)/notes"
            #expect(await api.send(.delete, path, Array(options.utf8), type: "application/yaml").code == 200)
        }
    }

    @Test func aConfigurationInYAMLIsApplied() async throws {
        try await TestAPI.run { api in
            let path = "\(Paths.configMaps)/notes?fieldManager=me"
            let type = "application/apply-patch+yaml"
            let applied = await api.send(.patch, path, Array(Self.manifest.utf8), type: type)
            #expect(applied.code == 201 && applied.json["data", "text"] == "one\ntwo")
            let twice = Array((Self.manifest + "\n  yes: b\n  yes: c\n").utf8)
            let warned = await api.send(.patch, path, twice, type: type)
            #expect(warned.code == 200)
            #expect(warned.warnings == [#"299 - "line 13: key \"true\" already set in map""#])
            let refused = await api.send(.patch, path + "&fieldValidation=Strict", twice, type: type)
            #expect(refused.code == 400)
            #expect(
                refused.message
                    == "error strict decoding patch: error converting YAML to JSON: yaml: unmarshal errors:\n"
                    + "  line 13: key \"true\" already set in map")
        }
    }

    @Test func faultsAreTheCallersAndNameTheLine() async throws {
        try await TestAPI.run { api in
            func post(_ text: String, _ query: String = "") async -> Reply {
                await api.send(.post, Paths.configMaps + query, Array(text.utf8), type: "application/yaml")
            }
            let broken = await post("kind: ConfigMap\nmetadata: {name: a\n")
            #expect(broken.code == 400 && broken.message.contains("yaml: line 3: did not find expected"))
            let two = await post("kind: ConfigMap\n---\nkind: Secret\n")
            #expect(two.code == 400 && two.message.contains("line 2: a second document begins"))
            let strict = await post("metadata:\n  name: a\n  name: b\nspec: 1\n", "?fieldValidation=Strict")
            #expect(strict.code == 400)
            #expect(
                strict.message.hasSuffix(
                    "strict decoding error: yaml: unmarshal errors:\n  line 3: key \"name\" already set in map, "
                        + "unknown field \"spec\""))
            let laughs = (1...9).map { level in
                "a\(level): &a\(level) [\((0..<9).map { _ in "*a\(level - 1)" }.joined(separator: ", "))]\n"
            }
            let bomb = await post("a0: &a0 [lol]\n" + laughs.joined())
            #expect(bomb.code == 400 && bomb.message.contains("excessive aliasing"))
        }
    }

    @Test func answersComeInYAMLWhenAskedFor() async throws {
        try await TestAPI.run { api in
            _ = await api.send(.post, Paths.configMaps, Array(Self.manifest.utf8), type: "application/yaml")
            func get(_ path: String, _ accept: String = "application/yaml") async throws -> JSON {
                let reply = await api.get(path, accept: accept)
                #expect(reply.head.headerFields[.contentType] == "application/yaml", "\(path)")
                var duplicates: [String] = []
                return try JSON(yaml: reply.bytes, duplicates: &duplicates)
            }
            for path in [
                "\(Paths.configMaps)/notes", Paths.configMaps, "/api/v1/configmaps?limit=1", "/apis", "/api/v1",
            ] {
                let document = try await get(path)
                #expect(document == (await api.get(path)).json, "\(path)")
            }
            #expect(try await get("\(Paths.configMaps)/none")["reason"] == "NotFound")
            let table = try await get(Paths.configMaps, "application/yaml;as=Table;g=meta.k8s.io;v=v1")
            #expect(table.kind == "Table")
            let watch = await api.get("\(Paths.configMaps)?watch=true&timeoutSeconds=1", accept: "application/yaml")
            #expect(watch.code == 406)
            let preferred = await api.get(Paths.configMaps, accept: "application/yaml;q=0.5,application/json")
            #expect(preferred.json.kind == "ConfigMapList")
        }
    }

    @Test func aLongListIsWrittenPieceByPiece() async throws {
        try await TestAPI.run { api in
            for index in 0..<40 {
                let data = ["text": String(repeating: "line: \(index)\n", count: 800)]
                _ = await api.post(Paths.configMaps, Samples.configMap("c\(index)", data))
            }
            let reply = await api.get(Paths.configMaps, accept: "application/yaml")
            var duplicates: [String] = []
            let list = try JSON(yaml: reply.bytes, duplicates: &duplicates)
            #expect(list == (await api.get(Paths.configMaps)).json)
        }
    }
}
