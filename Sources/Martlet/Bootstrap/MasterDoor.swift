internal import MartletBase
internal import MartletClient
internal import MartletGateway
internal import MartletHTTP
internal import MartletObject
internal import MartletPKI
internal import MartletRaft
internal import MartletReplica
internal import MartletStore

/// A cluster's own upkeep, under `/martlet/v1/`: who may join, who the masters are.
struct MasterDoor: Sendable {
    /// How often a key is stretched: guessing a token by the sealed keys is no quicker than this.
    static let stretches = 100_000
    /// Where a snapshot of the store is fetched.
    static let snapshotPath = "v1/snapshot"

    let configuration: ClusterConfiguration
    let pki: ClusterPKI
    let replica: Replica
    /// The API inside this process, for what a token's Secret says.
    let admin: Client
    let rotations: RotationDoor
    let virtualIPs: VirtualIPSlot

    func answer(_ request: DoorRequest) async -> DoorAnswer {
        let parts = request.path.split(separator: "/").map(String.init)
        if await replica.failure == ReplicaError.removal {
            return .refused(
                410,
                "\(configuration.nodeName) is a master no longer, it was removed: martlet reset on it, and ask another "
                    + "master (--kubeconfig)")
        }
        do {
            switch (request.verb, parts) {
            case ("post", ["v1", "join"]): return try await join(request)
            case ("get", ["v1", "members"]): return .done(await members())
            case ("get", _) where request.path == Self.snapshotPath:
                let reader = try await replica.snapshot()
                return .done(reader.totalBytes) { try await reader.next() }
            case ("delete", _) where parts.count == 3 && parts[..<2] == ["v1", "members"]:
                return try await remove(parts[2])
            case ("get", ["v1", "vip"]):
                return .done([
                    "answeredBy": .string(configuration.nodeName), "routers": virtualIPs.value?.json ?? .array([]),
                ])
            case ("post", ["v1", "vip", "move"]):
                guard let held = virtualIPs.value else {
                    return .refused(404, "\(configuration.nodeName) has no part in virtual addresses")
                }
                if let why = Self.refusal(ofMoveFrom: configuration.nodeName, await members()) {
                    return .refused(409, "the virtual addresses are not moved: \(why)")
                }
                held.yield()
                return .done(["answeredBy": .string(configuration.nodeName)])
            case ("get", ["v1", "pki"]): return .done(try await rotations.show())
            case ("post", ["v1", "pki", "rotations"]): return try await rotations.rotate(request.body)
            case ("post", ["v1", "pki", "reports"]):
                return try await rotations.report(request.body, from: request.identity, masters: await masterNames)
            default: return .refused(404, "there is no /martlet/\(request.path)")
            }
        } catch let error as APIError {
            return .refused(error.code, error.message)
        } catch {
            return .refused(400, "\(error)")
        }
    }

    // MARK: Members

    private var masterNames: Set<String> {
        get async { await Self.masterNames(replica, configuration.nodeName) }
    }

    /// The names of masters.
    /// - Parameter own: that of the one that asks, which has none in a store that it keeps alone.
    static func masterNames(_ replica: Replica, _ own: String) async -> Set<String> {
        Set(await replica.members.map(\.name) + [own]).subtracting([""])
    }

    private func members() async -> JSON {
        let (members, status) = (await replica.members, await replica.status)
        let leader = status.leader.map { leader in
            members.first { $0.id == leader }?.name ?? String(leader, radix: 16)
        }
        return [
            "leader": leader.map { .string($0) } ?? .null,
            "answeredBy": .string(configuration.nodeName),
            "members": .array(
                members.map { member in
                    let progress = status.peers[member.id]
                    let behind: UInt64? =
                        status.role == .leader
                        ? status.lastIndex - min(status.lastIndex, progress?.match ?? status.lastIndex) : nil
                    var shown: JSON = [
                        "id": .string(String(member.id, radix: 16)), "name": .string(member.name),
                        "votes": .bool(!member.isLearner),
                        "peerURLs": .array(member.peerURLs.map { .string($0) }),
                        "apiURLs": .array(member.clientURLs.map { .string($0) }),
                        // Only the leader hears of all.
                        "alive": member.id == status.member
                            ? true : status.role == .leader ? .bool(progress?.isActive == true) : .null,
                        // In entries of the log.
                        "behind": behind.map { .int(Int64($0)) } ?? .null,
                    ]
                    // A member knows of itself alone that its log takes nothing.
                    if member.id == status.member { shown["failure"] = status.failure.map(JSON.string) ?? .null }
                    return shown
                }),
        ]
    }

    /// Why no other master could take the virtual addresses over; nil when one could.
    /// - Parameter answer: the masters, as ``members()`` says them: one that keeps its store alone has no name there.
    static func refusal(ofMoveFrom name: String, _ answer: JSON) -> String? {
        let members = (answer["members"]?.array ?? []).map(QuorumGuard.Member.init).filter { !$0.name.isEmpty }
        return QuorumGuard.refusal(movingAddressesFrom: name, members)
    }

    private func remove(_ name: String) async throws -> DoorAnswer {
        let members = await replica.members
        guard let member = members.first(where: { $0.name == name || String($0.id, radix: 16) == name }) else {
            if try await rotations.forget(name) { return .done(["forgotten": .string(name)]) }
            let names = members.map(\.name).joined(separator: ", ")
            return .refused(404, "there is no member \(name); the members are \(names)")
        }
        do { try await replica.remove(member: member.id) } catch ReplicaError.membership(.quorumLost) {
            let others = members.filter { $0.id != member.id && !$0.isLearner }.map(\.name)
            return .refused(
                409,
                "\(member.name) is not removed: too few of the masters that would be left are alive "
                    + "(\(others.joined(separator: ", "))); martlet status shows which: start them, or remove one that "
                    + "is lost first")
        } catch ReplicaError.membership(.lastVoter) {
            return .refused(
                409, "\(member.name) is the last master and holds all data: martlet reset on it ends the cluster")
        }
        return .done([
            "removed": .string(member.name), "id": .string(String(member.id, radix: 16)),
            "isLearner": .bool(member.isLearner),
        ])
    }

