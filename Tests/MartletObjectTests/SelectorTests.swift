import MartletBase
import MartletObject
import Testing

@Suite struct QuantityTests {
    @Test(
        arguments: [
            ("0", 0), ("1", 1000), ("500m", 500), ("0.5", 500), ("1.0005", 1001), ("-1.5", -1500), ("+2", 2000),
            (".5", 500), ("5.", 5000), ("1k", 1_000_000), ("2e3", 2_000_000), ("2E3", 2_000_000), ("1e-3", 1),
            ("1n", 1), ("1u", 1), ("1500u", 2), ("1Ki", 1_024_000), ("1.5Gi", 1_610_612_736_000), ("1M", 1_000_000_000),
            ("1Pi", 1_125_899_906_842_624_000), ("100E", .max), ("9Ei", .max), ("-100E", -.max),
            ("99999999999999999999999999999999999999999999", .max), ("0.0000000000000000000000000000000000001", 1),
        ] as [(String, Int64)])
    func textIsRead(text: String, milli: Int64) { #expect(Quantity(text)?.milli == milli) }

    @Test func whatIsTooBigToBeWrittenHasNoCanonicalForm() {
        #expect(Quantity.canonical("1000000000000000000000000000010Gi") == nil)
        var random = SplitMix64(seed: 3)
        for _ in 0..<2000 {
            let digits = (0..<Int.random(in: 25...42, using: &random)).map { _ in
                String(Int.random(in: 0...9, using: &random))
            }
            for suffix in ["", "Ki", "Gi", "Ei", "E", "e9", "e-9", "m", "n"] {
                _ = Quantity.canonical(digits.joined() + suffix)
            }
        }
    }

    @Test(arguments: ["", "x", "1x", "1 Gi", "1gi", "e3", ".", "-", "1.2.3", "1ee3", "0x10", "1e99999", "--1", "1K"])
    func otherTextIsRefused(text: String) { #expect(Quantity(text) == nil) }

    @Test(arguments: [
        ("0.5", "500m"), ("1500m", "1500m"), ("1000m", "1"), ("1000", "1k"), ("1024Mi", "1Gi"), ("1.5Gi", "1536Mi"),
        ("512Ki", "512Ki"), ("0.5Ki", "512"), ("0", "0"), ("-0", "0"), ("100000k", "100M"), ("1e3", "1e3"),
        ("10e3", "10e3"), ("1E", "1E"), ("1000E", "1000E"), ("0.1m", "100u"), ("-250m", "-250m"),
        ("128974848", "128974848"),
        ("129M", "129M"), ("123Mi", "123Mi"), ("0.0000000001", "1n"), ("12e1", "120"),
    ])
    func textIsMadeCanonical(text: String, canonical: String) {
        #expect(Quantity.canonical(text) == canonical)
        #expect(Quantity.canonical(canonical) == canonical)
    }

    @Test func numbersCount() {
        #expect(Quantity(JSON.int(2))?.milli == 2000)
        #expect(Quantity(JSON.double(0.25))?.milli == 250)
        #expect(Quantity(JSON.bool(true)) == nil)
        #expect(Quantity(milli: 1001).whole == 2)
        #expect(Quantity(milli: -1001).whole == -1)
    }

    @Test func mutationsNeverTrap() {
        var generator = SplitMix64(seed: 3)
        for text in ["123.456Ki", "-0.5e-12", "99999999999999999999E"] {
            for _ in 0..<3_000 {
                let mutated = String(decoding: generator.mutated(Array(text.utf8)), as: UTF8.self)
                if let canonical = Quantity.canonical(mutated) { #expect(Quantity(canonical) != nil) }
            }
        }
    }
}

@Suite struct LabelSelectorTests {
    static let web = ["app": "web", "tier": "front", "n": "5", "example.com/x": ""]

    @Test(arguments: [
        ("", true), ("app=web", true), ("app==web", true), ("app = web , tier=front", true), ("app=db", false),
        ("app!=db", true), ("app!=web", false), ("none!=x", true), ("none", false), ("!none", true), ("!app", false),
        ("app", true), ("app in (web,db)", true), ("app in (db)", false), ("app notin (db)", true),
        ("none notin (db)", true), ("app notin(web)", false), ("n>4", true), ("n<5", false), ("tier>4", false),
        ("example.com/x=", true), ("example.com/x", true), ("app=", false), ("in=x", false), ("app in (web,)", true),
    ])
    func theURLFormSelects(text: String, isSelected: Bool) throws {
        let selector = try LabelSelector(parsing: text)
        #expect(selector.matches(Self.web) == isSelected)
        #expect(try LabelSelector(parsing: selector.description).matches(Self.web) == isSelected)
    }

    @Test(arguments: [
        ("app=a=b", "unable to parse requirement: found '=', expected: ',' or 'end of string'"),
        ("app,", "unable to parse requirement: found '', expected: identifier after ','"),
        ("app in web", "unable to parse requirement: found 'web', expected: '('"),
        ("app in (web", "unable to parse requirement: found '', expected: ',' or ')'"),
        ("app is web", "unable to parse requirement: found 'is', expected: in, notin, =, ==, !=, gt, lt"),
        ("=web", "unable to parse requirement: found '=', expected: !, identifier, or ','"),
        (
            "a>b",
            "unable to parse requirement: values[0]: Invalid value: \"b\": for 'Gt', 'Lt' operators, the value must be "
                + "an integer"
        ),
    ])
    func badTextIsRefused(text: String, message: String) {
        #expect { try LabelSelector(parsing: text) } throws: { "\($0)" == message }
    }

    @Test func badNamesAreRefused() {
        #expect(throws: SelectorError.self) { try LabelSelector(parsing: "-a=b") }
        #expect(throws: SelectorError.self) { try LabelSelector(parsing: "a/b/c=b") }
        #expect(throws: SelectorError.self) { try LabelSelector(parsing: "a=-b") }
    }

    @Test func theObjectFormSelects() throws {
        let all = try LabelSelector(object: [:])
        #expect(all.matches([:]) && all.isEmpty)
        let nothing = try LabelSelector(object: .null)
        #expect(!nothing.matches(Self.web) && !nothing.isEmpty)
        let selector = try LabelSelector(object: [
            "matchLabels": ["app": "web"],
            "matchExpressions": [
                ["key": "tier", "operator": "In", "values": ["front", "back"]],
                ["key": "n", "operator": "Exists"], ["key": "none", "operator": "DoesNotExist"],
                ["key": "tier", "operator": "NotIn", "values": ["back"]],
            ],
        ])
        #expect(selector.matches(Self.web))
        #expect(!selector.matches(["app": "web", "tier": "back", "n": ""]))
        #expect(selector.description == "app=web,tier in (front,back),n,!none,tier!=back")
        #expect(throws: SelectorError.self) {
            try LabelSelector(object: ["matchExpressions": [["key": "a", "operator": "Is"]]])
        }
        #expect(throws: SelectorError.self) {
            try LabelSelector(object: ["matchExpressions": [["key": "a", "operator": "In", "values": []]]])
        }
    }
}

@Suite struct FieldSelectorTests {
    static let pod: JSON = [
        "metadata": ["name": "a", "namespace": "b"], "spec": ["nodeName": "n1"],
        "status": ["phase": "Running", "podIP": "10.0.0.1"],
    ]

