import HTTPTypes
import MartletObject
import Testing

@testable import MartletGateway

/// What the parts of a worker may do: its ingress, edge, DNS and network.
@Suite struct WorkerAccessTests {
    private static let worker = Identity(
        user: "system:martlet-worker:n1", groups: ["system:martlet:workers", "system:authenticated"])

    private func ingress(_ name: String, tls: [String] = [], auth: String? = nil) -> JSON {
        var object: JSON = ["metadata": ["name": .string(name), "namespace": "default"], "spec": [:]]
        object["spec", "defaultBackend"] = ["service": ["name": "web", "port": ["number": 80]]]
        object["spec", "tls"] = .array(tls.map { ["hosts": ["h.test"], "secretName": .string($0)] })
        if let auth {
            object["metadata", "annotations"] = ["nginx.ingress.kubernetes.io/auth-secret": .string(auth)]
        }
        return object
    }

    private func gateway(_ namespace: String, _ references: JSON...) -> JSON {
        [
            "metadata": ["name": "g", "namespace": .string(namespace)],
            "spec": [
                "gatewayClassName": "martlet",
                "listeners": [
                    [
                        "name": "https", "port": 443, "protocol": "HTTPS",
                        "tls": ["certificateRefs": .array(references)],
                    ]
                ],
            ],
        ]
    }

    private func key(_ kind: ResourceKind, _ namespace: String, _ name: String) -> [UInt8] {
        Keys.object(kind, namespace: namespace, name: name)
    }

    @Test func theSecretsOfIngressesAreNamedWhileTheIngressIsThere() {
        var routes = RouteSecrets()
        let one = key(.ingress, "default", "one")
        routes.apply(one, ingress("one", tls: ["cert"], auth: "users").encoded())
        routes.apply(key(.ingress, "default", "two"), ingress("two", tls: ["cert"]).encoded())
        #expect(routes.names("cert", in: "default") && routes.names("users", in: "default"))
        #expect(!routes.names("cert", in: "other") && !routes.names("others", in: "default"))
        routes.apply(one, ingress("one", auth: "default/moved").encoded())
        #expect(!routes.names("users", in: "default") && routes.names("moved", in: "default"))
        routes.apply(one, nil)
        #expect(!routes.names("moved", in: "default"))
        #expect(routes.names("cert", in: "default"), "another Ingress names it")
        routes.apply(key(.ingress, "default", "two"), nil)
        #expect(!routes.names("cert", in: "default"))
    }

    @Test func anIngressNamesNoSecretOfAnotherNamespace() {
        var routes = RouteSecrets()
        routes.apply(key(.ingress, "default", "i"), ingress("i", tls: ["a/b"], auth: "kube-system/token").encoded())
        #expect(!routes.names("token", in: "kube-system") && !routes.names("b", in: "a"))
        #expect(routes.names("martlet-acme-challenges", in: "kube-system"), "edges answer authorities out of it")
    }

    @Test func aGatewayNamesAnothersSecretWhereItIsGranted() {
        var routes = RouteSecrets()
        let own: JSON = ["name": "own"]
        let foreign: JSON = ["name": "cert", "namespace": "vault"]
        routes.apply(key(.gateway, "web", "g"), gateway("web", own, foreign, ["name": "x", "kind": "Other"]).encoded())
        #expect(routes.names("own", in: "web") && !routes.names("x", in: "web"))
        #expect(!routes.names("cert", in: "vault"))
        func grant(_ to: JSON) -> JSON {
            [
                "metadata": ["name": "allow", "namespace": "vault"],
                "spec": [
                    "from": [["group": "gateway.networking.k8s.io", "kind": "Gateway", "namespace": "web"]],
                    "to": [to],
                ],
            ]
        }
        let place = key(.referenceGrant, "vault", "allow")
        routes.apply(place, grant(["group": "", "kind": "Secret"]).encoded())
        #expect(routes.names("cert", in: "vault") && !routes.names("other", in: "vault"))
        routes.apply(place, grant(["group": "", "kind": "Secret", "name": "other"]).encoded())
        #expect(!routes.names("cert", in: "vault"))
        routes.apply(place, grant(["group": "", "kind": "Secret", "name": "cert"]).encoded())
        #expect(routes.names("cert", in: "vault"))
        routes.apply(place, nil)
        #expect(!routes.names("cert", in: "vault"))
    }

