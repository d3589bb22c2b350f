internal import HTTPTypes
internal import MartletBase
internal import MartletHTTP
internal import MartletObject

/// Which objects a list or watch is about.
struct ListScope: Sendable, Hashable {
    var kind: ResourceKind
    var path: String
    var query: [URLQuery] = []

    init(_ kind: ResourceKind, namespace: String?, labels: String?, fields: String?) {
        self.kind = kind
        path = Client.path(kind, namespace ?? "", nil)
        if let labels { query.append(URLQuery("labelSelector", labels)) }
        if let fields { query.append(URLQuery("fieldSelector", fields)) }
    }
}

/// One parameter of a URL.
struct URLQuery: Sendable, Hashable {
    var name: String
    var value: String

    init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }

    /// `path?a=b&c=d`, with all but unreserved characters of the values percent-encoded (RFC 3986, 2.3).
    static func append(_ query: [URLQuery], to path: String) -> String {
        if query.isEmpty { return path }
        return path + "?" + query.map { "\($0.name)=\(PercentCoding.encode($0.value))" }.joined(separator: "&")
    }
}

/// A page of a list.
struct ListPage: Sendable {
    var items: [JSON]
    var resourceVersion: String
    /// What the next page is asked for with; nil on the last one.
    var token: String?
}

/// Objects that the client itself writes.
enum Requests {
    /// A core/v1 Binding.
    static func binding(of pod: ObjectKey, uid: String, to node: String) -> JSON {
        [
            "apiVersion": "v1", "kind": "Binding",
            "metadata": ["name": .string(pod.name), "namespace": .string(pod.namespace), "uid": .string(uid)],
            "target": ["apiVersion": "v1", "kind": "Node", "name": .string(node)],
        ]
    }

    /// A core/v1 Event. Those about cluster-wide objects go to the namespace `default`, as Kubernetes' own do.
    static func event(
        about key: ObjectKey, uid: String, type: String, reason: String, message: String, component: String,
        at time: WallTime, random: UInt64
    ) -> JSON {
        let namespace = key.namespace.isEmpty ? "default" : key.namespace
        var involved: JSON = [
            "apiVersion": .string(key.kind.apiVersion), "kind": .string(key.kind.kind), "name": .string(key.name),
            "uid": .string(uid),
        ]
        if !key.namespace.isEmpty { involved["namespace"] = .string(key.namespace) }
        let now = JSON.string(time.rfc3339)
        return [
            "apiVersion": "v1", "kind": "Event",
            "metadata": [
                "name": .string("\(key.name).\(String(random, radix: 16))"), "namespace": .string(namespace),
            ],
            "involvedObject": involved, "reason": .string(reason), "message": .string(message),
            "source": ["component": .string(component)], "firstTimestamp": now, "lastTimestamp": now, "count": 1,
            "type": .string(type), "reportingComponent": .string(component), "reportingInstance": "",
        ]
    }
}

extension Client {
    static func path(
        _ kind: ResourceKind, _ namespace: String, _ name: String?, _ subresource: String? = nil
    ) -> String {
        kind.path(
            namespace: namespace.isEmpty ? nil : PercentCoding.encode(namespace),
            name: name.map { PercentCoding.encode($0) },
            subresource: subresource)
    }

    /// The object with its `apiVersion` and `kind`, which the items of a list come without.
    static func typed(_ object: JSON, _ kind: ResourceKind) -> JSON {
        var object = object
        if object["apiVersion"] == nil { object["apiVersion"] = .string(kind.apiVersion) }
        if object["kind"] == nil { object["kind"] = .string(kind.kind) }
        return object
    }

    /// One call whose answer is taken whole.
    func call(
        _ method: HTTPRequest.Method, _ path: String, _ body: JSON? = nil, contentType: String = "application/json"
    ) async throws -> JSON {
        let (transport, bytes) = (transport, body?.encoded() ?? [])
        let request = Self.request(method, path, contentType: body == nil ? nil : contentType)
        let answer = try await world.limited(to: ClientBounds.call, "\(method) \(path)") {
            let response = try await transport.send(request, body: bytes)
            return (
                status: response.head.status.code, bytes: try await response.body.collect(limit: ClientBounds.answer)
            )
        }
        guard (200..<300).contains(answer.status) else {
            throw APIError(status: answer.status, body: answer.bytes)
        }
        return try JSON(parsing: answer.bytes)
    }

    static func request(_ method: HTTPRequest.Method, _ path: String, contentType: String? = nil) -> HTTPRequest {
        var request = HTTPRequest(method: method, scheme: nil, authority: nil, path: path)
        request.headerFields[.accept] = "application/json"
        request.headerFields[.userAgent] = "martlet"
        if let contentType { request.headerFields[.contentType] = contentType }
        return request
    }

    /// One page of a list; all of it when `limit` is nil.
    func page(of scope: ListScope, after token: String?, limit: Int? = ClientBounds.page) async throws -> ListPage {
        var query = scope.query
        if let limit { query.append(URLQuery("limit", String(limit))) }
        if let token { query.append(URLQuery("continue", token)) }
        let list = try await call(.get, URLQuery.append(query, to: scope.path))
        let next = list["metadata", "continue"]?.string ?? ""
        return ListPage(
            items: (list["items"]?.array ?? []).map { Self.typed($0, scope.kind) },
            resourceVersion: list.resourceVersion, token: next.isEmpty ? nil : next)
    }
}

extension APIError {
    /// A refusal from an answer: its Status, or what else the body says.
    init(status: Int, body: [UInt8]) {
        if let object = try? JSON(parsing: body), object.kind == "Status" {
            self.init(status: object, code: status)
        } else {
            let text = String(decoding: body.prefix(200), as: UTF8.self)
            self.init(code: status, reason: "", message: text.isEmpty ? "HTTP status \(status)" : text)
        }
    }

    /// A refusal from a Status object.
    init(status object: JSON, code: Int) {
        self.init(
            code: object["code"]?.int ?? code, reason: object["reason"]?.string ?? "",
            message: object["message"]?.string ?? "")
    }
}