    // MARK: Joining

    /// Tells a new machine what the cluster is; a master also what all masters share, sealed by the token's secret.
    private func join(_ request: DoorRequest) async throws -> DoorAnswer {
        guard let role = JoinToken.Role.allCases.first(where: { request.identity.groups.contains($0.group) }),
            let id = request.identity.user.split(separator: ":").last.map(String.init)
        else {
            return .refused(403, "this token lets nobody join: make one with martlet token create --role ROLE")
        }
        guard request.body["role"]?.string == role.rawValue else {
            return .refused(
                403,
                "this token lets a \(role.rawValue) join: use martlet join --role \(role.rawValue), or make "
                    + "another one with martlet token create --role \(request.body["role"]?.string ?? "worker")")
        }
        guard let name = request.body["nodeName"]?.string, let key = request.body["key"]?.string, key.utf8.count >= 16
        else { return .refused(400, "nodeName and key are missing: run releases that know each other") }
        if let why = Self.refusal(of: name, as: role, masters: await masterNames, node: try await node(name)) {
            return .refused(409, why)
        }
        let members = await replica.members
        var answer = ClusterSettings(of: configuration).json
        answer["masters"] = .array(members.flatMap(\.clientURLs).map { .string($0) })
        guard role == .master else {
            try await rotations.expect(name)
            answer["authorities"] = .string(Base64.encode(try pki.trusted("ca")))
            return .done(answer)
        }
        guard configuration.storePeers != nil else {
            return .refused(
                409, "this master keeps its store alone: it was not begun with martlet init, and takes no other masters"
            )
        }
        let peerURL = request.body["peerURL"]?.string ?? ""
        if let member = members.first(where: { $0.name == name && !$0.peerURLs.contains(peerURL) }) {
            return .refused(
                409,
                "a master named \(name) is there already, at \(member.peerURLs.joined(separator: ",")): choose "
                    + "another --node-name, or martlet member remove \(name) first when it is lost")
        }
        let secret = try await bind(token: id, to: key, of: name)
        try await rotations.expect(name)
        var bundle: JSON = [:]
        for (file, bytes) in try pki.sharedFiles() { bundle[file] = .string(Base64.encode(bytes)) }
        let salt = Array(key.utf8)
        let sealing = Secrets.stretch(password: Array(secret.utf8), salt: salt, iterations: Self.stretches)
        answer["sealed"] = .string(Base64.encode(Secrets.seal(bundle.encoded(), key: sealing)))
        answer["peers"] = .array(members.filter { !$0.name.isEmpty }.flatMap(\.peerURLs).map { .string($0) })
        return .done(answer)
    }

    private func node(_ name: String) async throws -> JSON? {
        do { return try await admin.get(.node, name: name) } catch let error as MartletClient.APIError
            where error.isNotFound
        {
            return nil
        }
    }

    /// Why no machine of the other role may have a name, by which certificates and reports go; nil when one may.
    /// Machines of the same role are told apart where they prove who they are.
    /// - Parameter node: the node of that name, when there is one.
    static func refusal(of name: String, as role: JoinToken.Role, masters: Set<String>, node: JSON?) -> String? {
        if !isName(name) { return "\"\(name.prefix(64))\" is no name of a node: choose another --node-name" }
        switch role {
        case .worker where masters.contains(name):
            return "a master named \(name) is there already: choose another --node-name"
        case .master:
            // A master that runs pods has a node, too, which stays while the machine is set up anew.
            let labels = node?["metadata", "labels"]
            guard labels?["node-role.kubernetes.io/worker"] != nil,
                labels?["node-role.kubernetes.io/control-plane"] == nil
            else { return nil }
            return "a worker named \(name) is there already: choose another --node-name, or kubectl delete node "
                + "\(name) when it is lost"
        case .worker: return nil
        }
    }

    /// Whether a machine may be called so: an RFC 1123 subdomain that is a host name's length at most, as `--node-name`
    /// takes it.
    static func isName(_ text: String) -> Bool { text.utf8.count <= 63 && Names.subdomainFault(text) == nil }

    /// Makes a token good for this one machine only; the store decides between two that come at once.
    /// - Returns: the token's secret half.
    private func bind(token id: String, to key: String, of name: String) async throws -> String {
        var object = try await admin.get(.secret, namespace: "kube-system", name: JoinToken.secretName(id))
        let mark = Digest.sha256(Array(key.utf8)).prefix(16).map { String($0, radix: 16) }.joined(separator: "-")
        if let used = JoinToken.value("used-by", in: object) {
            guard used == mark else {
                let who = JoinToken.value("used-for", in: object) ?? "another machine"
                throw APIError(
                    code: 403, reason: "Forbidden",
                    message: "this token was used for \(who), and is good for one machine: make another one with "
                        + "martlet token create --role master")
            }
        } else {
            object["data", "used-by"] = .string(Base64.encode(Array(mark.utf8)))
            object["data", "used-for"] = .string(Base64.encode(Array(name.utf8)))
            object = try await admin.update(.secret, object)
        }
        return JoinToken.value("token-secret", in: object) ?? ""
    }
}
