import MartletBase
import MartletObject
import Testing

@Suite struct TableTests {
    static let now = WallTime(seconds: 1_800_000_000)

    private func ago(_ seconds: Int64) -> String { WallTime(seconds: Self.now.seconds - seconds).rfc3339 }

    @Test(
        arguments: [
            (-5, "<invalid>"), (-1, "0s"), (0, "0s"), (119, "119s"), (120, "2m"), (200, "3m20s"), (600, "10m"),
            (10_799, "179m"),
            (10_800, "3h"), (11_700, "3h15m"), (28_800, "8h"), (172_799, "47h"), (172_800, "2d"), (187_200, "2d4h"),
            (700_000, "8d"), (60_000_000, "694d"), (63_072_000, "2y"), (70_000_000, "2y80d"), (300_000_000, "9y"),
        ] as [(Int, String)])
    func durationsAreSaidAsPeopleSayThem(seconds: Int, text: String) {
        #expect(Table.humanDuration(.seconds(seconds)) == text)
    }

    @Test func everyKindHasAsManyCellsAsColumns() {
        for kind in ResourceKind.all {
            let columns = Table.columns(of: kind)
            #expect(columns.count == Table.cells(of: [:], kind: kind, now: Self.now).count, "\(kind.plural)")
            #expect(columns.allSatisfy { !$0.about.isEmpty && ($0.format == "name") == ($0.name == "Name") })
            // Beside the name and when it was made there is something to tell of most kinds.
            let few = [
                "bindings", "limitranges", "roles", "clusterroles", "backendtlspolicies", "referencegrants",
                "customresourcedefinitions",
            ]
            #expect(columns.count > 2 || kind.verbs == ["create"] || few.contains(kind.plural), "\(kind.plural)")
        }
        let other = ResourceKind(
            group: "x", version: "v1", kind: "Y", plural: "ys", singular: "y", isNamespaced: false)
        #expect(Table.columns(of: other).map(\.name) == ["Name", "Created At"])
        #expect(Table.cells(of: ["metadata": ["name": "a"]], kind: other, now: Self.now) == ["a", nil])
    }

    static let running: JSON = ["name": "a", "ready": true, "state": ["running": [:]], "restartCount": 0]

    @Test(
        arguments: [
            (["phase": "Running", "containerStatuses": [running]], "1/2", "Running"),
            (["phase": "Pending"], "0/2", "Pending"),
            (
                [
                    "phase": "Running",
                    "containerStatuses": [running, ["state": ["waiting": ["reason": "CrashLoopBackOff"]]]],
                ],
                "1/2", "CrashLoopBackOff"
            ),
            (
                ["phase": "Succeeded", "containerStatuses": [["state": ["terminated": ["reason": "Completed"]]]]],
                "0/2", "Completed"
            ),
            (
                ["phase": "Failed", "containerStatuses": [["state": ["terminated": ["exitCode": 3]]]]], "0/2",
                "ExitCode:3"
            ),
            (["phase": "Failed", "containerStatuses": [["state": ["terminated": ["signal": 9]]]]], "0/2", "Signal:9"),
            (["phase": "Failed", "reason": "Evicted"], "0/2", "Evicted"),
            (
                ["phase": "Pending", "initContainerStatuses": [["name": "i", "state": ["running": [:]]]]], "0/2",
                "Init:0/1"
            ),
            (
                [
                    "phase": "Pending",
                    "initContainerStatuses": [["name": "i", "state": ["waiting": ["reason": "ImagePullBackOff"]]]],
                ], "0/2", "Init:ImagePullBackOff"
            ),
            (
                [
                    "phase": "Running",
                    "containerStatuses": [["state": ["terminated": ["reason": "Completed"]]], running],
                    "conditions": [["type": "Ready", "status": "False"]],
                ], "1/2", "NotReady"
            ),
            (
                ["phase": "Pending", "conditions": [["type": "PodScheduled", "reason": "SchedulingGated"]]], "0/2",
                "SchedulingGated"
            ),
        ] as [(JSON, String, String)])
    func aPodsStateIsSummedUp(status: JSON, ready: String, state: String) {
        let pod: JSON = [
            "metadata": ["name": "p"],
            "spec": ["containers": [["name": "a"], ["name": "b"]], "initContainers": [["name": "i"]]], "status": status,
        ]
        let cells = Table.cells(of: pod, kind: .pod, now: Self.now)
        #expect(cells[0] == "p" && cells[1].string == ready && cells[2].string == state, "\(cells)")
    }

