import MartletObject
import MartletReplica
import Testing

@testable import MartletGateway

@Suite struct ListTests {
    @Test func pagesOfOneListShowOneMomentWhileWritesGoOn() async throws {
        try await TestAPI.run { api in
            for index in 0..<7 { _ = await api.post(Paths.configMaps, Samples.configMap("c\(index)")) }
            var seen: [String] = []
            var revisions: Set<String> = []
            var next: String? = ""
            while let token = next {
                let page = await api.get("\(Paths.configMaps)?limit=3" + (token.isEmpty ? "" : "&continue=\(token)"))
                #expect(page.code == 200)
                #expect(page.names.count <= 3)
                seen += page.names
                revisions.insert(page.json["metadata", "resourceVersion"]?.string ?? "")
                next = page.json["metadata", "continue"]?.string
                let remaining = page.json["metadata", "remainingItemCount"]?.int
                #expect(remaining == (next == nil ? nil : 7 - seen.count))
                // What happens meanwhile is not in this list.
                _ = await api.post(Paths.configMaps, Samples.configMap("c1-\(seen.count)"))
                _ = await api.delete("\(Paths.configMaps)/c6")
            }
            #expect(seen == (0..<7).map { "c\($0)" })
            #expect(revisions.count == 1)
        }
    }

    @Test func aTokenThatIsTooOldForgedOrOfAnotherListIsRefused() async throws {
        try await TestAPI.run { api in
            for index in 0..<3 { _ = await api.post(Paths.configMaps, Samples.configMap("c\(index)")) }
            let token = await api.get("\(Paths.configMaps)?limit=1").json["metadata", "continue"]?.string ?? ""
            #expect(await api.get("\(Paths.configMaps)?limit=1&continue=rubbish!").code == 400)
            #expect(await api.get("\(Paths.services)?limit=1&continue=\(token)").code == 400)
            _ = await api.post(Paths.configMaps, Samples.configMap("d"))
            await api.replica.compact(through: await api.replica.revision)
            let late = await api.get("\(Paths.configMaps)?limit=1&continue=\(token)")
            #expect(late.code == 410)
            #expect(late.reason == "Expired")
            // It names a token by which the rest is shown, as it is now.
            let rest = late.json["metadata", "continue"]?.string ?? ""
            let page = await api.get("\(Paths.configMaps)?limit=2&continue=\(rest)")
            #expect(page.names == ["c1", "c2"])
            #expect(page.json["metadata", "remainingItemCount"] == 1)
            let next = page.json["metadata", "continue"]?.string ?? ""
            #expect(await api.get("\(Paths.configMaps)?limit=2&continue=\(next)").names == ["d"])
        }
    }

    @Test func aSelectorFillsItsPagesWithWhatItSelects() async throws {
        try await TestAPI.run { api in
            for index in 0..<9 {
                let labels = index % 3 == 0 ? ["pick": "me"] : [:]
                _ = await api.post(Paths.configMaps, Samples.configMap("c\(index)", labels: labels))
            }
            let page = await api.get("\(Paths.configMaps)?labelSelector=pick%3Dme&limit=2")
            #expect(page.names == ["c0", "c3"])
            #expect(page.json["metadata", "remainingItemCount"] == nil)
            let token = page.json["metadata", "continue"]?.string ?? ""
            let rest = await api.get("\(Paths.configMaps)?labelSelector=pick%3Dme&limit=2&continue=\(token)")
            #expect(rest.names == ["c6"])
            #expect(rest.json["metadata", "continue"] == nil)
            #expect(await api.get("\(Paths.configMaps)?fieldSelector=metadata.name%3Dc4").names == ["c4"])
            // What has a name is read, whatever the query says.
            #expect(await api.get("\(Paths.configMaps)/c4?watch=true").json.name == "c4")
            let both = "labelSelector=pick%3Dme&fieldSelector=metadata.name!%3Dc3"
            #expect(await api.get("\(Paths.configMaps)?\(both)").names == ["c0", "c6"])
            #expect(await api.get("\(Paths.configMaps)?labelSelector=!pick").names.count == 6)
            #expect(await api.get("\(Paths.configMaps)?labelSelector=%3D%3D%3D").code == 400)
            #expect(await api.get("\(Paths.configMaps)?fieldSelector=spec.moon%3Dfull").code == 400)
        }
    }

    @Test func aListOverAllNamespacesSpansThem() async throws {
        try await TestAPI.run { api in
            _ = await api.post("/api/v1/namespaces", ["metadata": ["name": "other"]])
            _ = await api.post(Paths.configMaps, Samples.configMap("a"))
            _ = await api.post("/api/v1/namespaces/other/configmaps", Samples.configMap("b"))
            let all = await api.get("/api/v1/configmaps").json
            #expect(all.kind == "ConfigMapList" && all.apiVersion == "v1")
            #expect((all["items"]?.array ?? []).map { "\($0.namespace)/\($0.name)" } == ["default/a", "other/b"])
        }
    }

