public import MartletBase
public import MartletObject

/// What the edge needs: the workers whose ingress takes requests.
public struct EdgeTable: Sendable, Hashable {
    /// A worker says with this annotation on its Node on which port its ingress listens.
    public static let portAnnotation = "martlet.io/ingress-port"

    /// The ingress of each ready worker.
    public var workers: [Endpoint]

    /// Reads the Nodes: those that are ready and say where their ingress is.
    public init(from snapshot: Snapshot) {
        workers = snapshot.list(.node).compactMap { node in
            let isReady = node["status", "conditions"]?.array?.contains {
                $0["type"]?.string == "Ready" && $0["status"]?.string == "True"
            }
            guard isReady == true, let port = node.annotations[Self.portAnnotation].flatMap({ UInt16($0) }),
                let address = Self.internalAddress(of: node)
            else { return nil }
            return .ip(address, port: port)
        }
    }

    /// A Node's InternalIP.
    public static func internalAddress(of node: JSON) -> String? {
        node["status", "addresses"]?.array?.first { $0["type"]?.string == "InternalIP" }?["address"]?.string
    }
}
