import MartletObject
import Synchronization
import Testing

@testable import MartletGateway

/// A cluster that is a list of objects.
private struct FakeFacts: ClusterFacts {
    var objects: [(kind: ResourceKind, object: JSON)] = []
    var verbs: Set<String> = []

    func get(_ kind: ResourceKind, namespace: String, name: String) async throws(APIError) -> JSON? {
        objects.first { $0.kind == kind && $0.object.namespace == namespace && $0.object.name == name }?.object
    }
    func list(
        _ kind: ResourceKind, namespace: String, where isWanted: (StoredObject) -> Bool
    ) async throws(APIError) -> [JSON] {
        objects.filter { $0.kind == kind && $0.object.namespace == namespace }.map(\.object)
            .filter { isWanted(StoredObject($0)) }
    }
    func decide(_ request: AccessRequest) async throws(APIError) -> Verdict {
        verbs.contains("\(request.verb) \(request.name)") ? .allowed(.master) : .refused("")
    }
    func random() -> UInt64 { 0 }
    func stamped(_ object: JSON) -> JSON { object }
}

/// Each rule of admission as a value.
@Suite struct AdmissionTests {
    private func named(_ name: String, _ more: JSON = [:], in namespace: String = "") -> JSON {
        var object = more
        object["metadata", "name"] = .string(name)
        if !namespace.isEmpty { object["metadata", "namespace"] = .string(namespace) }
        return object
    }

    /// The object as the plugin leaves it; the text of its refusal.
    private func admit(
        _ plugin: any AdmissionPlugin, _ kind: ResourceKind, _ object: JSON, old: JSON? = nil,
        subresource: String = "", facts: FakeFacts = FakeFacts()
    ) async -> Result<JSON, APIError> {
        let target = Target(
            kind: kind, namespace: kind.isNamespaced ? "a" : "", name: object.name, subresource: subresource)
        var review = AdmissionReview(
            operation: old == nil ? .create : .update, target: target,
            identity: Identity(user: "jane", groups: []), object: object, old: old)
        guard plugin.concerns(review) else { return .success(object) }
        do {
            try await plugin.admit(&review, facts)
            return .success(review.object)
        } catch {
            return .failure(error)
        }
    }

    private func refusal(_ result: Result<JSON, APIError>) -> String? {
        if case .failure(let error) = result { error.message } else { nil }
    }

    private let pod: JSON = [
        "metadata": ["name": "p", "namespace": "a"], "spec": ["containers": [["name": "c"]]],
    ]