    @Test func tablesAndPartialObjectsComeByTheAcceptHeader() async throws {
        try await TestAPI.run { api in
            _ = await api.post(Paths.configMaps, Samples.configMap("a", ["k": "v"]))
            let kubectl =
                "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,"
                + "application/json"
            let table = await api.get(Paths.configMaps, accept: kubectl).json
            #expect(table.kind == "Table" && table.apiVersion == "meta.k8s.io/v1")
            #expect(table["rows"]?[0]?["object", "kind"] == "PartialObjectMetadata")
            #expect(table["rows"]?[0]?["object", "data"] == nil)
            let one = await api.get("\(Paths.configMaps)/a?includeObject=Object", accept: kubectl).json
            #expect(one["rows"]?[0]?["object", "data", "k"] == "v")
            let partial = await api.get(
                Paths.configMaps, accept: "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1")
            #expect(partial.json.kind == "PartialObjectMetadataList")
            #expect(partial.json["items"]?[0]?["data"] == nil)
            let protobuf = await api.get(Paths.configMaps, accept: "application/vnd.kubernetes.protobuf")
            #expect(protobuf.code == 406)
            let fallback = await api.get(
                Paths.configMaps, accept: "application/vnd.kubernetes.protobuf,application/json;q=0.9")
            #expect(fallback.json.kind == "ConfigMapList")
            let pretty = await api.get("\(Paths.configMaps)/a?pretty=true")
            #expect(pretty.text.contains("\n  \"data\": {\n    \"k\": \"v\"\n  }"))
            #expect(pretty.json.name == "a")
        }
    }

    @Test func aListWhoseOptionsContradictEachOtherIsRefused() async throws {
        try await TestAPI.run { api in
            let revision = await api.replica.revision
            func message(_ query: String) async -> String {
                let reply = await api.get("\(Paths.configMaps)?\(query)")
                return "\(reply.code) \(reply.reason) \(reply.message)"
            }
            let invalid = "422 Invalid ListOptions.meta.k8s.io \"\" is invalid: "
            #expect(
                await message("resourceVersion=\(revision)&resourceVersionMatch=Foo")
                    == invalid + "resourceVersionMatch: Unsupported value: \"Foo\": supported values: \"Exact\", "
                    + "\"NotOlderThan\", \"\"")
            for match in ["Exact", "NotOlderThan"] {
                #expect(
                    await message("resourceVersionMatch=\(match)")
                        == invalid + "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless "
                        + "resourceVersion is provided")
            }
            #expect(
                await message("resourceVersion=0&resourceVersionMatch=Exact")
                    == invalid + "resourceVersionMatch: Forbidden: resourceVersionMatch \"exact\" is forbidden for "
                    + "resourceVersion \"0\"")
            #expect(
                await message("resourceVersion=1&resourceVersionMatch=Exact&continue=x").hasSuffix(
                    "resourceVersionMatch is forbidden when continue is provided"))
            #expect(
                await message("resourceVersionMatch=Foo&continue=x").hasPrefix(
                    invalid + "[resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless"))
            #expect(await message("sendInitialEvents=true").hasPrefix(invalid + "sendInitialEvents: Forbidden"))
            let reply = await api.get("\(Paths.configMaps)?resourceVersionMatch=Exact").json
            #expect(reply["details", "kind"] == "ListOptions" && reply["details", "group"] == "meta.k8s.io")
            #expect(reply["details", "causes"]?[0]?["field"] == "resourceVersionMatch")
            #expect(
                await message("watch=1&resourceVersion=1&resourceVersionMatch=Exact")
                    == invalid + "[resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch unless "
                    + "sendInitialEvents is provided, resourceVersionMatch: Unsupported value: \"Exact\": supported "
                    + "values: \"NotOlderThan\"]")
            #expect(
                await message("resourceVersion=\(revision)&continue=x")
                    == "400 BadRequest specifying resource version is not allowed when using continue")
            #expect(
                await message("fieldSelector=spec.x%3Da")
                    == "400 BadRequest \"spec.x\" is not a known field selector: only \"metadata.name\", "
                    + "\"metadata.namespace\"")
            #expect(
                await message("labelSelector=a%3Db%3Dc")
                    == "400 BadRequest unable to parse requirement: found '=', expected: ',' or 'end of string'")
            for good in ["=\(revision)&resourceVersionMatch=Exact", "=0&resourceVersionMatch=NotOlderThan"] {
                #expect(await api.get("\(Paths.configMaps)?resourceVersion\(good)").code == 200)
            }
            let wiped = await api.delete("\(Paths.configMaps)?resourceVersionMatch=Exact")
            #expect(wiped.code == 422)
        }
    }

    @Test func aDeletionNamesItsPropagationOnlyOnce() async throws {
        try await TestAPI.run { api in
            _ = await api.post(Paths.configMaps, Samples.configMap("a"))
            let path = "\(Paths.configMaps)/a"
            for orphans in [true, false] {
                let both = await api.delete(
                    path, ["propagationPolicy": "Background", "orphanDependents": .bool(orphans)])
                #expect(both.code == 422)
                #expect(
                    both.message
                        == "DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Invalid value: "
                        + "\"Background\": orphanDependents and deletionPropagation cannot be both set")
            }
            #expect(await api.delete("\(path)?propagationPolicy=Orphan&orphanDependents=true").code == 422)
            let unknown = await api.delete(path, ["propagationPolicy": "Foo"])
            #expect(
                unknown.message
                    == "DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Unsupported value: \"Foo\": "
                    + "supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\"")
            #expect(unknown.json["details", "causes"]?[0]?["reason"] == "FieldValueNotSupported")
            #expect(await api.get(path).code == 200)
            #expect(await api.delete(path, ["orphanDependents": false]).code == 200)
            #expect(await api.get(path).code == 404)
        }
    }
}
