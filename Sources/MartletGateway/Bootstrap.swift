internal import MartletObject

extension Gateway {
    /// Makes what every cluster has: the namespaces `default`, `kube-system`, `kube-public`, `kube-node-lease`, and
    /// the Service `default/kubernetes`. Safe to call at each start.
    /// - Throws: ``GatewayUnavailable`` when the store takes no writes now; else when the service network is not one.
    public func bootstrap() async throws {
        do { try await makeBasics() } catch let error as APIError where error.code == 503 || error.code == 429 {
            throw GatewayUnavailable(description: error.message)
        }
    }

    private func makeBasics() async throws {
        await customKinds.start()
        for name in ["default", "kube-system", "kube-public", "kube-node-lease"] {
            try await registry.ensure(["metadata": ["name": .string(name)]], .namespace)
        }
        try await registry.reconcileRoles()
        for priorityClass in PriorityAdmission.systemClasses {
            try await registry.ensure(priorityClass, .priorityClass)
        }
        guard let address = registry.allocator.firstAddress else {
            throw APIError.internalError(
                "the service network \(configuration.serviceCIDR) is no range, nor one of each kind of addresses")
        }
        var service: JSON = [
            "metadata": [
                "name": "kubernetes", "labels": ["component": "apiserver", "provider": "kubernetes"],
            ],
            "spec": [
                "type": "ClusterIP", "clusterIP": .string(address),
                "ports": [["name": "https", "protocol": "TCP", "port": 443, "targetPort": 6443]],
            ],
        ]
        service["metadata", "namespace"] = "default"
        try await registry.ensure(service, .service)
    }
}

/// The store takes no writes now: it may soon.
public struct GatewayUnavailable: Error, Sendable, CustomStringConvertible {
    /// One line for people.
    public var description: String
}

extension Registry {
    /// Makes an object unless it is there.
    func ensure(_ object: JSON, _ kind: ResourceKind) async throws(APIError) {
        let target = Target(kind: kind, namespace: object.namespace, name: object.name, subresource: "")
        if await storage.get(Keys.object(target)) != nil { return }
        var object = object
        object["apiVersion"] = .string(kind.apiVersion)
        object["kind"] = .string(kind.kind)
        do {
            var place = target
            place.name = ""
            _ = try await create(place, object: object, options: WriteOptions())
        } catch  where error.reason == .alreadyExists {
            return
        }
    }
}
