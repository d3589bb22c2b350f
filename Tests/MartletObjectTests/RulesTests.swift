import MartletBase
import MartletObject
import Testing

/// An object as the gateway makes it of what a user sends.
func admitted(_ text: String, _ kind: ResourceKind) throws -> JSON {
    var (object, _) = try Schema.conform(json(text), to: kind)
    Defaults.apply(to: &object, kind: kind)
    return object
}

@Suite struct DefaultsTests {
    @Test func aDeploymentIsFilledIn() throws {
        let object = try admitted(
            """
            {"metadata":{"name":"web"},"spec":{"selector":{"matchLabels":{"a":"b"}},"template":{"spec":{"containers":[
            {"name":"c","image":"nginx","ports":[{"containerPort":80}],"livenessProbe":{"httpGet":{"port":80}}}]}}}}
            """, .deployment)
        let expected = """
            {"metadata":{"name":"web"},"spec":{"replicas":1,"selector":{"matchLabels":{"a":"b"}},"template":{"spec":{
            "containers":[{"name":"c","image":"nginx","ports":[{"containerPort":80,"protocol":"TCP"}],"resources":{},
            "livenessProbe":{"httpGet":{"path":"/","port":80,"scheme":"HTTP"},"timeoutSeconds":1,"periodSeconds":10,
            "successThreshold":1,"failureThreshold":3},"terminationMessagePath":"/dev/termination-log",
            "terminationMessagePolicy":"File","imagePullPolicy":"Always"}],"restartPolicy":"Always",
            "terminationGracePeriodSeconds":30,"dnsPolicy":"ClusterFirst","securityContext":{},
            "schedulerName":"default-scheduler"}},"strategy":{"type":"RollingUpdate","rollingUpdate":{
            "maxUnavailable":"25%","maxSurge":"25%"}},"revisionHistoryLimit":10,"progressDeadlineSeconds":600}}
            """
        #expect(object == (try json(expected)))
        var again = object
        Defaults.apply(to: &again, kind: .deployment)
        #expect(again == object)
    }

