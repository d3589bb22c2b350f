internal import MartletBase
internal import MartletClient
internal import MartletHTTP
internal import MartletObject

/// Something that masters keep in the store for themselves: a Secret of `kube-system` whose content is sealed
/// (AES-256-GCM) under a key that is drawn from the authority's private key, which only masters have. Neither a
/// snapshot of the store nor leave to read Secrets gives it away.
struct SealedSecret: Sendable {
    static let namespace = "kube-system"
    /// The type of Secrets that only masters can open.
    static let type = "martlet.io/sealed-keys"

    /// The Secret's name.
    let name: String
    /// What it is for, in the words of its annotation.
    let description: String

    private func sealingKey(_ authorityKey: [UInt8]) -> [UInt8] {
        Secrets.sign(Array("martlet sealed \(name)".utf8), key: authorityKey)
    }

    /// The Secret with this content.
    func object(_ content: JSON, sealedBy authorityKey: [UInt8]) -> JSON {
        [
            "apiVersion": "v1", "kind": "Secret", "type": .string(Self.type),
            "metadata": [
                "name": .string(name), "namespace": .string(Self.namespace),
                "annotations": ["kubernetes.io/description": .string(description)],
            ],
            "data": [
                "sealed": .string(Base64.encode(Secrets.seal(content.encoded(), key: sealingKey(authorityKey))))
            ],
        ]
    }

    /// The content of a Secret; nil when another authority's key has sealed it, or somebody has changed it.
    func content(of secret: JSON, sealedBy authorityKey: [UInt8]) -> JSON? {
        guard let sealed = secret["data", "sealed"]?.string.flatMap({ Base64.decode($0) }),
            let bytes = Secrets.open(sealed, key: sealingKey(authorityKey))
        else { return nil }
        return try? JSON(parsing: bytes)
    }

    /// Reads the Secret; nil when there is none.
    func read(_ client: Client) async throws -> JSON? {
        do { return try await client.get(.secret, namespace: Self.namespace, name: name) } catch let error as APIError
            where error.isNotFound
        { return nil }
    }

    /// Makes the Secret, or replaces the one that was read.
    /// - Throws: `APIError` when somebody else was first.
    func write(_ content: JSON, sealedBy authorityKey: [UInt8], over read: JSON?, _ client: Client) async throws {
        var wanted = object(content, sealedBy: authorityKey)
        guard let read else {
            _ = try await client.create(.secret, wanted)
            return
        }
        wanted["metadata", "resourceVersion"] = .string(read.resourceVersion)
        _ = try await client.update(.secret, wanted)
    }
}
