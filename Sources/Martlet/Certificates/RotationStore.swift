internal import MartletBase
internal import MartletClient
internal import MartletControllers
internal import MartletHTTP
internal import MartletObject
internal import MartletPKI

/// A rotation as it is kept in the store: what all machines may know of it.
struct RotationRecord: Sendable, Hashable {
    var rotation: Rotation
    /// Nil where only leaves are rotated.
    var exchange: AuthorityExchange?
    /// The certificates of `ca` that are trusted, for whom that is published.
    var trusted: [UInt8]
    /// Of the object that it was read from; empty for a new one.
    var resourceVersion = ""

    init(rotation: Rotation, exchange: AuthorityExchange?, trusted: [UInt8]) {
        self.rotation = rotation
        self.exchange = exchange
        self.trusted = trusted
    }

    /// Reads the ConfigMap; nil for one that somebody else has made.
    init?(_ map: JSON) {
        func json(_ key: String) -> JSON? {
            map["data", key]?.string.flatMap { try? JSON(parsing: Array($0.utf8)) }
        }
        guard let rotation = json("rotation").flatMap(Rotation.init) else { return nil }
        self.rotation = rotation
        resourceVersion = map["metadata", "resourceVersion"]?.string ?? ""
        trusted = Array((map["data", "ca.crt"]?.string ?? "").utf8)
        guard let kept = json("exchange") else { return }
        func files(_ key: String) -> [String: [UInt8]] {
            Self.texts(kept[key] ?? [:])
        }
        exchange = AuthorityExchange(
            old: files("old"), new: files("new"), cross: Array((kept["cross"]?.string ?? "").utf8))
    }

    /// The members of an object that are texts.
    static func texts(_ json: JSON) -> [String: [UInt8]] {
        Dictionary(
            json.members.compactMap { member in member.value.string.map { (member.key, Array($0.utf8)) } },
            uniquingKeysWith: { $1 })
    }

    /// The certificates of `ca` that all are told to trust in the phase that stands.
    var published: [UInt8] { exchange?.trusted("ca", in: rotation.phase) ?? trusted }

    /// The ConfigMap.
    var object: JSON {
        func text(_ bytes: [UInt8]) -> JSON { .string(String(decoding: bytes, as: UTF8.self)) }
        func files(_ files: [String: [UInt8]]) -> JSON {
            var json: JSON = [:]
            for (name, bytes) in files.sorted(by: { $0.key < $1.key }) { json[name] = text(bytes) }
            return json
        }
        var data: JSON = ["rotation": text(rotation.json.encoded())]
        data["ca.crt"] = text(published)
        if let exchange {
            let kept: JSON = [
                "old": files(exchange.old), "new": files(exchange.new), "cross": text(exchange.cross),
            ]
            data["exchange"] = text(kept.encoded())
        }
        var metadata: JSON = [
            "name": .string(RotationStore.name), "namespace": .string(RotationStore.namespace),
            "annotations": [
                "kubernetes.io/description": "How far the rotation of certificates is; see martlet pki status"
            ],
        ]
        if !resourceVersion.isEmpty { metadata["resourceVersion"] = .string(resourceVersion) }
        return ["apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data]
    }
}

/// The objects that a rotation is kept in: a ConfigMap that says how far it is, a Secret with the new private keys,
/// and a ConfigMap of each machine with what it has taken, and its certificates.
///
/// The new keys are sealed (AES-256-GCM) under a key that is drawn from the old authority's private key, which only
/// masters have: neither a snapshot of the store nor leave to read Secrets gives them away.
struct RotationStore: Sendable {
    static let (namespace, name) = RootAuthorityController.source
    static let machineLabel = "martlet.io/machine"

    let client: Client

    /// The rotation that stands, or was the last; nil when there was none.
    func read() async throws -> RotationRecord? {
        do {
            return RotationRecord(try await client.get(.configMap, namespace: Self.namespace, name: Self.name))
        } catch let error as APIError where error.isNotFound { return nil }
    }

