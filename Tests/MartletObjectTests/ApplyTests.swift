import MartletObject
import Testing

/// An object and its owners, as a story goes on.
struct Story {
    var kind = ResourceKind.deployment
    var object: JSON = [:]
    var managed = ManagedFields()
    private var clock = 0

    init(_ kind: ResourceKind = .deployment) { self.kind = kind }

    private mutating func ownership(_ name: String, _ operation: ManagedFields.Operation) -> FieldOwnership {
        clock += 1
        return FieldOwnership(
            shape: .of(kind), manager: .init(name, operation, apiVersion: kind.apiVersion),
            time: "2026-01-01T00:00:\(clock < 10 ? "0" : "")\(clock)Z")
    }

    mutating func apply(_ name: String, _ configuration: JSON, force: Bool = false) throws(ApplyError) {
        var configuration = configuration
        configuration["apiVersion"] = .string(kind.apiVersion)
        configuration["kind"] = .string(kind.kind)
        let applied = try ownership(name, .apply).apply(configuration, to: object, managed: &managed, force: force)
        if let applied { object = (try? Schema.conform(applied, to: kind).object) ?? .null }
        object["metadata", "uid"] = "u"
    }

    mutating func update(_ name: String, _ change: (inout JSON) -> Void) {
        let old = object
        change(&object)
        ownership(name, .update).update(&managed, from: old, to: object)
        object["metadata", "uid"] = "u"
    }

    /// `Apply a: .spec.replicas ...`
    var owners: [String] {
        managed.entries.sorted { $0.manager.name < $1.manager.name }.map { entry in
            "\(entry.manager.operation.rawValue) \(entry.manager.name): "
                + entry.fields.paths.map(\.text).joined(separator: " ")
        }
    }

    func conflict(_ error: any Error) -> [String] {
        guard case .conflicts(let conflicts)? = error as? ApplyError else { return ["\(error)"] }
        return conflicts.flatMap { conflict in
            conflict.fields.paths.map { "\(conflict.manager.name) \($0.text)" }
        }
    }
}

@Suite struct ApplyTests {
    private static func web(_ spec: JSON) -> JSON { ["metadata": ["name": "web"], "spec": spec] }

    @Test func twoAppliersShareAnObjectUntilOneTakesWhatTheOtherHas() throws {
        var story = Story()
        try story.apply("a", Self.web(["replicas": 2, "paused": true]))
        try story.apply("b", Self.web(["minReadySeconds": 5]))
        #expect(story.owners == ["Apply a: .spec.paused .spec.replicas", "Apply b: .spec.minReadySeconds"])

        let error = #expect(throws: ApplyError.self) { try story.apply("b", Self.web(["replicas": 3])) }
        #expect(story.conflict(error!) == ["a .spec.replicas"])
        #expect(story.object["spec", "replicas"] == 2)

        try story.apply("b", Self.web(["replicas": 3]), force: true)
        #expect(story.owners == ["Apply a: .spec.paused", "Apply b: .spec.replicas"])
        #expect(story.object["spec"] == ["replicas": 3, "paused": true], "what b gave up is gone")
    }

    @Test func theSameValueIsOwnedByBothAndGoesWithTheLast() throws {
        var story = Story()
        try story.apply("a", Self.web(["replicas": 2]))
        try story.apply("b", Self.web(["replicas": 2]))
        #expect(story.owners == ["Apply a: .spec.replicas", "Apply b: .spec.replicas"])
        try story.apply("a", Self.web([:]))
        #expect(story.object["spec", "replicas"] == 2, "\(story.object) \(story.owners)")
        try story.apply("b", Self.web([:]))
        #expect(story.object["spec", "replicas"] == nil)
    }