    @Test func aPodsRestartsSidecarsAndPlacesAreShown() {
        var pod: JSON = [
            "metadata": ["name": "p", "creationTimestamp": .string(ago(300))],
            "spec": [
                "containers": [["name": "a"]], "initContainers": [["name": "s", "restartPolicy": "Always"]],
                "nodeName": "n1", "readinessGates": [["conditionType": "x"]],
            ],
            "status": [
                "phase": "Running", "podIP": "10.0.0.1",
                "conditions": [["type": "x", "status": "True"]],
                "initContainerStatuses": [
                    ["name": "s", "started": true, "ready": true, "restartCount": 1, "state": ["running": [:]]]
                ],
                "containerStatuses": [
                    [
                        "name": "a", "ready": true, "restartCount": 2, "state": ["running": [:]],
                        "lastState": ["terminated": ["finishedAt": .string(ago(300))]],
                    ]
                ],
            ],
        ]
        #expect(
            Table.cells(of: pod, kind: .pod, now: Self.now)
                == ["p", "2/2", "Running", "3 (5m ago)", "5m", "10.0.0.1", "n1", "<none>", "1/1"])
        pod["metadata", "deletionTimestamp"] = "2026-01-01T00:00:00Z"
        #expect(Table.cells(of: pod, kind: .pod, now: Self.now)[2] == "Terminating")
        pod["status", "phase"] = "Succeeded"
        #expect(Table.cells(of: pod, kind: .pod, now: Self.now)[2] != "Terminating")
    }

    @Test(
        arguments: [
            (
                ResourceKind.deployment,
                """
                {"metadata":{"name":"d"},"spec":{"replicas":2,"selector":{"matchLabels":{"a":"b"}},"template":{"spec":
                {"containers":[{"name":"x","image":"i"},{"name":"y","image":"j"}]}}},"status":{"readyReplicas":1,
                "updatedReplicas":2,"availableReplicas":1}}
                """, ["d", "1/2", 2, 1, "<unknown>", "x,y", "i,j", "a=b"]
            ),
            (
                .service,
                """
                {"metadata":{"name":"s"},"spec":{"type":"NodePort","clusterIP":"10.1.1.1",
                "ports":[{"port":80,"nodePort":30000,
                "protocol":"TCP"},{"port":53,"protocol":"UDP"}],"selector":{"b":"c","a":"b"}}}
                """, ["s", "NodePort", "10.1.1.1", "<none>", "80:30000/TCP,53/UDP", "<unknown>", "a=b,b=c"]
            ),
            (
                .node,
                """
                {"metadata":{"name":"n","labels":{"node-role.kubernetes.io/worker":"",
                "node-role.kubernetes.io/edge":""}},
                "spec":{"unschedulable":true},"status":{"conditions":[{"type":"Ready",
                "status":"True"}],"addresses":[{"type":
                "InternalIP","address":"1.2.3.4"}],"nodeInfo":{"kubeletVersion":"v1","osImage":"Debian"}}}
                """,
                [
                    "n", "Ready,SchedulingDisabled", "edge,worker", "<unknown>", "v1", "1.2.3.4", "<none>", "Debian",
                    "<unknown>",
                    "<unknown>",
                ]
            ),
            (
                .ingress,
                """
                {"metadata":{"name":"i"},"spec":{"ingressClassName":"c","tls":[{}],"rules":[{"host":"a"},{"host":"b"},
                {"host":"c"},{"host":"d"}]},"status":{"loadBalancer":{"ingress":[{"ip":"1.1.1.1"},{"hostname":"h"}]}}}
                """, ["i", "c", "a,b,c + 1 more...", "1.1.1.1,h", "80, 443", "<unknown>"]
            ),
            (
                .endpointSlice,
                """
                {"metadata":{"name":"e"},"addressType":"IPv4","ports":[{"port":80},{}],
                "endpoints":[{"addresses":["1.1.1.1",
                "x"]},{"addresses":["1.1.1.2"]}]}
                """, ["e", "IPv4", "80,*", "1.1.1.1,1.1.1.2", "<unknown>"]
            ),
            (
                .event,
                """
                {"metadata":{"name":"v"},"type":"Normal","reason":"R",
                "involvedObject":{"kind":"Pod","name":"p","fieldPath":"f"},
                "source":{"component":"kubelet","host":"n"},"message":" m\\n","count":3}
                """, ["<unknown>", "Normal", "R", "pod/p", "f", "kubelet, n", "m", "<unknown>", 3, "v"]
            ),
            (
                .secret, #"{"metadata":{"name":"s"},"type":"Opaque","data":{"a":"","b":""}}"#,
                ["s", "Opaque", 2, "<unknown>"]
            ),
            (.configMap, #"{"metadata":{"name":"c"},"data":{"a":""},"binaryData":{"b":""}}"#, ["c", 2, "<unknown>"]),
            (
                .ingressClass, #"{"metadata":{"name":"c"},"spec":{"controller":"a/b"}}"#,
                ["c", "a/b", "<none>", "<unknown>"]
            ), (.lease, #"{"metadata":{"name":"l"},"spec":{"holderIdentity":"me"}}"#, ["l", "me", "<unknown>"]),
        ] as [(ResourceKind, String, [JSON])])
    func otherKindsHaveTheirCells(kind: ResourceKind, text: String, cells: [JSON]) throws {
        #expect(Table.cells(of: try json(text), kind: kind, now: Self.now) == cells)
    }
}

@Suite struct OpenAPITests {
    /// Every reference in a document, and whether it leads to a definition.
    private func references(in value: JSON) -> Set<String> {
        switch value {
        case .object:
            var found: Set<String> = []
            for (name, member) in value.members {
                if name == "$ref", let target = member.string { found.insert(target) }
                found.formUnion(references(in: member))
            }
            return found
        case .array(let elements): return elements.reduce(into: []) { $0.formUnion(references(in: $1)) }
        default: return []
        }
    }

    @Test func noReferenceDangles() throws {
        let v2 = OpenAPI.v2()
        for target in references(in: v2) {
            #expect(v2["definitions"]?[String(target.dropFirst("#/definitions/".count))] != nil, "\(target)")
        }
        for kind in ResourceKind.all {
            let v3 = try #require(OpenAPI.v3(group: kind.group, version: kind.version))
            for target in references(in: v3) {
                let name = String(target.dropFirst("#/components/schemas/".count))
                #expect(v3["components", "schemas"]?[name] != nil, "\(target)")
            }
        }
        #expect(OpenAPI.v3(group: "none", version: "v1") == nil)
    }

    /// `kubectl explain` then says <IntOrString> and not <string>.
    @Test func eitherOfTwoTypesIsSaidWhereTheFormCan() throws {
        let v3 = try #require(OpenAPI.v3(group: "", version: "v1")?["components", "schemas"])
        let v2 = try #require(OpenAPI.v2()["definitions"])
        for (name, types) in [
            ("io.k8s.apimachinery.pkg.util.intstr.IntOrString", ["integer", "string"]),
            ("io.k8s.apimachinery.pkg.api.resource.Quantity", ["string", "number"]),
        ] {
            #expect(v3[name]?["oneOf"] == .array(types.map { ["type": .string($0)] }))
            #expect(v3[name]?["type"] == nil)
            #expect(v2[name]?["type"] == "string")
            #expect(v2[name]?["oneOf"] == nil)
        }
    }

    @Test func kubectlFindsWhatItLooksFor() throws {
        for kind in ResourceKind.all where kind.verbs.contains("patch") {
            let v3 = try #require(OpenAPI.v3(group: kind.group, version: kind.version))
            let expected: JSON = [
                "group": .string(kind.group), "version": .string(kind.version), "kind": .string(kind.kind),
            ]
            let schemas = (v3["components", "schemas"]?.members ?? []).map(\.value)
            #expect(schemas.contains { $0["x-kubernetes-group-version-kind"]?[0] == expected }, "\(kind.kind)")
            let path = kind.path(namespace: kind.isNamespaced ? "{namespace}" : nil, name: "{name}")
            let patch = try #require(v3["paths"]?[path]?["patch"])
            #expect(patch["x-kubernetes-group-version-kind"] == expected)
            #expect(patch["parameters"]?.array?.contains { $0["name"] == "fieldValidation" } == true)
            #expect(patch["requestBody", "content"]?["application/strategic-merge-patch+json"] != nil)
            #expect(v3["paths"]?[kind.path()]?["get"]?["x-kubernetes-group-version-kind"] == expected)
        }
    }

    @Test func fieldsCarryTheirMergeKeys() throws {
        let v3 = try #require(OpenAPI.v3(group: "", version: "v1"))
        var containers = v3["components", "schemas"]?["io.k8s.api.core.v1.PodSpec"]?["properties"]?["containers"]
        #expect(containers?["description"] != nil)
        containers?["description"] = nil
        #expect(
            containers == [
                "type": "array", "items": ["$ref": "#/components/schemas/io.k8s.api.core.v1.Container"],
                "x-kubernetes-list-map-keys": ["name"], "x-kubernetes-list-type": "map",
                "x-kubernetes-patch-merge-key": "name", "x-kubernetes-patch-strategy": "merge",
            ])
        #expect(
            v3["components", "schemas"]?["io.k8s.api.core.v1.PodSpec"]?["required"] == ["containers"])
    }
}
