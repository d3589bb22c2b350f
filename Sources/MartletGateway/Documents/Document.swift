internal import HTTPTypes
internal import MartletBase
internal import MartletHTTP
internal import MartletObject
internal import MartletReplica

/// What is not a resource: discovery, OpenAPI, version, health and metrics.
extension Gateway {
    func document(_ call: Call) async throws(APIError) -> Response {
        if call.route == .nothing { throw .noSuchResource }
        if case .door(let path) = call.route { return try await door(call, path) }
        guard ["get", "head"].contains(call.verb) else { throw .methodNotAllowed }
        switch call.route {
        case .discovery(let document): return try discovery(document, call)
        case .openAPIv2: return try openAPIv2(call)
        case .openAPIv3(let path): return try openAPIv3(path, call)
        case .version: return Self.json(PrettyPrinter.indented(version.encoded()))
        case .health(let check): return try await health(check, call)
        case .metrics:
            let objects = await objectCounts(call.kinds.catalog)
            var further = PrometheusText()
            watchers.write(to: &further)
            await registry.storage.status.write(to: &further)
            configuration.processUse()?.write(to: &further)
            let text =
                metrics.text(inFlight: admittance.inFlight, objects: objects) + further.text
                + configuration.furtherMetrics()
            return Response(
                status: .ok, contentType: "text/plain; version=0.0.4; charset=utf-8", bytes: Array(text.utf8))
        case .checkMetrics:
            return Response(
                status: .ok, contentType: "text/plain; version=0.0.4; charset=utf-8", bytes: Array(checked.text.utf8))
        case .tokenIssuer: return try tokenIssuer()
        case .tokenKeys: return try tokenKeys()
        case .index: return Self.json(PrettyPrinter.indented(Self.index(call.kinds.catalog).encoded()))
        case .authorities:
            let authorities = configuration.authorities()
            if authorities.isEmpty { throw .noSuchResource }
            return Self.json(authorities, contentType: "application/x-pem-file")
        case .resource, .nothing, .door: throw .noSuchResource
        }
    }

    static func json(_ bytes: [UInt8], contentType: String = "application/json") -> Response {
        Response(status: .ok, contentType: contentType, bytes: bytes)
    }

    private func discovery(_ document: DiscoveryDocument, _ call: Call) throws(APIError) -> Response {
        let accept = call.request.head.headerFields[.accept]
        // Only the two roots have the aggregated form.
        let isRoot = document == .coreVersions || document == .groups
        guard let form = Representation.negotiate(accept, discovery: true) else { throw .notAcceptable() }
        var response: Response
        if isRoot, case .discovery(let version) = form {
            guard let tagged = call.kinds.discovery.aggregated(document, version: version) else {
                throw .noSuchResource
            }
            let type = "application/json;g=apidiscovery.k8s.io;v=\(version);as=APIGroupDiscoveryList"
            response = Self.tagged(tagged, call, contentType: type, mayDeflate: false)
            response.head.headerFields[.cacheControl] = "public"
        } else {
            let address = call.request.head.authority ?? ""
            guard let json = call.kinds.discovery.plain(document, address: address) else { throw .noSuchResource }
            let bytes = json.encoded()
            response = Self.json(call.isPretty ? PrettyPrinter.indented(bytes) : bytes)
        }
        response.head.headerFields[.vary] = "Accept"
        return response
    }

    /// The document, or 304 when the caller has it.
    private static func tagged(
        _ document: TaggedDocument, _ call: Call, contentType: String = "application/json", mayDeflate: Bool = true
    ) -> Response {
        let tag = "\"\(document.tag)\""
        let known = call.request.head.headerFields[.ifNoneMatch] ?? ""
        let isKnown = known.split(separator: ",").contains { part in
            let text = part.drop { $0 == " " }
            return text == "*" || text == tag || text == "W/\(tag)"
        }
        let isPretty = call.isPretty && contentType.hasPrefix("application/json")
        var response: Response
        if isKnown {
            response = Response(status: .notModified, contentType: contentType, bytes: [])
        } else if mayDeflate, !isPretty, Call.takesGzip(call.request.head.headerFields[.acceptEncoding]) {
            response = json(document.gzip, contentType: contentType)
            response.head.headerFields[.contentEncoding] = "gzip"
        } else {
            response = json(
                isPretty ? PrettyPrinter.indented(document.bytes) : document.bytes, contentType: contentType)
        }
        response.head.headerFields[.eTag] = tag
        response.head.headerFields[.vary] = mayDeflate ? "Accept, Accept-Encoding" : "Accept"
        return response
    }