    @Test func anUpdateTakesOverAndAnApplyThenConflicts() throws {
        var story = Story()
        try story.apply("a", Self.web(["replicas": 2]))
        story.update("edit") { $0["spec", "replicas"] = 7 }
        #expect(story.owners == ["Apply a: ", "Update edit: .spec.replicas"].filter { !$0.hasSuffix(": ") })
        let error = #expect(throws: ApplyError.self) { try story.apply("a", Self.web(["replicas": 2])) }
        #expect(story.conflict(error!) == ["edit .spec.replicas"])
        try story.apply("a", Self.web(["replicas": 7]))
        #expect(story.owners == ["Apply a: .spec.replicas", "Update edit: .spec.replicas"])
    }

    @Test func listsMergeByKeyAndKeepTheirOrder() throws {
        var story = Story()
        func containers(_ names: [String], image: String = "x") -> JSON {
            Self.web([
                "template": [
                    "spec": ["containers": .array(names.map { ["name": .string($0), "image": .string(image)] })]
                ]
            ])
        }
        func names(_ story: Story) -> [String] {
            (story.object["spec", "template", "spec", "containers"]?.array ?? []).compactMap { $0["name"]?.string }
        }
        try story.apply("a", containers(["one", "two"]))
        try story.apply("b", containers(["side"]))
        #expect(names(story) == ["one", "two", "side"])
        try story.apply("a", containers(["two", "new", "one"]))
        #expect(names(story) == ["two", "side", "new", "one"])
        try story.apply("a", containers(["one"]))
        #expect(names(story) == ["side", "one"])
        let error = #expect(throws: ApplyError.self) { try story.apply("a", containers(["side"], image: "y")) }
        #expect(story.conflict(error!) == [#"b .spec.template.spec.containers[name="side"].image"#])
    }

    @Test func whatIsInsideOfSomethingGivenUpStaysWithItsOwner() throws {
        var story = Story()
        let path = ["spec", "template", "spec"]
        func config(_ container: JSON) -> JSON {
            Self.web(["template": ["spec": ["containers": [container]]]])
        }
        try story.apply("a", config(["name": "c", "image": "x"]))
        try story.apply("b", config(["name": "c", "workingDir": "/w"]))
        try story.apply("a", Self.web([:]))
        let containers = story.object[path[0], path[1], path[2], "containers"]
        #expect(containers == [["name": "c", "workingDir": "/w"]], "the key stays with it")
    }

