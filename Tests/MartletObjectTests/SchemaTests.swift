import MartletObject
import Testing

@testable import struct MartletObject.SchemaTables

@Suite struct SchemaTests {
    @Test func theTablesAreSoundAndQuickToRead() {
        let clock = ContinuousClock()
        let start = clock.now
        let tables = SchemaTables(SchemaTables.texts)
        print("tables read in \(clock.now - start), \(tables.types.count) types")
        #expect(tables.faults == [])
        for kind in ResourceKind.all { #expect(tables.place(of: kind.kind, in: kind.apiVersion) != nil) }
        for kind in ResourceKind.all where kind.verbs.contains("list") {
            #expect(tables.place(of: kind.kind + "List", in: kind.apiVersion) != nil)
        }
    }

    @Test func unknownFieldsAreDroppedAndTold() throws {
        let object = try json(
            """
            {"kind":"Deployment","apiVersion":"apps/v1","specc":{},"spec":{"template":{"spec":{"containers":[
            {"imagee":"x","name":"a","ports":[{"containerPort":80,"port":1}]}]},"metadata":{"labels":
            {"b":"1","a":"2"}}},"replicas":2},"metadata":{"name":"web","foo":null}}
            """)
        let (conformed, unknown) = try Schema.conform(object, to: .deployment)
        #expect(
            unknown == [
                "specc", "spec.template.spec.containers[0].imagee",
                "spec.template.spec.containers[0].ports[0].port", "metadata.foo",
            ])
        #expect(
            String(decoding: conformed.encoded(), as: UTF8.self)
                == #"{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web"},"spec":{"replicas":2,"#
                + #""template":{"metadata":{"labels":{"a":"2","b":"1"}},"spec":{"containers":[{"name":"a","#
                + #""ports":[{"containerPort":80}]}]}}}}"#)
    }

    @Test(arguments: [
        (
            #"{"spec":{"replicas":"2"}}"#,
            "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32"
        ),
        (
            #"{"spec":{"replicas":1.5}}"#,
            "json: cannot unmarshal number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32"
        ),
        (
            #"{"spec":{"replicas":3000000000}}"#,
            "json: cannot unmarshal number 3000000000 into Go struct field DeploymentSpec.spec.replicas of type int32"
        ),
        (
            #"{"spec":{"template":[]}}"#,
            "json: cannot unmarshal array into Go struct field DeploymentSpec.spec.template of type v1.PodTemplateSpec"
        ),
        (
            #"{"spec":{"template":{"spec":{"containers":{}}}}}"#,
            "json: cannot unmarshal object into Go struct field PodSpec.spec.template.spec.containers "
                + "of type []v1.Container"
        ),
        (
            #"{"spec":{"template":{"spec":{"containers":[{"ports":[{"protocol":1}]}]}}}}"#,
            "json: cannot unmarshal number into Go struct field ContainerPort.spec.template.spec.containers.ports."
                + "protocol of type v1.Protocol"
        ),
        (
            #"{"metadata":{"labels":{"a":1}}}"#,
            "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string"
        ),
        (
            #"{"metadata":{"creationTimestamp":"x"}}"#,
            #"parsing time "x" as "2006-01-02T15:04:05Z07:00": cannot parse "x" as "2006""#
        ),
        (
            #"{"spec":{"strategy":{"rollingUpdate":{"maxSurge":true}}}}"#,
            "json: cannot unmarshal bool into Go value of type int32"
        ),
        (
            #"{"spec":{"template":{"spec":{"overhead":{"cpu":"1x"}}}}}"#,
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
        ),
        ("[]", "json: cannot unmarshal array into Go value of type v1.Deployment"),
    ])
    func wrongTypesAreRefusedInGoWords(text: String, message: String) throws {
        let object = try json(text)
        #expect { try Schema.conform(object, to: .deployment) } throws: { "\($0)" == message }
    }