    @Test func aPodHasAnAccountAndItsToken() async throws {
        let plugin = ServiceAccountAdmission()
        let refused = await admit(plugin, .pod, pod)
        #expect(
            refusal(refused)
                == "pods \"p\" is forbidden: error looking up service account a/default: serviceaccount \"default\" "
                + "not found")
        var facts = FakeFacts(objects: [
            (.serviceAccount, named("default", ["imagePullSecrets": [["name": "pull"]]], in: "a"))
        ])
        let admitted = try await admit(plugin, .pod, pod, facts: facts).get()
        #expect(admitted["spec", "serviceAccountName"] == "default")
        #expect(admitted["spec", "serviceAccount"] == "default")
        #expect(admitted["spec", "imagePullSecrets"] == [["name": "pull"]])
        #expect(admitted["spec", "volumes"]?[0]?["name"] == "kube-api-access-bbbbb")
        #expect(
            admitted["spec", "containers"]?[0]?["volumeMounts"]?[0]?["mountPath"]?.string
                == ServiceAccountAdmission.mountPath)
        // Who wants no token gets none: by the pod's word, then by the account's.
        var own = pod
        own["spec", "automountServiceAccountToken"] = false
        #expect(try await admit(plugin, .pod, own, facts: facts).get()["spec", "volumes"] == nil)
        facts.objects[0].object["automountServiceAccountToken"] = false
        #expect(try await admit(plugin, .pod, pod, facts: facts).get()["spec", "volumes"] == nil)
        own["spec", "automountServiceAccountToken"] = true
        #expect(try await admit(plugin, .pod, own, facts: facts).get()["spec", "volumes"] != nil)
        var mirror = pod
        mirror["metadata", "annotations", "kubernetes.io/config.mirror"] = "x"
        #expect(try await admit(plugin, .pod, mirror, facts: facts).get() == mirror)
        mirror["spec", "serviceAccountName"] = "default"
        #expect(
            refusal(await admit(plugin, .pod, mirror, facts: facts))?
                .hasSuffix("a mirror pod may not reference service accounts") == true)
    }

    @Test func aClassSaysAPodsPriority() async throws {
        let plugin = PriorityAdmission()
        let facts = FakeFacts(objects: [
            (.priorityClass, named("high", ["value": 1000, "preemptionPolicy": "Never"])),
            (.priorityClass, named("usual", ["value": 5, "globalDefault": true])),
        ])
        #expect(try await admit(plugin, .pod, pod).get()["spec", "priority"] == 0)
        let usual = try await admit(plugin, .pod, pod, facts: facts).get()
        #expect(usual["spec", "priority"] == 5)
        #expect(usual["spec", "priorityClassName"] == "usual")
        var high = pod
        high["spec", "priorityClassName"] = "high"
        let admitted = try await admit(plugin, .pod, high, facts: facts).get()
        #expect(admitted["spec", "priority"] == 1000)
        #expect(admitted["spec", "preemptionPolicy"] == "Never")
        high["spec", "priority"] = 7
        #expect(
            refusal(await admit(plugin, .pod, high, facts: facts))
                == "pods \"p\" is forbidden: the integer value of priority (7) must not be provided in pod spec; "
                + "priority admission controller computed 1000 from the given PriorityClass name")
        high["spec", "priorityClassName"] = "none"
        #expect(
            refusal(await admit(plugin, .pod, high, facts: facts))
                == "pods \"p\" is forbidden: no PriorityClass with name none was found")
        let second = named("second", ["value": 1, "globalDefault": true])
        #expect(
            refusal(await admit(plugin, .priorityClass, second, facts: facts))?
                .hasSuffix("PriorityClass usual is already marked as default. Only one default can exist") == true)
    }

    @Test func limitRangesFillInAndHold() async throws {
        let range = named(
            "l",
            [
                "spec": [
                    "limits": [
                        [
                            "type": "Container", "default": ["cpu": "1"], "defaultRequest": ["cpu": "100m"],
                            "min": ["memory": "10Mi"], "max": ["cpu": "2"], "maxLimitRequestRatio": ["cpu": "10"],
                        ]
                    ]
                ]
            ], in: "a")
        let facts = FakeFacts(objects: [(.limitRange, range)])
        var sized = pod
        sized["spec", "containers"] = [["name": "c", "resources": ["requests": ["memory": "20Mi"]]]]
        let admitted = try await admit(LimitRanger(), .pod, sized, facts: facts).get()
        #expect(
            admitted["spec", "containers"]?[0]?["resources"]
                == ["requests": ["memory": "20Mi", "cpu": "100m"], "limits": ["cpu": "1"]])
        #expect(
            admitted.annotations["kubernetes.io/limit-ranger"]
                == "LimitRanger plugin set: cpu request for container c; cpu limit for container c")
        sized["spec", "containers"] = [
            ["name": "c", "resources": ["requests": ["cpu": "100m", "memory": "1Mi"], "limits": ["cpu": "3"]]]
        ]
        #expect(
            refusal(await admit(LimitRanger(), .pod, sized, facts: facts))
                == "pods \"p\" is forbidden: [minimum memory usage per Container is 10Mi, but request is 1Mi, maximum "
                + "cpu usage per Container is 2, but limit is 3, cpu max limit to request ratio per Container is 10, "
                + "but provided ratio is 30.000000]")
    }

    @Test func claimsAndVolumesAreHeld() async throws {
        let plugin = StorageObjectInUseProtection()
        for (kind, finalizer) in [
            (ResourceKind.persistentVolumeClaim, "kubernetes.io/pvc-protection"),
            (.persistentVolume, "kubernetes.io/pv-protection"),
        ] {
            let object = named("x", ["metadata": ["finalizers": ["a/b"]]])
            let held = try await admit(plugin, kind, object).get()
            #expect(held["metadata", "finalizers"] == ["a/b", .string(finalizer)])
            #expect(try await admit(plugin, kind, held).get() == held)
            // Whoever has taken it off is not contradicted.
            #expect(try await admit(plugin, kind, object, old: held).get() == object)
        }
        #expect(AdmissionChain.standard.contains { $0.name == plugin.name })
    }

    @Test func defaultsOfClasses() async throws {
        let mark = "storageclass.kubernetes.io/is-default-class"
        func storage(_ name: String, _ time: String) -> JSON {
            named(name, ["metadata": ["annotations": JSON([mark: "true"]), "creationTimestamp": .string(time)]])
        }
        let facts = FakeFacts(objects: [
            (.storageClass, storage("old", "2026-01-01T00:00:00Z")),
            (.storageClass, storage("new", "2026-02-01T00:00:00Z")),
        ])
        let plugin = DefaultStorageClass()
        let claim = named("c", ["spec": [:]], in: "a")
        let admitted = try await admit(plugin, .persistentVolumeClaim, claim, facts: facts).get()
        #expect(admitted["spec", "storageClassName"] == "new")
        let none = named("c", ["spec": ["storageClassName": ""]], in: "a")
        #expect(try await admit(plugin, .persistentVolumeClaim, none, facts: facts).get() == none)

        let ingressMark: JSON = ["ingressclass.kubernetes.io/is-default-class": "true"]
        var classes = FakeFacts(objects: [(.ingressClass, named("m", ["metadata": ["annotations": ingressMark]]))])
        let ingress = named("i", ["spec": [:]], in: "a")
        #expect(
            try await admit(DefaultIngressClass(), .ingress, ingress, facts: classes).get()["spec", "ingressClassName"]
                == "m")
        classes.objects.append((.ingressClass, named("n", ["metadata": ["annotations": ingressMark]])))
        #expect(
            refusal(await admit(DefaultIngressClass(), .ingress, ingress, facts: classes))?
                .hasSuffix("2 default IngressClasses were found, only 1 allowed") == true)
    }

    @Test func aRuntimeClassCostsAndSteers() async throws {
        let facts = FakeFacts(objects: [
            (
                .runtimeClass,
                named("vm", ["overhead": ["podFixed": ["cpu": "1"]], "scheduling": ["nodeSelector": ["vm": "yes"]]])
            )
        ])
        var vm = pod
        vm["spec", "runtimeClassName"] = "vm"
        let admitted = try await admit(RuntimeClassAdmission(), .pod, vm, facts: facts).get()
        #expect(admitted["spec", "overhead"] == ["cpu": "1"])
        #expect(admitted["spec", "nodeSelector"] == ["vm": "yes"])
        vm["spec", "nodeSelector"] = ["vm": "no"]
        #expect(refusal(await admit(RuntimeClassAdmission(), .pod, vm, facts: facts)) != nil)
        #expect(refusal(await admit(RuntimeClassAdmission(), .pod, vm)) != nil)
    }

    @Test func signersAreAskedFor() async throws {
        let request = named("r", ["spec": ["signerName": "example.com/mine"]])
        let plugin = CertificateApproval()
        let kind = ResourceKind.certificateSigningRequest
        let refused = await admit(plugin, kind, request, old: request, subresource: "approval")
        #expect(
            refusal(refused)?.hasSuffix(
                "user not permitted to approve requests with signerName \"example.com/mine\"") == true)
        let facts = FakeFacts(verbs: ["approve example.com/*"])
        #expect(refusal(await admit(plugin, kind, request, old: request, subresource: "approval", facts: facts)) == nil)
    }

    @Test func aRequestSaysWhoMadeIt() async throws {
        let forged = named("r", ["spec": ["signerName": "a/b", "username": "admin", "groups": ["system:masters"]]])
        let admitted = try await admit(CertificateRequester(), .certificateSigningRequest, forged).get()
        #expect(admitted["spec"] == ["signerName": "a/b", "username": "jane"])
    }

    @Test func tolerationsAreAdded() async throws {
        var greedy = pod
        greedy["spec", "containers"] = [
            ["name": "c", "resources": ["requests": ["example.com/gpu": "1", "cpu": "1"]]]
        ]
        let admitted = try await admit(ExtendedResourceToleration(), .pod, greedy).get()
        #expect(admitted["spec", "tolerations"] == [["key": "example.com/gpu", "operator": "Exists"]])
        let patient = try await admit(DefaultTolerationSeconds(), .pod, pod).get()
        #expect(patient["spec", "tolerations"]?.array?.count == 2)
        #expect(try await admit(DefaultTolerationSeconds(), .pod, patient).get() == patient)
    }
}