    @Test func atomicValuesAreOwnedWhole() throws {
        var story = Story()
        try story.apply("a", Self.web(["selector": ["matchLabels": ["x": "1"]]]))
        #expect(story.owners == ["Apply a: .spec.selector"])
        let error = #expect(throws: ApplyError.self) {
            try story.apply("b", Self.web(["selector": ["matchLabels": ["y": "1"]]]))
        }
        #expect(story.conflict(error!) == ["a .spec.selector"])
    }

    @Test func labelsAndFinalizersAreOwnedOneByOne() throws {
        var story = Story(.configMap)
        try story.apply("a", ["metadata": ["name": "m", "labels": ["x": "1"], "finalizers": ["a.io/x"]]])
        try story.apply("b", ["metadata": ["name": "m", "labels": ["y": "2"], "finalizers": ["b.io/y"]]])
        #expect(
            story.owners == [
                #"Apply a: .metadata.finalizers[="a.io/x"] .metadata.labels.x"#,
                #"Apply b: .metadata.finalizers[="b.io/y"] .metadata.labels.y"#,
            ])
        try story.apply("a", ["metadata": ["name": "m"]])
        #expect(story.object.labels == ["y": "2"])
        #expect(story.object["metadata", "finalizers"] == ["b.io/y"])
    }

    @Test func whatTheKindDoesNotHaveIsRefusedByName() {
        var story = Story()
        let error = #expect(throws: ApplyError.self) {
            try story.apply("a", Self.web(["replica": 1, "template": ["spec": ["containers": [["image": "x"]]]]]))
        }
        #expect(
            error
                == .misfit(
                    """
                    errors:
                      .spec.replica: field not declared in schema
                      .spec.template.spec.containers: element 0: associative list with keys has an element that omits \
                    key field "name" (and doesn't have default value)
                    """))
    }

    @Test func theFirstApplyLeavesWhatWasThereToThoseBefore() throws {
        var story = Story()
        story.object = ["metadata": ["name": "web", "uid": "u"], "spec": ["replicas": 1, "paused": true]]
        story.update("edit") { $0["spec", "paused"] = false }
        #expect(story.owners == [], "an object without managers is not followed")
        try story.apply("a", Self.web(["replicas": 1]))
        #expect(story.owners == ["Apply a: .spec.replicas", "Update before-first-apply: .spec.paused .spec.replicas"])
    }

    @Test func kubectlTakesOverFromItsClientSideApply() throws {
        var story = Story()
        let last =
            #"{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web"},"#
            + #""spec":{"replicas":2,"paused":true}}"#
        story.update("kubectl-client-side-apply") {
            $0 = [
                "metadata": [
                    "name": "web",
                    "annotations": ["kubectl.kubernetes.io/last-applied-configuration": .string(last)],
                ], "spec": ["replicas": 2, "paused": true],
            ]
        }
        story.update("scaler") { $0["spec", "replicas"] = 9 }
        // The pause is as it was applied; the replicas are somebody else's.
        let error = #expect(throws: ApplyError.self) {
            try story.apply("kubectl", Self.web(["replicas": 3, "paused": false]))
        }
        #expect(story.conflict(error!) == ["scaler .spec.replicas"])
        try story.apply("kubectl", Self.web(["paused": false]))
        #expect(story.object["spec"] == ["replicas": 9, "paused": false])
        #expect(
            story.object.annotations["kubectl.kubernetes.io/last-applied-configuration"]
                == #"{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web"},"spec":{"paused":false}}"#
                + "\n")
    }

    @Test func anUpdateThatChangesNothingKeepsEntryAndTime() throws {
        var story = Story()
        story.update("a") { $0 = ["metadata": ["name": "web", "labels": ["x": "1"]], "spec": ["replicas": 1]] }
        let before = story.managed
        story.update("a") { _ in }
        #expect(story.managed == before)
        story.update("a") { $0["spec", "replicas"] = 2 }
        #expect(story.managed.isSame(as: before) && story.managed != before)
        #expect(story.owners == ["Update a: .metadata.labels .metadata.labels.x .spec.replicas"])
    }

    @Test func whatUpdatersDidLongAgoIsOneEntry() {
        var story = Story(.configMap)
        for number in 0..<14 { story.update("m\(number)") { $0["data", "k\(number)"] = "v" } }
        #expect(story.managed.entries.count == ManagedFields.maximumUpdaters)
        let ancient = story.owners.first { $0.contains("ancient-changes") }
        #expect(ancient == "Update ancient-changes: .data .data.k0 .data.k1 .data.k2 .data.k3 .data.k4")
    }

    @Test func filledInStructuresBelongToNobody() throws {
        var story = Story()
        story.update("a") {
            $0 = Self.web([
                "strategy": ["type": "RollingUpdate", "rollingUpdate": ["maxSurge": 1]],
                "template": ["spec": ["containers": [["name": "c", "image": "x"]]]],
            ])
        }
        #expect(
            story.owners == [
                "Update a: .spec.strategy.rollingUpdate .spec.strategy.rollingUpdate.maxSurge .spec.strategy.type "
                    + #".spec.template.spec.containers[name="c"] "#
                    + #".spec.template.spec.containers[name="c"].image .spec.template.spec.containers[name="c"].name"#
            ])
    }

    @Test func managedFieldsAreReadBackAsTheyWereWritten() throws {
        var story = Story()
        try story.apply("b", Self.web(["replicas": 2]))
        story.update("z") { $0["spec", "paused"] = true }
        let json = try #require(story.managed.json)
        #expect(json.array?.map { $0["operation"] ?? .null } == ["Apply", "Update"])
        #expect(try ManagedFields(json).isSame(as: story.managed))
        #expect(ManagedFields.isReset([]) && ManagedFields.isReset([[:]]))
        #expect(!ManagedFields.isReset(nil) && !ManagedFields.isReset(json))
        #expect(throws: FieldSetError.self) { try ManagedFields([["operation": "Other"]]) }
    }
}