    @Test func aWorkerReadsTheSecretsOfRoutesAndNoOthers() async throws {
        try await TestAPI.run { api in
            func read(_ path: String) async -> Reply { await api.send(.get, path, as: Self.worker) }
            let secrets = "/api/v1/namespaces/default/secrets"
            for name in ["cert", "hidden"] {
                _ = await api.post(secrets, ["metadata": ["name": .string(name)], "stringData": ["a": "b"]])
            }
            #expect(await read("\(secrets)/cert").code == 403)
            let ingresses = "/apis/networking.k8s.io/v1/namespaces/default/ingresses"
            #expect(await api.post(ingresses, self.ingress("i", tls: ["cert"])).code == 201)
            #expect(await read("\(secrets)/cert").code == 200)
            #expect(await read("\(secrets)?fieldSelector=metadata.name%3Dcert").names == ["cert"])
            #expect(
                await read("\(secrets)/hidden").message
                    == "secrets \"hidden\" is forbidden: User \"system:martlet-worker:n1\" cannot get resource "
                    + "\"secrets\" in API group \"\" in the namespace \"default\": no Ingress or Gateway names this "
                    + "secret")
            for path in [
                "/api/v1/secrets", secrets, "/api/v1/secrets?fieldSelector=metadata.name%3Dcert",
                "\(secrets)?watch=true", "\(secrets)?fieldSelector=metadata.name!%3Dcert",
                "\(secrets)?fieldSelector=metadata.name%3Dhidden,metadata.name%3Dcert",
                "/api/v1/namespaces/kube-system/secrets",
            ] {
                #expect(await read(path).code == 403, "\(path)")
            }
            // The first name opens the door; the second lets nothing else through it.
            let both = await read("\(secrets)?fieldSelector=metadata.name%3Dcert,metadata.name%3Dhidden")
            #expect(both.code == 200 && both.names.isEmpty)
            #expect(await api.send(.delete, "\(secrets)/cert", as: Self.worker).code == 403)
            // A role that was given before does not give more.
            await api.allow("*", "secrets,nodes", to: [("Group", "system:martlet:workers")])
            #expect(await read("/api/v1/secrets").code == 403)
            #expect(await read("\(secrets)/hidden").code == 403)
            _ = await api.delete("\(ingresses)/i")
            #expect(await read("\(secrets)/cert").code == 403)
        }
    }

    @Test func aWorkerChangesNoNodeAndOfARouteItsStatusAlone() async throws {
        try await TestAPI.run { api in
            func patch(_ path: String, _ patch: JSON) async -> Reply {
                await api.send(.patch, path, patch.encoded(), as: Self.worker, type: PatchType.merge.rawValue)
            }
            for name in ["n1", "n2"] {
                _ = await api.post("/api/v1/nodes", ["metadata": ["name": .string(name)]])
                for change: JSON in [
                    ["spec": ["unschedulable": true]], ["metadata": ["labels": ["a": "b"]]],
                    ["metadata": ["annotations": ["a": "b"]]],
                ] {
                    #expect(await patch("/api/v1/nodes/\(name)", change).code == 403)
                    #expect(await patch("/api/v1/nodes/\(name)/status", change).code == 403)
                }
            }
            #expect(await api.send(.get, "/api/v1/nodes", as: Self.worker).names == ["n1", "n2"])
            let ingress = "/apis/networking.k8s.io/v1/namespaces/default/ingresses/i"
            _ = await api.post(String(ingress.dropLast(2)), self.ingress("i"))
            let status: JSON = ["status": ["loadBalancer": ["ingress": [["ip": "192.0.2.1"]]]]]
            #expect(await patch(ingress, status).code == 403)
            #expect(await patch("\(ingress)/status", status).code == 200)
            // An annotation would name a Secret that it may read from then on.
            let annotation = "nginx.ingress.kubernetes.io/auth-secret"
            let named = await patch("\(ingress)/status", ["metadata": ["annotations": [annotation: "any"]]])
            #expect(named.code == 403)
            #expect(named.message.hasSuffix("the parts of a worker may change nothing but the status"))
            #expect(await api.get(ingress).json.annotations[annotation] == nil)
        }
    }

    @Test func aWorkerKeepsTheLeaseOfItsOwnEdgeAndNoOther() async throws {
        try await TestAPI.run { api in
            let leases = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"
            func lease(_ name: String) -> [UInt8] {
                let object: JSON = [
                    "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
                    "metadata": ["name": .string(name), "namespace": "kube-system"],
                    "spec": ["holderIdentity": "n1", "leaseDurationSeconds": 40],
                ]
                return object.encoded()
            }
            func code(_ method: HTTPRequest.Method, _ path: String, _ body: [UInt8] = []) async -> Int {
                await api.send(method, path, body, as: Self.worker).code
            }
            #expect(await code(.put, "\(leases)/martlet-edge-n1", lease("martlet-edge-n1")) == 201)
            #expect(await api.send(.get, leases, as: Self.worker).names == ["martlet-edge-n1"])
            for name in ["martlet-edge-n2", "kube-scheduler", "martlet-edge-"] {
                #expect(await code(.put, "\(leases)/\(name)", lease(name)) == 403, "\(name)")
            }
            #expect(await code(.post, leases, lease("martlet-edge-n1")) == 403, "a name in a body proves nothing")
            let nodes = leases.replacing("kube-system", with: "kube-node-lease")
            #expect(await code(.get, nodes) == 403)
            #expect(await code(.delete, leases) == 403)
            #expect(await code(.delete, "\(leases)/martlet-edge-n1") == 200)
        }
    }
}
