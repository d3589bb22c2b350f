import HTTPTypes
import MartletHTTP
import MartletObject
import Testing

@testable import MartletGateway

/// How requests are named where it is decided who may make them, and where they are counted.
@Suite struct CallTests {
    private static let pods = "/api/v1/namespaces/default/pods"

    /// What is asked, the verb that it is allowed by, and the one that it is counted under.
    private static let requests: [(method: String, path: String, verb: String, counted: String)] = [
        ("GET", pods, "list", "LIST"), ("HEAD", pods, "list", "LIST"), ("GET", pods + "?watch=1", "watch", "WATCH"),
        ("GET", pods + "?watch=0", "list", "LIST"), ("GET", pods + "/a?watch=1", "get", "GET"),
        ("GET", "/api/v1/watch/pods", "watch", "WATCH"), ("POST", "/api/v1/watch/pods", "watch", "WATCH"),
        ("POST", pods, "create", "POST"), ("PUT", pods + "/a", "update", "PUT"),
        ("PATCH", pods + "/a", "patch", "PATCH"), ("DELETE", pods + "/a", "delete", "DELETE"),
        ("DELETE", pods, "deletecollection", "DELETECOLLECTION"), ("POST", pods + "/a/exec", "create", "CONNECT"),
        ("GET", pods + "/a/exec", "get", "CONNECT"), ("POST", pods + "/a/proxy/x", "create", "CONNECT"),
        ("OPTIONS", pods + "/a/proxy/x", "", "CONNECT"), ("BREW", pods, "", "other"),
        ("OPTIONS", pods + "/a", "", "other"), ("GET", "/version", "get", "GET"), ("HEAD", "/version", "head", "GET"),
        ("POST", "/healthz", "post", "POST"), ("BREW", "/healthz", "brew", "other"),
    ]

    @Test func aRequestHasUpstreamsVerb() throws {
        for (method, path, verb, counted) in Self.requests {
            let method = try #require(HTTPRequest.Method(method))
            let head = HTTPRequest(method: method, scheme: "https", authority: "test", path: path)
            let call = Call(
                Request(head: head, body: .bytes([])), identity: TestAPI.admin, kinds: ServedKinds().current)
            #expect(call.verb == verb, "\(method) \(path)")
            #expect(call.label(code: 200).verb == counted, "\(method) \(path)")
        }
    }

    @Test func methodsThatNobodyKnowsAreNotAllowed() async throws {
        try await TestAPI.run { api in
            let brew = try #require(HTTPRequest.Method("BREW"))
            for path in [Self.pods, "\(Self.pods)/a", "\(Self.pods)/a/status", "\(Self.pods)/a/proxy/", "/version"] {
                #expect(await api.send(brew, path).code == 405, "\(path)")
            }
            let jane = Identity(user: "jane", groups: ["system:authenticated"])
            await api.allow("get,list,create,update,patch,delete", "pods", to: [("User", "jane")])
            #expect(await api.send(.get, Self.pods, as: jane).code == 200)
            #expect(await api.send(brew, Self.pods, as: jane).code == 403)
        }
    }

    @Test func theQueryHasADeletionsOptionsWhereThereIsNoBody() throws {
        let query = Query(
            "uid=u&resourceVersion=7&gracePeriodSeconds=5&propagationPolicy=Orphan&dryRun=All")
        let asked = try DeleteOptions(body: ObjectBody(bytes: []), query: query)
        #expect(asked.uid == "u" && asked.resourceVersion == "7" && asked.gracePeriodSeconds == 5)
        #expect(asked.propagation == .orphan && asked.isDryRun)
        let body = ObjectBody(bytes: Array(#"{"gracePeriodSeconds":9}"#.utf8))
        let said = try DeleteOptions(body: body, query: query)
        #expect(said.gracePeriodSeconds == 9 && said.uid == nil && said.propagation == nil && !said.isDryRun)
        #expect(throws: APIError.self) {
            try DeleteOptions(body: ObjectBody(bytes: []), query: Query("orphanDependents=1&propagationPolicy=Orphan"))
        }
    }

    @Test(arguments: ["v1", "v1beta1"]) func tablesAndMetadataHaveTwoVersions(version: String) async throws {
        try await TestAPI.run { api in
            _ = await api.post(Paths.configMaps, Samples.configMap("a"))
            func read(_ path: String, _ form: String) async -> JSON {
                await api.get(path, accept: "application/json;as=\(form);v=\(version);g=meta.k8s.io").json
            }
            let list = await read(Paths.configMaps, "PartialObjectMetadataList")
            #expect(list.kind == "PartialObjectMetadataList" && list.apiVersion == "meta.k8s.io/\(version)")
            #expect(list["items"]?[0]?.apiVersion == "meta.k8s.io/\(version)")
            let one = await read("\(Paths.configMaps)/a", "PartialObjectMetadata")
            #expect(one.kind == "PartialObjectMetadata" && one.apiVersion == "meta.k8s.io/\(version)")
            let accept = "application/json;as=Table;v=\(version);g=meta.k8s.io"
            for table in [
                await read(Paths.configMaps, "Table"),
                await api.send(.delete, Paths.configMaps, accept: accept).json,
            ] {
                #expect(table.kind == "Table" && table.apiVersion == "meta.k8s.io/\(version)")
                #expect(table["rows"]?[0]?["object", "apiVersion"]?.string == "meta.k8s.io/\(version)")
                #expect(table["rows"]?[0]?["cells"]?[0] == "a")
            }
            #expect(await api.get(Paths.configMaps, accept: "application/json;as=Table;v=v2;g=meta.k8s.io").code == 406)
        }
    }
}