    @Test(arguments: [
        (#"{"metadata":"x"}"#, "cannot restore struct from: string"),
        (#"{"metadata":{"labels":[1]}}"#, "cannot restore map from slice"),
        (#"{"spec":{"template":{"spec":{"containers":{}}}}}"#, "cannot restore slice from map"),
        (#"{"metadata":{"labels":{"a":1}}}"#, "cannot convert int64 to string"),
        (#"{"metadata":{"labels":{"a":["b"]}}}"#, "unrecognized type: string"),
        (#"{"spec":{"replicas":"2"}}"#, "unrecognized type: int32"),
        (#"{"spec":{"replicas":1.5}}"#, "cannot convert float64 to int32"),
        (#"{"spec":{"paused":1}}"#, "unrecognized type: bool"),
        (
            #"{"spec":{"template":{"spec":{"containers":[{"ports":[{"protocol":1}]}]}}}}"#,
            "cannot convert int64 to v1.Protocol"
        ),
    ])
    func theConverterHasWordsOfItsOwn(text: String, message: String) throws {
        let object = try json(text)
        #expect { try Schema.conform(object, to: .deployment, words: .converter) } throws: { "\($0)" == message }
    }

    @Test func valuesAreMadeCanonical() throws {
        let pod = try json(
            """
            {"metadata":{"creationTimestamp":"2006-01-02T16:04:05.5+01:00"},"spec":{"containers":[{"resources":
            {"limits":{"cpu":0.5,"memory":"1024Mi"}},"args":[null]},null],"volumes":null}}
            """)
        let (conformed, _) = try Schema.conform(pod, to: .pod)
        #expect(conformed["metadata", "creationTimestamp"] == "2006-01-02T15:04:05Z")
        #expect(
            conformed["spec"] == [
                "containers": [
                    ["args": [""], "resources": ["limits": ["cpu": "500m", "memory": "1Gi"]]], [:],
                ]
            ])
        #expect(try Schema.conform(conformed, to: .pod).object == conformed)
    }

    @Test func secretDataMustBeBase64() throws {
        let (secret, _) = try Schema.conform(["data": ["a": "aGk="], "stringData": ["b": "c"]], to: .secret)
        #expect(secret["data", "a"] == "aGk=")
        #expect { try Schema.conform(["data": ["a": "aGk"]], to: .secret) } throws: {
            "\($0)" == "illegal base64 data at input byte 3"
        }
    }

    @Test func optionsOfVerbsHaveTablesToo() throws {
        let options = try Schema.conform(
            ["gracePeriodSeconds": 5, "x": 1], groupVersion: "meta/v1", kind: "DeleteOptions")
        #expect(options.object == ["gracePeriodSeconds": 5] && options.unknown == ["x"])
        #expect(throws: SchemaError.self) {
            try Schema.conform(["spec": ["replicas": "x"]], groupVersion: "autoscaling/v1", kind: "Scale")
        }
    }
}

@Suite struct PatchTests {
    @Test(arguments: [
        (
            #"{"a":1}"#, #"[{"op":"add","path":"/b","value":{"c":[]}},{"op":"add","path":"/b/c/-","value":2}]"#,
            #"{"a":1,"b":{"c":[2]}}"#
        ),
        (#"{"a":[1,3]}"#, #"[{"op":"add","path":"/a/1","value":2},{"op":"remove","path":"/a/0"}]"#, #"{"a":[2,3]}"#),
        (
            #"{"a":{"x/y":1,"~":2}}"#, #"[{"op":"replace","path":"/a/x~1y","value":9},{"op":"remove","path":"/a/~0"}]"#,
            #"{"a":{"x/y":9}}"#
        ),
        (
            #"{"a":{"b":1}}"#, #"[{"op":"move","from":"/a/b","path":"/c"},{"op":"copy","from":"/c","path":"/d"}]"#,
            #"{"a":{},"c":1,"d":1}"#
        ),
        (
            #"{"a":{"b":1,"c":2}}"#, #"[{"op":"test","path":"/a","value":{"c":2,"b":1}},{"op":"remove","path":"/a"}]"#,
            "{}"
        ),
    ])
    func jsonPatchesApply(object: String, patch: String, result: String) throws {
        #expect(
            try Patch.apply(json(patch), type: .json, to: json(object), kind: .pod) == json(result))
    }

    @Test(arguments: [
        (#"[{"op":"test","path":"/a","value":2}]"#, "testing value /a failed: test failed"),
        (#"[{"op":"remove","path":"/x"}]"#, "remove operation does not apply: doc is missing path: /x: missing value"),
        (
            #"[{"op":"replace","path":"/x/y","value":1}]"#,
            "replace operation does not apply: doc is missing path: /x/y: missing value"
        ),
        (
            #"[{"op":"add","path":"/l/7","value":1}]"#,
            "add operation does not apply: doc is missing path: \"/l/7\": Unable to access invalid index: 7: "
                + "invalid index referenced"
        ),
        (#"[{"op":"jump","path":"/a"}]"#, "Unexpected kind: jump"),
        (#"[{"op":"add","path":"/a"}]"#, "missing value in operation \"add\""),
        (#"{}"#, "json: cannot unmarshal object into Go value of type jsonpatch.Patch"),
    ])
    func jsonPatchesThatDoNotFitAreRefused(patch: String, message: String) throws {
        let patch = try json(patch)
        #expect { try Patch.apply(patch, type: .json, to: ["a": 1, "l": []], kind: .pod) } throws: {
            "\($0)" == message
        }
    }

    /// The cases of RFC 7386, appendix A.
    @Test(arguments: [
        (#"{"a":"b"}"#, #"{"a":"c"}"#, #"{"a":"c"}"#), (#"{"a":"b"}"#, #"{"b":"c"}"#, #"{"a":"b","b":"c"}"#),
        (#"{"a":"b"}"#, #"{"a":null}"#, "{}"), (#"{"a":"b","b":"c"}"#, #"{"a":null}"#, #"{"b":"c"}"#),
        (#"{"a":["b"]}"#, #"{"a":"c"}"#, #"{"a":"c"}"#), (#"{"a":"c"}"#, #"{"a":["b"]}"#, #"{"a":["b"]}"#),
        (#"{"a":{"b":"c"}}"#, #"{"a":{"b":"d","c":null}}"#, #"{"a":{"b":"d"}}"#),
        (#"{"a":[{"b":"c"}]}"#, #"{"a":[1]}"#, #"{"a":[1]}"#), (#"{"e":null}"#, #"{"a":1}"#, #"{"e":null,"a":1}"#),
        ("[1,2]", #"{"a":"b","c":null}"#, #"{"a":"b"}"#), ("{}", #"{"a":{"bb":{"ccc":null}}}"#, #"{"a":{"bb":{}}}"#),
    ])
    func mergePatchesApply(object: String, patch: String, result: String) throws {
        #expect(try Patch.apply(json(patch), type: .merge, to: json(object), kind: .pod) == json(result))
    }

    static let pod = #"{"containers":[{"name":"a","image":"1","args":["x"]},{"name":"b","image":"1"}]}"#

    @Test(arguments: [
        (
            pod, #"{"containers":[{"name":"b","image":"2"}]}"#,
            #"{"containers":[{"name":"a","image":"1","args":["x"]},{"name":"b","image":"2"}]}"#
        ),
        (
            pod, #"{"containers":[{"name":"a","args":["y","z"]},{"name":"c"}]}"#,
            #"{"containers":[{"name":"a","image":"1","args":["y","z"]},{"name":"c"},{"name":"b","image":"1"}]}"#
        ),
        (pod, #"{"containers":[{"name":"a","$patch":"delete"}]}"#, #"{"containers":[{"name":"b","image":"1"}]}"#),
        (pod, #"{"containers":[{"$patch":"replace"},{"name":"z"}]}"#, #"{"containers":[{"name":"z"}]}"#),
        (
            pod,
            #"{"$setElementOrder/containers":[{"name":"b"},{"name":"a"}],"containers":[{"name":"a","image":"3"}]}"#,
            #"{"containers":[{"name":"b","image":"1"},{"name":"a","image":"3","args":["x"]}]}"#
        ),
        (
            pod, #"{"$setElementOrder/containers":[{"name":"b"},{"name":"a"}]}"#,
            #"{"containers":[{"name":"b","image":"1"},{"name":"a","image":"1","args":["x"]}]}"#
        ),
        (
            #"{"nodeSelector":{"a":"1","b":"2"}}"#, #"{"nodeSelector":{"a":null,"c":"3"}}"#,
            #"{"nodeSelector":{"b":"2","c":"3"}}"#
        ),
        (
            #"{"nodeSelector":{"a":"1"}}"#, #"{"nodeSelector":{"$patch":"replace","c":"3"}}"#,
            #"{"nodeSelector":{"c":"3"}}"#
        ),
        (#"{"tolerations":[{"key":"a"}]}"#, #"{"tolerations":[{"key":"b"}]}"#, #"{"tolerations":[{"key":"b"}]}"#),
        (
            #"{"volumes":[{"name":"v","emptyDir":{}}]}"#,
            #"{"volumes":[{"name":"v","$retainKeys":["name","hostPath"],"hostPath":{"path":"/x"}}]}"#,
            #"{"volumes":[{"name":"v","hostPath":{"path":"/x"}}]}"#
        ),
        (
            "{}",
            #"{"affinity":{"nodeAffinity":{"x":null}},"containers":[{"name":"n","$patch":"merge","image":null}]}"#,
            #"{"affinity":{"nodeAffinity":{}},"containers":[{"name":"n"}]}"#
        ),
    ])
    func strategicPatchesMergeByTheTables(spec: String, patch: String, result: String) throws {
        let object: JSON = ["spec": try json(spec)]
        let patched = try Patch.apply(["spec": try json(patch)], type: .strategic, to: object, kind: .pod)
        #expect(try patched["spec"] == json(result), "\(patched)")
    }

    @Test func listsOfScalarsMergeAndLoseElements() throws {
        let object: JSON = ["metadata": ["finalizers": ["a", "b", "c"]]]
        let patched = try Patch.apply(
            ["metadata": ["$deleteFromPrimitiveList/finalizers": ["b"], "finalizers": ["d", "a"]]], type: .strategic,
            to: object, kind: .pod)
        #expect(Set(patched["metadata", "finalizers"]?.array ?? []) == ["a", "c", "d"])
    }

    @Test(
        arguments: [
            (["spec": ["$patch": "x"]], "unknown patch type found: x"),
            (
                ["spec": ["containers": [["image": "x"]]]],
                "map: {\"image\":\"x\"} does not contain declared merge key: name"
            ), ([], "json: cannot unmarshal array into Go value of type map[string]interface {}"),
        ] as [(JSON, String)])
    func badStrategicPatchesAreRefused(patch: JSON, message: String) {
        #expect { try Patch.apply(patch, type: .strategic, to: [:], kind: .pod) } throws: { "\($0)" == message }
    }

    @Test func mutatedPatchesNeverTrap() throws {
        let patch = Array(
            #"{"spec":{"$setElementOrder/containers":[{"name":"b"}],"containers":[{"name":"a","$patch":"delete"}]}}"#
                .utf8)
        let operations = Array(
            #"[{"op":"add","path":"/spec/containers/0","value":1},{"op":"move","from":"/spec","path":"/x"}]"#.utf8)
        let object: JSON = ["spec": try json(Self.pod)]
        var generator = SplitMix64(seed: 11)
        for _ in 0..<5_000 {
            if let patch = try? JSON(parsing: generator.mutated(patch)) {
                _ = try? Patch.apply(patch, type: .strategic, to: object, kind: .pod)
                _ = try? Patch.apply(patch, type: .merge, to: object, kind: .pod)
                _ = try? Schema.conform(patch, to: .pod)
            }
            if let patch = try? JSON(parsing: generator.mutated(operations)) {
                _ = try? Patch.apply(patch, type: .json, to: object, kind: .pod)
            }
        }
    }
}