    /// Writes a record that was read, or a new one.
    /// - Throws: `APIError` that is a conflict, or says that it exists, when somebody else was first.
    func write(_ record: RotationRecord) async throws {
        if record.resourceVersion.isEmpty {
            _ = try await client.create(.configMap, record.object)
        } else {
            _ = try await client.update(.configMap, record.object)
        }
    }

    // MARK: New keys

    private static func keysName(_ rotation: String) -> String { "\(name)-\(rotation)" }

    private static func sealingKey(_ rotation: String, _ authorityKey: [UInt8]) -> [UInt8] {
        Secrets.sign(Array("martlet rotation \(rotation)".utf8), key: authorityKey)
    }

    func writeKeys(_ keys: [String: [UInt8]], of rotation: String, sealedBy authorityKey: [UInt8]) async throws {
        var json: JSON = [:]
        for (name, key) in keys { json[name] = .string(String(decoding: key, as: UTF8.self)) }
        let sealed = Secrets.seal(json.encoded(), key: Self.sealingKey(rotation, authorityKey))
        _ = try await client.create(
            .secret,
            [
                "apiVersion": "v1", "kind": "Secret", "type": .string(SealedSecret.type),
                "metadata": ["name": .string(Self.keysName(rotation)), "namespace": .string(Self.namespace)],
                "data": ["keys": .string(Base64.encode(sealed))],
            ])
    }

    /// - Throws: ``ClusterError`` when this master's key does not open them.
    func readKeys(of rotation: String, sealedBy authorityKey: [UInt8]) async throws -> [String: [UInt8]] {
        let secret = try await client.get(.secret, namespace: Self.namespace, name: Self.keysName(rotation))
        guard let sealed = secret["data", "keys"]?.string.flatMap({ Base64.decode($0) }),
            let bytes = Secrets.open(sealed, key: Self.sealingKey(rotation, authorityKey)),
            let json = try? JSON(parsing: bytes)
        else {
            throw ClusterError.unusable(
                "the new keys of rotation \(rotation) cannot be opened by this master's ca.key: it was away during an "
                    + "earlier one; martlet reset it, and join it again")
        }
        return RotationRecord.texts(json)
    }

    func removeKeys(of rotation: String) async throws {
        do {
            try await client.delete(.secret, namespace: Self.namespace, name: Self.keysName(rotation))
        } catch let error as APIError where error.isNotFound {
            // Gone already.
        }
    }

    /// Removes the keys of rotations that are over, or never began: whatever came between, none stays in the store,
    /// sealed by the very key that was exchanged.
    /// - Parameter before: keys made later are left alone: their rotation may be about to be written.
    func removeSpentKeys(before: WallTime) async throws {
        let current = try await read()?.rotation
        let kept = current?.phase == .done ? nil : current.map { Self.keysName($0.id) }
        let sealed = try await client.list(
            .secret, namespace: Self.namespace, fieldSelector: "type=\(SealedSecret.type)"
        ).items
        for secret in sealed where secret.name.hasPrefix(Self.keysName("")) && secret.name != kept {
            guard let made = secret["metadata", "creationTimestamp"]?.string.flatMap(WallTime.init(rfc3339:)),
                made.seconds < before.seconds
            else { continue }
            try await client.delete(.secret, namespace: Self.namespace, name: secret.name, uid: secret.uid)
        }
    }

    // MARK: Machines

    /// What each machine has told last, by its name.
    func reports() async throws -> [String: MachineReport] {
        let maps = try await client.list(
            .configMap, namespace: Self.namespace, labelSelector: Self.machineLabel
        ).items
        return Dictionary(maps.compactMap(MachineReport.init).map { ($0.machine, $0) }, uniquingKeysWith: { $1 })
    }

    func write(_ report: MachineReport) async throws { _ = try await client.apply(.configMap, report.object) }

    func remove(_ machine: String) async throws {
        do {
            try await client.delete(.configMap, namespace: Self.namespace, name: MachineReport.objectName(machine))
        } catch let error as APIError where error.isNotFound {
            // Gone already.
        }
    }
}
