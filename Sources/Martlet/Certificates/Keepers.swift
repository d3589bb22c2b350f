internal import HTTPTypes
internal import MartletBase
internal import MartletClient
internal import MartletHTTP
internal import MartletNet
internal import MartletPKI

extension CertificateKeeper {
    /// Keeps the certificates of a master, which signs its own.
    /// - Parameters:
    ///   - client: the API inside this process.
    ///   - rewrite: writes the administrator's kubeconfig.
    static func ofMaster(
        _ configuration: ClusterConfiguration, _ credentials: Credentials, _ client: Client, worker: Worker?,
        rewrite: @escaping @Sendable () throws -> Void, in world: any World
    ) -> CertificateKeeper {
        let (pki, store) = (credentials.pki, RotationStore(client: client))
        let duties = CertificateDuties(
            renewLeaves: { all in
                try !pki.renewLeaves(configuration.leafSubjects, all: all, now: world.wallTime()).isEmpty
            },
            newKeys: { rotation in
                try await store.readKeys(
                    of: rotation, sealedBy: pki.authority("ca").keyPair.privateKeyPEM)
            },
            rewrite: rewrite, refreshPods: { await worker?.refreshPods() }, report: { try await store.write($0) })
        return CertificateKeeper(
            machine: configuration.nodeName, credentials: credentials, client: client, duties: duties,
            lifetime: configuration.certificateLifetime, world: world, logger: configuration.logger)
    }

    /// Keeps the certificates of a machine without a gateway, which asks the masters for them.
    /// - Parameters:
    ///   - node: the API as the node.
    ///   - parts: the API as the worker's parts.
    static func ofWorker(
        _ configuration: ClusterConfiguration, _ credentials: Credentials, node: Client, parts: Client,
        worker: Worker?, in world: any World
    ) -> CertificateKeeper {
        let enrollment = Enrollment(
            pki: credentials.pki, nodeName: configuration.nodeName, nodeAddress: configuration.nodeAddress,
            world: world)
        let duties = CertificateDuties(
            renewLeaves: { all in try await enrollment.complete(newcomer: nil, all: all) { _ in node } },
            newKeys: { _ in [:] }, rewrite: {}, refreshPods: { await worker?.refreshPods() },
            report: { report in _ = try await parts.ask(.post, "/martlet/v1/pki/reports", report.json) })
        return CertificateKeeper(
            machine: configuration.nodeName, credentials: credentials, client: parts, duties: duties,
            lifetime: configuration.certificateLifetime, world: world, logger: configuration.logger)
    }
}

extension ClusterConfiguration {
    /// Whom this master's leaves are made out for. Pods reach its API at the first address of each range of Services,
    /// and by the name of that Service in the cluster's own domain.
    var leafSubjects: LeafSubjects {
        let services = (IPRange.list(serviceCIDR) ?? []).map { "\($0.address(1))" }
        let names = apiNames + [ClusterPKI.apiService(in: clusterDomain)]
        return LeafSubjects(
            nodeName: nodeName, names: names, addresses: [nodeAddress] + services + virtualIP.plainAddresses,
            lifetime: certificateLifetime)
    }
}