/// Quotas, as values and through the API.
@Suite struct QuotaTests {
    private func charge(_ quota: JSON, old: JSON?, new: JSON?, kind: ResourceKind = .pod) throws -> JSON? {
        let target = Target(kind: kind, namespace: "a", name: "x", subresource: "")
        return try QuotaCharge(target: target, old: old, new: new).counted(quota)
    }

    private func pod(_ cpu: String, phase: String = "Pending") -> JSON {
        [
            "metadata": ["name": "p"],
            "spec": ["containers": [["name": "c", "resources": ["requests": ["cpu": .string(cpu)]]]]],
            "status": ["phase": .string(phase)],
        ]
    }

    private func quota(_ hard: [String: String], _ used: [String: String], scopes: JSON? = nil) -> JSON {
        var quota: JSON = ["metadata": ["name": "q"], "status": ["hard": JSON(hard), "used": JSON(used)]]
        quota["spec", "scopes"] = scopes
        return quota
    }

    @Test func useIsCountedAndGivenBack() throws {
        let start = quota(["pods": "2", "cpu": "1"], ["pods": "0", "cpu": "0"])
        let one = try #require(try charge(start, old: nil, new: pod("600m")))
        #expect(one["status", "used"] == ["pods": "1", "cpu": "600m"])
        #expect(throws: APIError.self) { try charge(one, old: nil, new: pod("600m")) }
        do { _ = try charge(one, old: nil, new: pod("600m")) } catch let error as APIError {
            #expect(
                error.message
                    == "pods \"p\" is forbidden: exceeded quota: q, requested: cpu=600m, used: cpu=600m, limited: cpu=1"
            )
        }
        // A pod that has ended uses nothing, and one that goes then has nothing to give back.
        let ended = try #require(try charge(one, old: pod("600m"), new: pod("600m", phase: "Succeeded")))
        #expect(ended["status", "used"] == ["pods": "0", "cpu": "0"])
        #expect(try charge(ended, old: pod("600m", phase: "Succeeded"), new: nil) == nil)
        #expect(try charge(one, old: pod("600m"), new: nil)?["status", "used"] == ["pods": "0", "cpu": "0"])
        // Nothing that a quota does not name concerns it.
        #expect(try charge(start, old: nil, new: ["metadata": ["name": "x"]], kind: .configMap) == nil)
        #expect(
            try charge(
                quota(["count/configmaps": "1"], ["count/configmaps": "0"]), old: nil, new: [:], kind: .configMap)?[
                    "status", "used", "count/configmaps"] == "1")
    }

    @Test func whatIsCountedMustBeSaid() throws {
        let quota = quota(["limits.memory": "1Gi"], ["limits.memory": "0"])
        do {
            _ = try charge(quota, old: nil, new: pod("1"))
            Issue.record("a pod must say its limit")
        } catch let error as APIError {
            #expect(error.message.hasSuffix("failed quota: q: must specify limits.memory for: c"))
        }
    }

    @Test func scopesChoosePods() throws {
        let quota = quota(["pods": "1"], ["pods": "0"], scopes: ["BestEffort"])
        #expect(try charge(quota, old: nil, new: pod("1")) == nil)
        #expect(try charge(quota, old: nil, new: ["spec": ["containers": [["name": "c"]]]]) != nil)
    }

    @Test func aQuotaCountsWhatIsThere() async throws {
        try await TestAPI.run { api in
            let quotas = "/api/v1/namespaces/default/resourcequotas"
            #expect(await api.post(Paths.configMaps, Samples.configMap("one")).code == 201)
            let made = await api.post(
                quotas, ["metadata": ["name": "q"], "spec": ["hard": ["count/configmaps": "3", "pods": "1"]]])
            #expect(made.json["status", "used"] == ["count/configmaps": "1", "pods": "0"])
            // Many writers at once never have more together than the quota lets through.
            let codes = await withTaskGroup(of: Int.self) { group in
                for index in 0..<8 {
                    group.addTask { await api.post(Paths.configMaps, Samples.configMap("c\(index)")).code }
                }
                return await group.reduce(into: [Int: Int]()) { $0[$1, default: 0] += 1 }
            }
            #expect(codes[201] == 2)
            #expect(codes[201, default: 0] + codes[403, default: 0] == 8)
            #expect(await api.delete("\(Paths.configMaps)/one").code == 200)
            #expect(await api.get("\(quotas)/q").json["status", "used", "count/configmaps"] == "2")
            #expect(await api.post(Paths.configMaps, Samples.configMap("two")).code == 201)
            let patched = await api.patch("\(quotas)/q", ["spec": ["hard": ["services": "5"]]])
            #expect(patched.json["status", "used", "services"] == "1")
        }
    }
}
