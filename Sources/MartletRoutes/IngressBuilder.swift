internal import MartletBase
public import MartletObject

/// Makes the routing table of everything that Ingresses say.
public enum IngressBuilder {
    /// The controller that an IngressClass must name to be served here.
    public static let controllerName = "martlet.io/ingress"
    private static let classAnnotation = "kubernetes.io/ingress.class"
    private static let defaultAnnotation = "ingressclass.kubernetes.io/is-default-class"
    private static let serviceLabel = "kubernetes.io/service-name"

    /// What a look at the API gives.
    public struct Result: Sendable {
        /// The routes.
        public var table = IngressTable()
        /// Certificates by host (`*.suffix` for wildcards), lower case.
        public var certificates: [String: TLSMaterial] = [:]
        /// The Ingresses that are served here.
        public var served: [ObjectKey] = []
        /// What could not be used, a sentence each, for events and logs.
        public var problems: [Problem] = []
    }

    /// Something an Ingress says that cannot be carried out.
    public struct Problem: Sendable, Hashable {
        /// The Ingress.
        public var ingress: ObjectKey
        /// Its uid.
        public var uid: String
        /// A sentence.
        public var message: String
    }

    /// Reads every Ingress of our classes, oldest first.
    public static func build(from snapshot: Snapshot) -> Result {
        var result = Result()
        let slices = Dictionary(grouping: snapshot.list(.endpointSlice)) {
            "\($0.namespace)/\($0.labels[serviceLabel] ?? "")"
        }
        for ingress in served(in: snapshot) {
            var reader = IngressReader(ingress: ingress, snapshot: snapshot, slices: slices, result: result)
            reader.read()
            result = reader.result
        }
        result.table.sort()
        return result
    }

    /// The Ingresses of our classes, oldest first; those that name no class are ours when our class is the default.
    public static func served(in snapshot: Snapshot) -> [JSON] {
        let classes = snapshot.list(.ingressClass).filter { $0["spec", "controller"]?.string == controllerName }
        let ours = Set(classes.map(\.name))
        let isDefault = classes.contains { $0.annotations[defaultAnnotation] == "true" }
        func isOurs(_ ingress: JSON) -> Bool {
            let name = ingress["spec", "ingressClassName"]?.string ?? ingress.annotations[classAnnotation]
            return name.map(ours.contains) ?? isDefault
        }
        func age(_ ingress: JSON) -> (String, String, String) {
            (ingress["metadata", "creationTimestamp"]?.string ?? "", ingress.namespace, ingress.name)
        }
        return snapshot.list(.ingress).filter(isOurs).sorted { age($0) < age($1) }
    }
}

/// Reads one Ingress into a result.
private struct IngressReader {
    let ingress: JSON
    let snapshot: Snapshot
    let slices: [String: [JSON]]
    var result: IngressBuilder.Result

    private var key: ObjectKey { ObjectKey(.ingress, namespace: ingress.namespace, name: ingress.name) }

    mutating func read() {
        result.served.append(key)
        if let json = ingress["spec", "defaultBackend"], let backend = backend(json) {
            result.table.setFallback(backend)
        }
        for rule in ingress["spec", "rules"]?.array ?? [] {
            for path in rule["http", "paths"]?.array ?? [] {
                guard let backend = backend(path["backend"] ?? .null) else { continue }
                // ImplementationSpecific is read as Prefix, as most controllers do.
                let kind: IngressTable.PathRule.Kind = path["pathType"]?.string == "Exact" ? .exact : .prefix
                let text = path["path"]?.string ?? "/"
                result.table.add(
                    host: rule["host"]?.string,
                    .init(kind: kind, path: Array((text.isEmpty ? "/" : text).utf8), backend: backend))
            }
        }
        for tls in ingress["spec", "tls"]?.array ?? [] { readTLS(tls) }
    }

    private mutating func complain(_ message: String) {
        result.problems.append(.init(ingress: key, uid: ingress.uid, message: message))
    }

    private mutating func readTLS(_ tls: JSON) {
        guard let name = tls["secretName"]?.string else { return }
        guard let secret = snapshot.get(.secret, namespace: ingress.namespace, name: name) else {
            complain("secret \"\(name)\" not found")
            return
        }
        guard let certificate = secret["data", "tls.crt"]?.string.flatMap({ Base64.decode($0) }),
            let privateKey = secret["data", "tls.key"]?.string.flatMap({ Base64.decode($0) })
        else {
            complain("secret \"\(name)\" has no tls.crt and tls.key")
            return
        }
        let material = TLSMaterial(certificatePEM: certificate, privateKeyPEM: privateKey)
        for host in tls["hosts"]?.array ?? [] {
            guard let host = host.string.map({ RequestHost($0).name }), !host.isEmpty else { continue }
            // The oldest Ingress that names a host keeps it.
            if result.certificates[host] == nil { result.certificates[host] = material }
        }
    }

    private mutating func backend(_ json: JSON) -> Backend? {
        guard let name = json["service", "name"]?.string else {
            complain("a backend that is not a service is not supported")
            return nil
        }
        let label = "\(ingress.namespace)/\(name)"
        guard let service = snapshot.get(.service, namespace: ingress.namespace, name: name) else {
            complain("service \"\(label)\" not found")
            return Backend(service: label, endpoints: [])
        }
        let wanted = json["service", "port"] ?? .null
        let port = (service["spec", "ports"]?.array ?? []).first { port in
            if let number = wanted["number"]?.int { return port["port"]?.int == number }
            return port["name"]?.string == wanted["name"]?.string
        }
        guard let port else {
            let text = wanted["number"]?.int.map(String.init) ?? wanted["name"]?.string ?? ""
            complain("service \"\(label)\" does not have a port \(text)")
            return Backend(service: label, endpoints: [])
        }
        return Backend(service: label, endpoints: endpoints(label, portName: port["name"]?.string ?? ""))
    }

    /// The ready endpoints; when there is none, those that still serve while they terminate (KEP-1669).
    private func endpoints(_ service: String, portName: String) -> [Endpoint] {
        var ready: [Endpoint] = []
        var leaving: [Endpoint] = []
        for slice in slices[service] ?? [] {
            guard
                let number = slice["ports"]?.array?.first(where: { ($0["name"]?.string ?? "") == portName })?["port"]?
                    .int, let port = UInt16(exactly: number)
            else { continue }
            for endpoint in slice["endpoints"]?.array ?? [] {
                guard let address = endpoint["addresses"]?[0]?.string else { continue }
                let conditions = endpoint["conditions"] ?? .null
                if conditions["ready"]?.bool ?? true {
                    ready.append(.ip(address, port: port))
                } else if conditions["serving"]?.bool ?? false, conditions["terminating"]?.bool ?? false {
                    leaving.append(.ip(address, port: port))
                }
            }
        }
        return ready.isEmpty ? leaving : ready
    }
}