    static func selects(_ text: String, _ kind: ResourceKind, _ object: JSON) throws -> Bool {
        var stored = SelectableObject(StoredObject(object), as: kind)
        return try FieldSelector(parsing: text, kind: kind).matches(&stored)
    }

    @Test(arguments: [
        ("", true), ("metadata.name=a", true), ("metadata.name==a,metadata.namespace!=b", false),
        ("spec.nodeName=n1,status.phase!=Failed", true), ("spec.nodeName=", false), ("status.podIP=10.0.0.1", true),
        ("spec.hostNetwork=false", true), ("status.nominatedNodeName=", true), ("spec.host=n1", true),
        ("status.podIPs=", true),
    ])
    func fieldsAreCompared(text: String, isSelected: Bool) throws {
        #expect(try Self.selects(text, .pod, Self.pod) == isSelected)
    }

    @Test(arguments: [
        (ResourceKind.pod, "spec.image=x", "field label not supported: spec.image"),
        (.pod, "metadata.name", "invalid selector: 'metadata.name'; can't understand 'metadata.name'"),
        (.pod, "metadata.name=a=b", "invalid field selector: unescaped character in value: 61"),
        (.node, "metadata.namespace=a", "field label not supported: metadata.namespace"),
        (.namespace, "name=a", "field label not supported: name"),
        (.job, "status.x=0", "field label \"status.x\" not supported for batchv1.Job"),
        (
            .replicaSet, "status.replicas=0",
            "\"status.replicas\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
        ),
        (.groupedEvent, "involvedObject.kind=Pod", "field label not supported: involvedObject.kind"),
    ])
    func unknownFieldsAreRefused(kind: ResourceKind, text: String, why: String) {
        #expect { try FieldSelector(parsing: text, kind: kind) } throws: { "\($0)" == why }
    }

    @Test func eventsAndOthersHaveTheirOwnFields() throws {
        let event: JSON = ["involvedObject": ["kind": "Pod", "name": "a,b"], "source": [:], "reportingComponent": "x"]
        #expect(try Self.selects("involvedObject.kind=Pod,source=x", .event, event))
        #expect(try Self.selects(#"involvedObject.name=a\,b"#, .event, event))
        #expect(try Self.selects("regarding.kind=Pod,reportingController=x", .groupedEvent, event))
        #expect(try Self.selects("status.successful=0", .job, [:]))
        #expect(try Self.selects("spec.unschedulable!=true", .node, [:]))
        #expect(try Self.selects("metadata.namespace=", .ingressClass, ["metadata": ["name": "a"]]))
        #expect(try FieldSelector(parsing: "metadata.name=x", kind: .lease).exactName == "x")
    }

