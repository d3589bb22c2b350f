import FuzzSupport
import HTTPTypes
import MartletBase
import MartletHTTP
import MartletObject
import Testing

@testable import MartletGateway

@Suite struct FuzzTests {
    private static let paths = [
        "/api", "/apis", "/api/v1", "/apis/apps/v1", "/api/v1/pods?limit=2&continue=MTIg",
        "/api/v1/namespaces/default/pods/a?pretty=true", "/api/v1/namespaces/default/pods/a/status",
        "/api/v1/namespaces/default/pods/a/log?container=x&tailLines=3", "/api/v1/namespaces/default/pods/a/binding",
        "/api/v1/namespaces/default/configmaps?dryRun=All&fieldValidation=Strict",
        "/api/v1/namespaces/default/services?labelSelector=a%20in%20(b,c)&fieldSelector=metadata.name=x",
        "/apis/apps/v1/namespaces/default/deployments/web/scale", "/api/v1/namespaces/moon/finalize",
        "/api/v1/nodes/n1?gracePeriodSeconds=5&propagationPolicy=Orphan", "/openapi/v3/api/v1", "/readyz?verbose",
        "/api/v1/configmaps?resourceVersion=3&resourceVersionMatch=Exact&includeObject=None",
        "/api/v1/services?watch=true&timeoutSeconds=1&resourceVersion=99999999",
        "/apis/apps/v1/namespaces/default/deployments/web?fieldManager=me&force=true",
        "/api/v1/namespaces/default/pods?fieldSelector=spec.nodeName%3Dn%2Cstatus.phase%21%3DRunning",
        "/api/v1/namespaces/default/serviceaccounts/default/token", "/api/v1/namespaces/default/pods/a/eviction",
        "/api/v1/watch/namespaces/default/pods/a?resourceVersion=99999999&timeoutSeconds=1",
        "/apis/example.com/v1/namespaces/default/things/a", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews",
    ]
    private static let bodies: [String] = [
        #"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"},"spec":{"containers":[{"name":"c","image":"i"}]}}"#,
        #"{"apiVersion":"v1","kind":"Service","metadata":{"name":"s"},"spec":{"type":"NodePort","#
            + #""clusterIP":"10.96.0.9","ports":[{"port":80,"nodePort":30001}]}}"#,
        #"{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web","generateName":"w-"},"#
            + #""spec":{"replicas":2}}"#,
        #"[{"op":"replace","path":"/spec/replicas","value":-9223372036854775808}]"#,
        #"{"metadata":{"labels":{"a":null},"finalizers":["x"],"resourceVersion":"7"},"#
            + #""spec":{"replicas":1e400}}"#,
        #"{"kind":"DeleteOptions","gracePeriodSeconds":99999999999,"preconditions":{"uid":"u"},"dryRun":["All"]}"#,
        #"{"target":{"kind":"Node","name":"n1"},"metadata":{"annotations":{"a":"b"}}}"#,
        #"{"kind":"Namespace","metadata":{"name":"moon"},"spec":{"finalizers":[1,2]}}"#,
        "kind: ConfigMap\nmetadata: {name: &n x, labels: {a: *n}}\ndata:\n  t: |-\n    one\n  u: >\n    two\n",
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\nspec: {replicas: 0x3}\n",
        #"{"spec":{"$retainKeys":["a"],"$setElementOrder/containers":[{"name":"c"}],"containers":[{"$patch":"#
            + #""delete","name":"c"}],"$deleteFromPrimitiveList/args":["x"]}}"#,
        #"[{"op":"add","path":"/metadata/labels/a~1b","value":"c"},{"op":"copy","from":"/spec","path":"/metadata/x"},"#
            + #"{"op":"test","path":"/kind","value":"Pod"},{"op":"move","from":"/a","path":"/a/b"},"#
            + #"{"op":"remove","path":"/spec/containers/-1"}]"#,
        #"{"kind":"Eviction","metadata":{"name":"a"},"deleteOptions":{"gracePeriodSeconds":0}}"#,
        #"{"spec":{"audiences":["a"],"expirationSeconds":600},"a":{"name":[{},null,1e999]}}"#,
    ]
    private static let types = [
        "application/json", "application/merge-patch+json", "application/json-patch+json",
        "application/strategic-merge-patch+json", "application/apply-patch+yaml", "application/yaml",
        "application/vnd.kubernetes.protobuf", "text/plain", ";;;", "",
    ]
    private static let accepts = [
        "application/json", "application/json;as=Table;v=v1;g=meta.k8s.io", ",;q=,*/*;q=0.1", "text/html",
        "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1", "", "application/yaml",
        "application/yaml;as=Table;v=v1;g=meta.k8s.io",
    ]
    private static let methods: [HTTPRequest.Method] = [.get, .post, .put, .patch, .delete, .head, .options]

