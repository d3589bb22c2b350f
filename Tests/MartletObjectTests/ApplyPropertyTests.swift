import MartletBase
import MartletObject
import Testing

/// Random appliers and updaters on random objects, from seeds.
@Suite struct ApplyPropertyTests {
    private struct Draw {
        var random: SplitMix64
        mutating func below(_ count: Int) -> Int { Int(random.next() % UInt64(count)) }
        mutating func coin() -> Bool { random.next() % 2 == 0 }

        /// A configuration of a Deployment: scalars, labels, lists by key, atomic values.
        mutating func configuration() -> JSON {
            var object: JSON = ["apiVersion": "apps/v1", "kind": "Deployment", "metadata": ["name": "web"]]
            for key in ["a", "b"] where coin() { object["metadata", "labels", key] = .string("\(below(2))") }
            if coin() { object["spec", "replicas"] = .int(Int64(below(3))) }
            if coin() { object["spec", "paused"] = .bool(coin()) }
            if coin() { object["spec", "selector"] = ["matchLabels": ["x": .string("\(below(2))")]] }
            var containers: [JSON] = []
            for name in ["p", "q", "r"] where coin() {
                var container: JSON = ["name": .string(name)]
                if coin() { container["image"] = .string("i\(below(2))") }
                if coin() { container["env"] = [["name": "E", "value": .string("\(below(2))")]] }
                if coin() { container["command"] = ["sh"] }
                containers.insert(container, at: below(containers.count + 1))
            }
            if !containers.isEmpty { object["spec", "template", "spec", "containers"] = .array(containers) }
            return object
        }
    }

    /// Whether `object` has all that `configuration` says, with list elements found by their names.
    private static func holds(_ object: JSON, _ configuration: JSON) -> Bool {
        switch (object, configuration) {
        case (.object, .object(let members)):
            return members.allSatisfy { name, value in object[name].map { holds($0, value) } ?? false }
        case (.array(let have), .array(let want)) where want.first?["name"] != nil:
            return want.allSatisfy { element in
                have.contains { $0["name"] == element["name"] && holds($0, element) }
            }
        default: return object == configuration
        }
    }

    @Test(arguments: 0..<40 as Range<UInt64>)
    func anApplyHoldsAndASecondOneChangesNothing(seed: UInt64) throws {
        var draw = Draw(random: SplitMix64(seed: seed))
        var story = Story()
        for _ in 0..<25 {
            let name = ["x", "y", "z"][draw.below(3)]
            let configuration = draw.configuration()
            if draw.below(4) == 0 {
                story.update("u\(draw.below(2))") { object in
                    object = Patch.merge(configuration, into: object)
                }
                continue
            }
            let before = story
            do {
                try story.apply(name, configuration)
            } catch {
                #expect(story.object == before.object && story.managed == before.managed, "a refusal changes nothing")
                try story.apply(name, configuration, force: true)
            }
            #expect(Self.holds(story.object, configuration), "\(story.object) \(configuration)")
            let set = try Shape.of(.deployment).fieldSet(of: configuration)
            let owned = story.managed.entries.first { $0.manager.name == name && $0.manager.operation == .apply }
            let skipped: [[PathElement]] = [
                [.field("apiVersion")], [.field("kind")], [.field("metadata"), .field("name")],
            ]
            #expect((owned?.fields ?? FieldSet()) == set.subtracting(FieldSet(skipped)), "it owns what it set")
            let once = story
            try story.apply(name, configuration)
            #expect(story.object == once.object && story.managed == once.managed, "a second time is none")
        }
    }

    /// What an applier gives up and nobody else has is gone; what others have stays.
    @Test(arguments: 100..<130 as Range<UInt64>)
    func givingUpLeavesOnlyWhatOthersOwn(seed: UInt64) throws {
        var draw = Draw(random: SplitMix64(seed: seed))
        var story = Story()
        let (mine, theirs) = (draw.configuration(), draw.configuration())
        try story.apply("x", mine)
        try story.apply("y", theirs, force: true)
        try story.apply("x", ["metadata": ["name": "web"]])
        let shape = Shape.of(.deployment)
        var left = story.object
        left["metadata", "uid"] = nil
        let kept = try shape.fieldSet(of: theirs)
        let extra = try shape.fieldSet(of: left).subtracting(kept).paths.map(\.text).filter { $0 != ".metadata" }
        #expect(extra == [], "\(left) \(theirs)")
    }
}