    @Test func customKindsNameTheirs() throws {
        let definition = try JSON(
            parsing: #"""
                {"spec":{"group":"shop.test","scope":"Cluster","names":{"plural":"carts","kind":"Cart"},"versions":[
                 {"name":"v1","served":true,"storage":true,"selectableFields":[{"jsonPath":".spec.color"}],
                  "schema":{"openAPIV3Schema":{"type":"object","properties":{"spec":{"type":"object","properties":{
                   "color":{"type":"string","default":"red"}}}}}}}]},
                 "status":{"acceptedNames":{"plural":"carts","kind":"Cart"},
                  "conditions":[{"type":"Established","status":"True"}]}}
                """#.utf8)
        let kind = try #require(ResourceKind.custom(of: definition).first)
        #expect(try Self.selects("spec.color=blue,metadata.name!=x", kind, ["spec": ["color": "blue"]]))
        // As it is served: with what has become a default since it was stored.
        #expect(try Self.selects("spec.color=red", kind, ["spec": [:]]))
        #expect { try FieldSelector(parsing: "metadata.namespace=a", kind: kind) } throws: {
            "\($0)" == "field label not supported: metadata.namespace"
        }
    }
}

@Suite struct StoredObjectTests {
    @Test func theVersionIsTakenOutAndSplicedInAgain() throws {
        let object: JSON = [
            "apiVersion": "v1", "metadata": ["name": "a", "resourceVersion": "7", "labels": ["x": "{\"}"]], "data": [:],
        ]
        let stored = StoredObject(object)
        #expect(!String(decoding: stored.bytes, as: UTF8.self).contains("resourceVersion"))
        #expect(
            String(decoding: stored.served(resourceVersion: 42), as: UTF8.self)
                == #"{"apiVersion":"v1","metadata":{"resourceVersion":"42","name":"a","labels":{"x":"{\"}"}},"#
                + #""data":{}}"#
        )
        #expect(try stored.decoded(resourceVersion: 42) != object)
        #expect(try stored.decoded(resourceVersion: 42)["metadata", "resourceVersion"] == "42")
    }

    @Test(arguments: [
        ("{}", #"{"metadata":{"resourceVersion":"1"}}"#),
        (#"{"metadata":{}}"#, #"{"metadata":{"resourceVersion":"1"}}"#),
        (#"{"a":1}"#, #"{"metadata":{"resourceVersion":"1"},"a":1}"#),
        (#"{ "metadata" : { } }"#, #"{ "metadata" : {"resourceVersion":"1" } }"#),
        (
            #"{"x":{"metadata":{}},"metadata":{"y":2}}"#,
            #"{"x":{"metadata":{}},"metadata":{"resourceVersion":"1","y":2}}"#
        ),
        ("[]", "[]"), ("", ""),
    ])
    func splicingKeepsTheRest(stored: String, served: String) {
        #expect(
            String(decoding: StoredObject(stored: Array(stored.utf8)).served(resourceVersion: 1), as: UTF8.self)
                == served)
    }

    @Test func theHeaderIsReadFromTheBytes() {
        let stored = StoredObject([
            "kind": "Pod",
            "metadata": [
                "name": "a\"b", "namespace": "n", "uid": "u", "labels": ["x": "y"], "deletionTimestamp": "t",
                "annotations": ["name": "no"],
            ], "spec": ["nodeName": "n1", "containers": [["name": "c"]]],
        ])
        let header = stored.header
        #expect(header.name == "a\"b" && header.namespace == "n" && header.uid == "u" && header.isTerminating)
        #expect(header.labels == ["x": "y"] && stored.labels == ["x": "y"])
        #expect(stored.value(at: ["spec", "nodeName"]) == "n1")
        #expect(stored.value(at: ["spec", "containers"]) == [["name": "c"]])
        #expect(stored.value(at: ["spec", "none"]) == nil)
        #expect(!StoredObject([:]).header.isTerminating)
    }

    @Test func brokenBytesNeverTrapAndGoodOnesStayGood() throws {
        let object: JSON = ["metadata": ["name": "a", "labels": ["x": "y\\\""]], "spec": ["a": [1, ["b": nil]]]]
        var generator = SplitMix64(seed: 5)
        for _ in 0..<10_000 {
            let bytes = generator.mutated(object.encoded())
            let stored = StoredObject(stored: bytes)
            _ = stored.header
            _ = stored.value(at: ["spec", "a"])
            let served = stored.served(resourceVersion: 9)
            if case .object? = try? JSON(parsing: bytes), (try? JSON(parsing: bytes, strict: true)) != nil {
                let metadata = try JSON(parsing: bytes)["metadata"]
                if metadata == nil || metadata?.object != nil { _ = try JSON(parsing: served) }
            }
        }
    }
}