    private static func mutate(_ text: String, _ random: inout SplitMix64) -> [UInt8] {
        var bytes = Array(text.utf8)
        for _ in 0..<(random.next() % 4) where !bytes.isEmpty {
            let place = Int(random.next() % UInt64(bytes.count))
            switch random.next() % 5 {
            case 0: bytes[place] = UInt8(truncatingIfNeeded: random.next())
            case 1: bytes.remove(at: place)
            case 2: bytes.insert(UInt8(truncatingIfNeeded: random.next()), at: place)
            case 3: bytes.insert(contentsOf: bytes[place...].prefix(9), at: place)
            default: bytes.removeSubrange(place..<min(bytes.count, place + 7))
            }
        }
        return bytes
    }

    /// Whatever comes in, a Status, an object or a document goes out, and the store keeps what it can serve.
    @Test(.timeLimit(.minutes(60))) func whateverIsAskedAnAnswerComes() async throws {
        try await TestAPI.run { api in
            var random = SplitMix64(seed: Fuzz.seed(2026))
            for _ in 0..<Fuzz.runs(10_000) {
                let path = String(
                    decoding: Self.mutate(Self.paths[Int(random.next() % UInt64(Self.paths.count))], &random),
                    as: UTF8.self)
                // A watch that is not refused would wait for its time to pass.
                let call = Call(api.request(.get, path), identity: TestAPI.admin, kinds: api.gateway.served.current)
                if call.verb == "watch" && (call.query["resourceVersion"].flatMap { Int($0) } ?? 0) < 1 << 20 {
                    continue
                }
                let body = Self.mutate(Self.bodies[Int(random.next() % UInt64(Self.bodies.count))], &random)
                let reply = await api.send(
                    Self.methods[Int(random.next() % UInt64(Self.methods.count))], path, body,
                    accept: Self.accepts[Int(random.next() % UInt64(Self.accepts.count))],
                    type: Self.types[Int(random.next() % UInt64(Self.types.count))])
                #expect((200..<600).contains(reply.code))
                #expect(reply.code != 500, "\(path) \(reply.text)")
                if reply.code >= 400 {
                    let status = Self.document(reply)
                    #expect(status.kind == "Status" && status["code"]?.int == reply.code, "\(path)")
                }
            }
            for kind in ResourceKind.all where kind.verbs.contains("list") {
                let list = await api.get(kind.path())
                #expect(list.code == 200)
                for item in list.json["items"]?.array ?? [] { #expect(!item.name.isEmpty && !item.uid.isEmpty) }
            }
        }
    }

    private static func document(_ reply: Reply) -> JSON {
        var duplicates: [String] = []
        if reply.head.headerFields[.contentType] != "application/yaml" { return reply.json }
        return (try? JSON(yaml: reply.bytes, duplicates: &duplicates)) ?? .null
    }

    @Test func pathsAreReadWithoutATrap() {
        var random = SplitMix64(seed: 7)
        for _ in 0..<10_000 {
            let text = String(
                decoding: Self.mutate(Self.paths[Int(random.next() % UInt64(Self.paths.count))], &random),
                as: UTF8.self)
            guard case .resource(let target) = Route(path: text[...], catalog: .builtIn) else { continue }
            #expect(!target.name.contains("/") && !target.namespace.contains("/"))
        }
    }

    @Test func percentCodingIsItsOwnInverse() {
        var random = SplitMix64(seed: 9)
        for length in 0..<200 {
            let bytes = (0..<length).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            let text = String(decoding: bytes, as: UTF8.self)
            #expect(PercentCoding.decode(PercentCoding.encode(text)) == text)
        }
    }
}