    private func openAPI(_ document: TaggedDocument?, _ call: Call) throws(APIError) -> Response {
        guard let document else { throw .noSuchResource }
        guard Representation.negotiate(call.request.head.headerFields[.accept]) != nil else { throw .notAcceptable() }
        return Self.tagged(document, call)
    }

    /// Who names the hash gets what may be kept for ever; who names an old one is sent to the new one.
    private func openAPIv3(_ path: String, _ call: Call) throws(APIError) -> Response {
        guard let document = call.kinds.openAPI.v3(path: path) else { throw .noSuchResource }
        guard let hash = call.query.text("hash"), !path.isEmpty else { return try openAPIv3(document, path, call) }
        if hash != document.tag {
            var response = Response(status: .movedPermanently, contentType: "text/plain; charset=utf-8", bytes: [])
            response.head.headerFields[.location] = "/openapi/v3/\(path)?hash=\(document.tag)"
            return response
        }
        var response = try openAPIv3(document, path, call)
        response.head.headerFields[.cacheControl] = "public, immutable, max-age=31536000"
        return response
    }

    private func openAPIv3(_ document: TaggedDocument, _ path: String, _ call: Call) throws(APIError) -> Response {
        guard Self.prefers(OpenAPIProtobuf.mediaTypes3, call),
            let encoded = call.kinds.openAPI.v3Protobuf(path: path)
        else { return try openAPI(document, call) }
        return Self.tagged(encoded, call, contentType: OpenAPIProtobuf.mediaTypes3[1])
    }

    /// In the form that the header names first: JSON or a protocol buffer.
    private func openAPIv2(_ call: Call) throws(APIError) -> Response {
        guard Self.prefers(OpenAPIProtobuf.mediaTypes, call) else { return try openAPI(call.kinds.openAPI.v2(), call) }
        guard let document = call.kinds.openAPI.v2Protobuf() else { throw .noSuchResource }
        return Self.tagged(document, call, contentType: OpenAPIProtobuf.contentType)
    }

    /// Whether the caller names one of these media types before any that JSON will do for.
    private static func prefers(_ types: [String], _ call: Call) -> Bool {
        let accept = call.request.head.headerFields[.accept] ?? ""
        for range in accept.split(separator: ",").prefix(32).compactMap({ MediaRange(String($0)) })
        where range.quality > 0 {
            if types.contains(range.type) { return true }
            if Representation.negotiate(range.type) != nil { return false }
        }
        return false
    }

    private var version: JSON {
        let text = configuration.kubernetesVersion
        let parts = text.drop { $0 == "v" }.split(separator: ".")
        #if arch(arm64)
        let platform = "linux/arm64"
        #else
        let platform = "linux/amd64"
        #endif
        return [
            "major": .string(parts.first.map(String.init) ?? ""),
            "minor": .string(parts.dropFirst().first.map(String.init) ?? ""), "gitVersion": .string(text),
            "gitCommit": "", "gitTreeState": "clean", "buildDate": "1970-01-01T00:00:00Z", "goVersion": "",
            "compiler": "swift", "platform": .string(platform),
        ]
    }

    private static func index(_ catalog: KindCatalog) -> JSON {
        var paths = [
            "/api", "/apis", "/healthz", "/livez", "/metrics", "/metrics/slis", "/openapi/v2", "/openapi/v3", "/readyz",
        ]
        for kind in catalog.kinds {
            let path = kind.group.isEmpty ? "/api/\(kind.version)" : "/apis/\(kind.group)/\(kind.version)"
            if !paths.contains(path) { paths.append(path) }
        }
        paths.append("/version")
        return ["paths": .array(paths.sorted().map { .string($0) })]
    }
}