    @Test(arguments: [
        ("nginx", "Always"), ("nginx:latest", "Always"), ("nginx:1.2", "IfNotPresent"), ("host:5000/nginx", "Always"),
        ("host:5000/nginx:1", "IfNotPresent"), ("nginx@sha256:abc", "IfNotPresent"),
    ])
    func theTagTellsWhenToPull(image: String, policy: String) throws {
        let pod = try admitted(#"{"spec":{"containers":[{"image":"\#(image)"}]}}"#, .pod)
        #expect(pod["spec", "containers"]?[0]?["imagePullPolicy"]?.string == policy)
    }

    @Test(arguments: [
        ("{}", "BestEffort"), (#"{"requests":{"cpu":"1"}}"#, "Burstable"), (#"{"limits":{"cpu":"1"}}"#, "Burstable"),
        (#"{"limits":{"cpu":"1","memory":"1Gi"}}"#, "Guaranteed"),
        (#"{"limits":{"cpu":"1","memory":"1Gi"},"requests":{"cpu":"500m"}}"#, "Burstable"),
    ])
    func podsGetAPhaseAClassAndRequests(resources: String, qosClass: String) throws {
        let pod = try admitted(#"{"spec":{"containers":[{"resources":\#(resources)}],"volumes":[{"name":"v"}]}}"#, .pod)
        #expect(pod["status"] == ["phase": "Pending", "qosClass": .string(qosClass)])
        #expect(pod["spec", "enableServiceLinks"] == true)
        #expect(pod["spec", "volumes"] == [["name": "v", "emptyDir": [:]]])
        let granted = pod["spec", "containers"]?[0]?["resources"]
        for name in ["cpu", "memory"] where granted?["limits"]?[name] != nil {
            #expect(granted?["requests"]?[name] != nil)
        }
    }

    @Test func servicesSecretsAndNamespacesAreFilledIn() throws {
        let service = try admitted(#"{"spec":{"ports":[{"port":80},{"port":81,"targetPort":"x"}]}}"#, .service)
        #expect(
            service["spec"] == [
                "ports": [
                    ["protocol": "TCP", "port": 80, "targetPort": 80],
                    ["protocol": "TCP", "port": 81, "targetPort": "x"],
                ], "type": "ClusterIP", "sessionAffinity": "None", "internalTrafficPolicy": "Cluster",
            ])
        let secret = try admitted(#"{"data":{"z":"eA=="},"stringData":{"a":"hi","z":"y"}}"#, .secret)
        #expect(secret == ["data": ["a": "aGk=", "z": "eQ=="], "type": "Opaque"])
        let namespace = try admitted(#"{"metadata":{"name":"n","labels":{"z":"1"}}}"#, .namespace)
        #expect(namespace.labels == ["kubernetes.io/metadata.name": "n", "z": "1"])
        #expect(namespace["spec"] == ["finalizers": ["kubernetes"]])
        #expect(namespace["status", "phase"] == "Active")
    }

    @Test func anEndingNamespaceKeepsItsFinalizersGone() throws {
        let namespace = try admitted(
            #"{"metadata":{"name":"n","deletionTimestamp":"2026-01-01T00:00:00Z"},"spec":{}}"#, .namespace)
        #expect(namespace["spec"] == [:])
    }
}

@Suite struct ValidationTests {
    static let pod = """
        {"metadata":{"name":"p"},"spec":{"volumes":[{"name":"v"}],"containers":[{"name":"c","image":"i:1",
        "volumeMounts":[{"name":"v","mountPath":"/v"}],"ports":[{"containerPort":80}]}]}}
        """

    static let service = #"{"metadata":{"name":"s"},"spec":{"selector":{"a":"b"},"ports":[{"port":80}]}}"#
    static let ingress = """
        {"metadata":{"name":"i"},"spec":{"rules":[{"host":"a.test","http":{"paths":[{"path":"/","pathType":"Prefix",
        "backend":{"service":{"name":"s","port":{"number":80}}}}]}}]}}
        """
    static let deployment = """
        {"metadata":{"name":"d"},"spec":{"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":
        {"a":"b"}},"spec":{"containers":[{"name":"c","image":"i"}]}}}}
        """

    /// The faults after a JSON patch on a good object.
    private func faults(_ good: String, _ patch: String, _ kind: ResourceKind) throws -> [String] {
        let object = try Patch.apply(json(patch), type: .json, to: json(good), kind: kind)
        return Validation.create(
            try admitted(String(decoding: object.encoded(), as: UTF8.self), kind), kind: kind
        ).map(\.description)
    }

    @Test func goodObjectsHaveNoFaults() throws {
        #expect(try faults(Self.pod, "[]", .pod) == [])
        #expect(try faults(Self.service, "[]", .service) == [])
        #expect(try faults(Self.ingress, "[]", .ingress) == [])
        #expect(try faults(Self.deployment, "[]", .deployment) == [])
    }

    @Test(arguments: [
        (
            #"{"op":"replace","path":"/metadata/name","value":"A_b"}"#,
            "metadata.name: Invalid value: \"A_b\": a lowercase RFC 1123 subdomain must consist of lower case "
                + "alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. "
                + "'example.com', regex used for validation is "
                + "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
        ),
        (
            #"{"op":"remove","path":"/metadata/name"}"#,
            "metadata.name: Required value: name or generateName is required"
        ),
        (#"{"op":"add","path":"/spec/containers","value":[]}"#, "spec.containers: Required value"),
        (#"{"op":"remove","path":"/spec/containers/0/name"}"#, "spec.containers[0].name: Required value"),
        (#"{"op":"remove","path":"/spec/containers/0/image"}"#, "spec.containers[0].image: Required value"),
        (
            #"{"op":"add","path":"/spec/initContainers","value":[{"name":"c","image":"x"}]}"#,
            "spec.containers[0].name: Duplicate value: \"c\""
        ),
        (
            #"{"op":"replace","path":"/spec/containers/0/ports/0/containerPort","value":70000}"#,
            "spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive"
        ),
        (
            #"{"op":"replace","path":"/spec/containers/0/volumeMounts/0/name","value":"x"}"#,
            "spec.containers[0].volumeMounts[0].name: Not found: \"x\""
        ),
        (
            #"{"op":"add","path":"/spec/containers/0/imagePullPolicy","value":"Sometimes"}"#,
            "spec.containers[0].imagePullPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", "
                + "\"IfNotPresent\", \"Never\""
        ),
        (
            #"{"op":"add","path":"/spec/restartPolicy","value":"x"}"#,
            "spec.restartPolicy: Unsupported value: \"x\": supported values: \"Always\", \"Never\", \"OnFailure\""
        ),
        (
            #"{"op":"add","path":"/spec/containers/0/resources","value":{"limits":{"cpu":"1"},"requests":{"cpu":2}}}"#,
            "spec.containers[0].resources.requests: Invalid value: \"2\": must be less than or equal to cpu limit of 1"
        ),
        (
            #"{"op":"add","path":"/spec/containers/0/resources","value":{"requests":{"gpu":"1"}}}"#,
            "spec.containers[0].resources.requests[gpu]: Invalid value: \"gpu\": must be a standard resource for "
                + "containers"
        ),
        (
            #"{"op":"add","path":"/spec/containers/0/livenessProbe","value":{}}"#,
            "spec.containers[0].livenessProbe: Required value: must specify a handler type"
        ),
        (
            #"{"op":"add","path":"/spec/containers/0/lifecycle","value":{"preStop":{"exec":{"command":["a"]},"#
                + #""sleep":{}}}}"#,
            "spec.containers[0].lifecycle.preStop.sleep: Forbidden: may not specify more than 1 handler type"
        ),
        (
            #"{"op":"add","path":"/spec/containers/0/env","value":[{"name":"a=b"}]}"#,
            "spec.containers[0].env[0].name: Invalid value: \"a=b\": a valid environment variable name must consist "
                + "only of printable ASCII characters other than '='"
        ),
        (
            #"{"op":"add","path":"/spec/volumes/0/secret","value":{}}"#,
            "spec.volumes[0].secret.secretName: Required value"
        ),
        (
            #"{"op":"add","path":"/metadata/labels","value":{"a":"b c"}}"#,
            "metadata.labels: Invalid value: \"b c\": a valid label must be an empty string or consist of alphanumeric "
                + "characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. "
                + "'MyValue',  or 'my_value',  or '12345', regex used for validation is "
                + "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
        ),
        (
            #"{"op":"add","path":"/spec/terminationGracePeriodSeconds","value":-1}"#,
            "spec.terminationGracePeriodSeconds: Invalid value: -1: must be greater than or equal to 0"
        ),
        (
            #"{"op":"add","path":"/spec/volumes/-","value":{"name":"s","secret":{"secretName":"s","#
                + #""items":[{"key":"k","path":"../x"}]}}}"#,
            "spec.volumes[1].secret.items[0].path: Invalid value: \"../x\": must not contain '..'"
        ),
        (
            #"{"op":"add","path":"/spec/volumes/-","value":{"name":"s","configMap":{"name":"s","#
                + #""items":[{"key":"k","path":"/x"}]}}}"#,
            "spec.volumes[1].configMap.items[0].path: Invalid value: \"/x\": must be a relative path"
        ),
        (
            #"{"op":"add","path":"/spec/volumes/-","value":{"name":"s","secret":{"secretName":"s","#
                + #""items":[{"key":"k","path":"..x"}]}}}"#,
            "spec.volumes[1].secret.items[0].path: Invalid value: \"..x\": must not start with '..'"
        ),
        (
            #"{"op":"add","path":"/spec/volumes/-","value":{"name":"s","secret":{"secretName":"s","defaultMode":9999}}}"#,
            "spec.volumes[1].secret.defaultMode: Invalid value: 9999: must be a number between 0 and 0777 (octal), "
                + "both inclusive"
        ),
        (
            #"{"op":"add","path":"/spec/volumes/-","value":{"name":"t","projected":{"sources":[{"#
                + #""serviceAccountToken":{"path":"t","expirationSeconds":5}}]}}}"#,
            "spec.volumes[1].projected.sources[0].serviceAccountToken.expirationSeconds: Invalid value: 5: may not "
                + "specify a duration less than 10 minutes"
        ),
        (
            #"{"op":"add","path":"/spec/volumes/-","value":{"name":"h","hostPath":{"path":"/a/../etc"}}}"#,
            "spec.volumes[1].hostPath.path: Invalid value: \"/a/../etc\": must not contain '..'"
        ),
        (
            #"{"op":"add","path":"/spec/volumes/-","value":{"name":"e","ephemeral":{}}}"#,
            "spec.volumes[1].ephemeral.volumeClaimTemplate: Required value"
        ),
        (
            #"{"op":"add","path":"/spec/hostAliases","value":[{"ip":"1.2.3.4 evil\n","hostnames":["a"]}]}"#,
            "spec.hostAliases[0].ip: Invalid value: \"1.2.3.4 evil\\n\": must be a valid IP address, (e.g. 10.9.8.7 or "
                + "2001:db8::ffff)"
        ),
        (
            #"{"op":"add","path":"/spec/containers/0/securityContext","value":{"privileged":true,"#
                + #""allowPrivilegeEscalation":false}}"#,
            "spec.containers[0].securityContext: Invalid value: {\"privileged\":true,\"allowPrivilegeEscalation\":false}"
                + ": cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
        ),
        (
            #"{"op":"add","path":"/spec/securityContext","value":{"supplementalGroups":[-1]}}"#,
            "spec.securityContext.supplementalGroups[0]: Invalid value: -1: must be between 0 and 2147483647, inclusive"
        ),
        (
            #"{"op":"add","path":"/spec/securityContext","value":{"seccompProfile":{"type":"Localhost"}}}"#,
            "spec.securityContext.seccompProfile.localhostProfile: Required value: must be set when seccomp type is "
                + "Localhost"
        ),
        (
            #"{"op":"add","path":"/spec/affinity","value":{"nodeAffinity":{"#
                + #""requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[]}}}}"#,
            "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms: Required "
                + "value: must have at least one node selector term"
        ),
        (
            #"{"op":"add","path":"/spec/affinity","value":{"podAntiAffinity":{"#
                + #""requiredDuringSchedulingIgnoredDuringExecution":[{"topologyKey":""}]}}}"#,
            "spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey: Required "
                + "value: can not be empty"
        ),
        (
            #"{"op":"add","path":"/spec/containers/0/env","value":[{"name":"A","valueFrom":{"fieldRef":{"#
                + #""fieldPath":"metadata.foo"}}}]}"#,
            "spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Invalid value: \"metadata.foo\": error converting "
                + "fieldPath: field label not supported: metadata.foo"
        ),
        (
            #"{"op":"add","path":"/spec/dnsConfig","value":{"nameservers":["a"]}}"#,
            "spec.dnsConfig.nameservers[0]: Invalid value: \"a\": must be a valid IP address, (e.g. 10.9.8.7 or "
                + "2001:db8::ffff)"
        ),
        (
            #"{"op":"add","path":"/metadata/ownerReferences","value":[{"apiVersion":"v1","kind":"Event","#
                + #""name":"e","uid":"u"}]}"#,
            "metadata.ownerReferences[0]: Invalid value: {\"apiVersion\":\"v1\",\"kind\":\"Event\",\"name\":\"e\","
                + "\"uid\":\"u\"}: /v1, Kind=Event is disallowed from being an owner"
        ),
        (
            #"{"op":"add","path":"/spec/schedulingGates","value":[{"name":"a"}]},"#
                + #"{"op":"add","path":"/spec/nodeName","value":"n"}"#,
            "spec.nodeName: Forbidden: cannot be set until all schedulingGates have been cleared"
        ),
    ])
    func podFaultsAreNamed(patch: String, fault: String) throws {
        #expect(try faults(Self.pod, "[\(patch)]", .pod) == [fault])
    }

    @Test func whatWasDecidedAboutARequestStaysDecided() throws {
        func request(_ types: String..., certificate: String? = nil) -> JSON {
            let conditions = types.map { type -> JSON in ["type": .string(type), "status": "True"] }
            var object: JSON = ["metadata": ["name": "r"], "status": ["conditions": .array(conditions)]]
            object["status", "certificate"] = certificate.map { .string(Base64.encode($0.utf8)) }
            return object
        }
        func faults(_ object: JSON, _ old: JSON) -> [String] {
            Validation.status(object, from: old, kind: .certificateSigningRequest).map(\.description)
        }
        #expect(faults(request("Approved"), request()) == [])
        #expect(
            faults(request("Approved"), request("Denied")) == [
                "status.conditions: Forbidden: updates may not remove a condition of type \"Denied\""
            ])
        #expect(
            faults(request("Denied", "Approved"), request("Denied")) == [
                "status.conditions[1].type: Invalid value: \"Approved\": Approved and Denied conditions are mutually "
                    + "exclusive"
            ])
        #expect(
            faults(request("Denied", "Denied"), request("Denied")) == [
                "status.conditions[1].type: Duplicate value: \"Denied\""
            ])
        #expect(
            faults(request("Approved", certificate: "junk"), request("Approved")) == [
                "status.certificate: Invalid value: \"<certificate data>\": must contain at least one CERTIFICATE PEM "
                    + "block"
            ])
    }

    @Test func aNamespacesPhaseFollowsFromItsDeletion() throws {
        let old = try admitted(#"{"metadata":{"name":"default"}}"#, .namespace)
        #expect(Validation.status(old, from: old, kind: .namespace) == [])
        var bricked = old
        bricked["status", "phase"] = "Terminating"
        #expect(
            Validation.status(bricked, from: old, kind: .namespace).map(\.description) == [
                "status.Phase: Invalid value: \"Terminating\": may only be 'Active' if `deletionTimestamp` is empty"
            ])
    }

    @Test(arguments: [
        (#"{"op":"remove","path":"/spec/selector"}"#, "spec.selector: Required value"),
        (
            #"{"op":"replace","path":"/spec/selector","value":{}}"#,
            "spec.selector: Invalid value: {}: empty selector is invalid for deployment"
        ),
        (
            #"{"op":"replace","path":"/spec/template/metadata/labels","value":{"x":"y"}}"#,
            "spec.template.metadata.labels: Invalid value: {\"x\":\"y\"}: `selector` does not match template `labels`"
        ),
        (
            #"{"op":"add","path":"/spec/replicas","value":-1}"#,
            "spec.replicas: Invalid value: -1: must be greater than or equal to 0"
        ),
        (
            #"{"op":"add","path":"/spec/template/spec/restartPolicy","value":"Never"}"#,
            "spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\""
        ),
        (
            #"{"op":"add","path":"/spec/strategy","value":{"rollingUpdate":{"maxSurge":0,"maxUnavailable":"0%"}}}"#,
            "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: \"0%\": may not be 0 when `maxSurge` is 0"
        ),
        (
            #"{"op":"add","path":"/spec/strategy","value":{"type":"x"}}"#,
            "spec.strategy.type: Unsupported value: \"x\": supported values: \"Recreate\", \"RollingUpdate\""
        ),
    ])
    func deploymentFaultsAreNamed(patch: String, fault: String) throws {
        #expect(try faults(Self.deployment, "[\(patch)]", .deployment) == [fault])
    }

    @Test(arguments: [
        (
            #"{"op":"replace","path":"/metadata/name","value":"1a"}"#, ResourceKind.service,
            "metadata.name: Invalid value: \"1a\": a DNS-1035 label must consist of lower case alphanumeric characters "
                + "or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. "
                + "'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
        ),
        (#"{"op":"remove","path":"/spec/ports"}"#, .service, "spec.ports: Required value"),
        (
            #"{"op":"replace","path":"/spec/ports/0","value":{"port":0,"targetPort":80}}"#, .service,
            "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive"
        ),
        (
            #"{"op":"replace","path":"/spec/ports/0","value":{"port":80,"targetPort":"Web"}}"#, .service,
            "spec.ports[0].targetPort: Invalid value: \"Web\": must contain only alpha-numeric characters (a-z, 0-9), "
                + "and hyphens (-)"
        ),
        (
            #"{"op":"add","path":"/spec/type","value":"X"}"#, .service,
            "spec.type: Unsupported value: \"X\": supported values: \"ClusterIP\", \"ExternalName\", \"LoadBalancer\", "
                + "\"NodePort\""
        ),
        (
            #"{"op":"remove","path":"/spec/rules/0/http/paths/0/pathType"}"#, .ingress,
            "spec.rules[0].http.paths[0].pathType: Required value: pathType must be specified"
        ),
        (
            #"{"op":"replace","path":"/spec/rules/0/host","value":"10.0.0.1"}"#, .ingress,
            "spec.rules[0].host: Invalid value: \"10.0.0.1\": must be a DNS name, not an IP address"
        ),
        (
            #"{"op":"replace","path":"/spec/rules/0/http/paths/0/path","value":"x"}"#, .ingress,
            "spec.rules[0].http.paths[0].path: Invalid value: \"x\": must be an absolute path"
        ),
        (
            #"{"op":"remove","path":"/spec/rules/0/http/paths/0/backend/service/port"}"#, .ingress,
            "spec.rules[0].http.paths[0].backend: Required value: port name or number is required"
        ),
        (
            #"{"op":"replace","path":"/spec/rules","value":[]}"#, .ingress,
            "spec: Invalid value: {\"rules\":[]}: either `defaultBackend` or `rules` must be specified"
        ),
    ])
    func serviceAndIngressFaultsAreNamed(patch: String, kind: ResourceKind, fault: String) throws {
        #expect(try faults(kind == .service ? Self.service : Self.ingress, "[\(patch)]", kind) == [fault])
    }

    @Test func otherKindsHaveRulesToo() throws {
        let tell = { (text: String, kind: ResourceKind) in
            Validation.create(try admitted(text, kind), kind: kind).map(\.description)
        }
        #expect(
            try tell(#"{"metadata":{"name":"a.b"}}"#, .namespace).first?.hasPrefix(
                "metadata.name: Invalid value: \"a.b\"")
                == true)
        #expect(
            try tell(#"{"metadata":{"name":"t"},"type":"kubernetes.io/tls","data":{"tls.crt":""}}"#, .secret)
                == ["data[tls.key]: Required value"])
        #expect(try tell(#"{"metadata":{"name":"c"},"data":{"a b":"x"}}"#, .configMap).count == 1)
        #expect(
            try tell(#"{"metadata":{"name":"l"},"spec":{"leaseDurationSeconds":0}}"#, .lease)
                == ["spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0"])
        #expect(
            try tell(
                #"{"metadata":{"name":"e"},"addressType":"IPv4","endpoints":[{"addresses":["x"]}]}"#, .endpointSlice)
                == ["endpoints[0].addresses[0]: Invalid value: \"x\": must be a valid IPv4 address"])
        #expect(
            try tell(#"{"metadata":{"name":"c"},"spec":{"controller":"x"}}"#, .ingressClass)
                == ["spec.controller: Invalid value: \"x\": must be a domain-prefixed path (such as \"acme.io/foo\")"])
        #expect(
            try tell(
                #"{"metadata":{"name":"e","namespace":"a"},"involvedObject":{"namespace":"b"}}"#, .event)
                == ["involvedObject.namespace: Invalid value: \"b\": does not match event.namespace"])
    }

    private func change(_ good: String, _ patch: String, _ kind: ResourceKind) throws -> [String] {
        let old = try admitted(good, kind)
        let new = try Patch.apply(json("[\(patch)]"), type: .json, to: old, kind: kind)
        return Validation.update(new, from: old, kind: kind).map(\.description)
    }

    @Test func whatMayChangeChanges() throws {
        #expect(try change(Self.pod, #"{"op":"replace","path":"/spec/containers/0/image","value":"j:2"}"#, .pod) == [])
        #expect(
            try change(Self.pod, #"{"op":"add","path":"/spec/tolerations","value":[{"operator":"Exists"}]}"#, .pod)
                == [])
        #expect(try change(Self.deployment, #"{"op":"replace","path":"/spec/replicas","value":5}"#, .deployment) == [])
    }

    @Test(arguments: [
        (
            pod, #"{"op":"add","path":"/spec/nodeName","value":"n"}"#, ResourceKind.pod,
            "spec: Forbidden: pod updates may not change fields other than"
        ),
        (
            pod, #"{"op":"replace","path":"/metadata/name","value":"q"}"#, .pod,
            "metadata.name: Invalid value: \"q\": field is immutable"
        ),
        (
            deployment, #"{"op":"replace","path":"/spec/selector/matchLabels","value":{"a":"b","c":"d"}}"#, .deployment,
            "spec.selector: Invalid value: {\"matchLabels\":{\"a\":\"b\",\"c\":\"d\"}}: field is immutable"
        ),
        (
            #"{"metadata":{"name":"s"},"type":"x"}"#, #"{"op":"replace","path":"/type","value":"y"}"#, .secret,
            "type: Invalid value: \"y\": field is immutable"
        ),
        (
            #"{"metadata":{"name":"s"},"immutable":true,"data":{"a":""}}"#, #"{"op":"remove","path":"/data/a"}"#,
            .configMap,
            "data: Forbidden: field is immutable when `immutable` is set"
        ),
        (
            #"{"metadata":{"name":"s"},"spec":{"clusterIP":"10.0.0.1","ports":[{"port":1}]}}"#,
            #"{"op":"replace","path":"/spec/clusterIP","value":"10.0.0.2"}"#, .service,
            "spec.clusterIPs[0]: Invalid value: [\"10.0.0.2\"]: may not change once set"
        ),
    ])
    func whatMustNotChangeIsRefused(good: String, patch: String, kind: ResourceKind, fault: String) throws {
        let faults = try change(good, patch, kind)
        #expect(faults.contains { $0.hasPrefix(fault) }, "\(faults)")
    }

    @Test(arguments: [
        ("10.0.0.1", true), ("256.1.1.1", false), ("1.2.3", false), ("01.2.3.4", false), ("1.2.3.4.", false),
    ])
    func IPv4AddressesAreKnown(text: String, isAddress: Bool) { #expect(Names.isIPv4(text) == isAddress) }

    @Test(arguments: [
        ("::", true), ("::1", true), ("2001:db8::ffff", true), ("1:2:3:4:5:6:7:8", true), ("1:2:3:4:5:6:7", false),
        ("1::2::3", false), ("::ffff:1.2.3.4", true), (":1", false), ("1:", false), ("fe80::", true),
        ("12345::", false),
        ("1:2:3:4:5:6:7:8:9", false), (":::", false), ("g::", false),
    ])
    func IPv6AddressesAreKnown(text: String, isAddress: Bool) { #expect(Names.isIPv6(text) == isAddress) }
}
