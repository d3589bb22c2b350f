import FuzzSupport
import MartletBase
import MartletObject
import Testing

@Suite struct FieldSetTests {
    private static func set(_ text: String) throws -> FieldSet { try FieldSet(fieldsV1: JSON(parsing: text.utf8)) }
    private static func text(_ set: FieldSet) -> String { String(decoding: set.fieldsV1.encoded(), as: UTF8.self) }

    @Test func theWrittenFormIsReadBackInCanonicalOrder() throws {
        let given =
            #"{"f:spec":{"f:ports":{"k:{\"port\":80,\"protocol\":\"TCP\"}":{"f:port":{},".":{}},"#
            + #""k:{\"port\":9,\"protocol\":\"TCP\"}":{}},"f:a":{}},"f:list":{"v:2":{},"v:\"x\"":{},"i:3":{}}}"#
        let set = try Self.set(given)
        #expect(
            set.paths.map(\.text) == [
                ".list[=2]", #".list[="x"]"#, ".list[3]", ".spec.a", #".spec.ports[port=9,protocol="TCP"]"#,
                #".spec.ports[port=80,protocol="TCP"]"#, #".spec.ports[port=80,protocol="TCP"].port"#,
            ])
        #expect(try Self.set(Self.text(set)) == set)
        #expect(
            Self.text(set)
                == #"{"f:list":{"v:2":{},"v:\"x\"":{},"i:3":{}},"f:spec":{"f:a":{},"f:ports":"#
                + #"{"k:{\"port\":9,\"protocol\":\"TCP\"}":{},"#
                + #""k:{\"port\":80,\"protocol\":\"TCP\"}":{".":{},"f:port":{}}}}}"#)
    }

    @Test func whatIsNoFieldSetIsRefused() {
        for text in [
            "[]", #"{"f:a":1}"#, #"{"x:a":{}}"#, #"{"f":{}}"#, #"{"k:[]":{}}"#, #"{"k:{}":{}}"#, #"{"v:{":{}}"#,
            #"{"i:x":{}}"#, #"{"":{}}"#,
        ] {
            #expect(throws: FieldSetError.self, "\(text)") { try Self.set(text) }
        }
    }

    @Test func setsAreJoinedCutAndSubtracted() throws {
        let a = try Self.set(#"{"f:x":{".":{},"f:y":{}},"f:z":{}}"#)
        let b = try Self.set(#"{"f:x":{"f:y":{},"f:w":{}}}"#)
        #expect(Self.text(a.union(b)) == #"{"f:x":{".":{},"f:w":{},"f:y":{}},"f:z":{}}"#)
        #expect(Self.text(a.intersection(b)) == #"{"f:x":{"f:y":{}}}"#)
        #expect(Self.text(a.subtracting(b)) == #"{"f:x":{},"f:z":{}}"#)
        let tree = try Self.set(#"{"f:x":{}}"#)
        #expect(Self.text(a.subtracting(tree)) == #"{"f:x":{"f:y":{}},"f:z":{}}"#)
        #expect(Self.text(a.subtractingTrees(tree)) == #"{"f:z":{}}"#)
        #expect(Self.text(a.within(tree)) == #"{"f:x":{".":{},"f:y":{}}}"#)
    }

    /// The laws of sets, against sets of paths.
    @Test func theAlgebraIsThatOfSetsOfPaths() {
        var random = SplitMix64(seed: 7)
        func draw() -> FieldSet {
            FieldSet(
                (0..<(random.next() % 6)).map { _ in
                    (0...(random.next() % 3)).map { _ in PathElement.field("\(random.next() % 3)") }
                })
        }
        for _ in 0..<500 {
            let (a, b) = (draw(), draw())
            let (left, right) = (Set(a.paths), Set(b.paths))
            #expect(Set(a.union(b).paths) == left.union(right))
            #expect(Set(a.intersection(b).paths) == left.intersection(right))
            #expect(Set(a.subtracting(b).paths) == left.subtracting(right))
            let trees = left.filter { path in !right.contains { path.starts(with: $0) } }
            #expect(Set(a.subtractingTrees(b).paths) == trees)
            #expect(Set(a.within(b).paths) == left.subtracting(trees))
            #expect(a.union(b).subtracting(b).isEmpty == left.isSubset(of: right))
        }
    }

    /// Whatever is written there, it is read or refused, and what is read is written back the same.
    @Test func fuzzedFieldSetsNeverTrap() {
        let seeds = [
            #"{"f:metadata":{"f:labels":{".":{},"f:app":{}}},"f:spec":{"f:replicas":{}}}"#,
            #"{"f:ports":{"k:{\"containerPort\":80,\"protocol\":\"TCP\"}":{".":{},"f:name":{}}}}"#,
            #"{"f:finalizers":{"v:\"a/b\"":{},"v:1.5":{},"v:null":{},"i:-4":{}}}"#,
        ]
        var random = SplitMix64(seed: 11)
        for round in 0..<4000 {
            var bytes = Array(seeds[round % seeds.count].utf8)
            for _ in 0...(random.next() % 4) {
                let place = Int(random.next() % UInt64(bytes.count))
                switch random.next() % 4 {
                case 0: bytes[place] = UInt8(truncatingIfNeeded: random.next())
                case 1: bytes.insert(contentsOf: bytes[place...].prefix(7), at: place)
                case 2: bytes.insert(contentsOf: "{\"f:".utf8, at: place)
                default: if bytes.count > 8 { bytes.remove(at: place) }
                }
            }
            guard let json = try? JSON(parsing: bytes), let set = try? FieldSet(fieldsV1: json) else { continue }
            #expect((try? FieldSet(fieldsV1: set.fieldsV1)) == set)
            _ = try? ManagedFields([
                ["operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": json]
            ])
        }
    }
}
