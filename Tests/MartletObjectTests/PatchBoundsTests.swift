import MartletObject
import Testing

@Suite struct PatchBoundsTests {
    private func patched(_ operations: [JSON]) throws(PatchError) -> JSON {
        let object: JSON = ["metadata": ["name": "a"], "data": ["seed": .string(String(repeating: "x", count: 1000))]]
        return try Patch.apply(.array(operations), type: .json, to: object, kind: .configMap)
    }

    @Test func copiesOfCopiesAreRefusedBeforeTheyFillTheMemory() {
        // Each step puts all there is into itself: 40 doublings of a kilobyte would be a petabyte.
        let doublings: [JSON] = (0..<40).map { step in
            ["op": "copy", "from": "/data", "path": .string("/data/copy\(step)")]
        }
        #expect(throws: PatchError.self) { try patched(doublings) }
        do { _ = try patched(doublings) } catch {
            #expect(error.description.contains("exceeding the limit 3145728"))
        }
    }

    @Test func aFewCopiesAreFine() throws {
        let result = try patched([["op": "copy", "from": "/data/seed", "path": "/data/twin"]])
        #expect(result["data", "twin"] == result["data", "seed"])
    }

    @Test func nestingByCopyEndsAtTheParsersDepth() {
        var operations: [JSON] = [["op": "add", "path": "/deep", "value": [:]]]
        var path = "/deep"
        for _ in 0..<600 {
            operations.append(["op": "add", "path": .string(path + "/d"), "value": [:]])
            path += "/d"
        }
        #expect(throws: PatchError.self) { try patched(operations) }
    }

    @Test func manyOperationsOnALargeObjectStayQuick() throws {
        // Quadratic work here would take minutes, not a second.
        let operations: [JSON] = (0..<5000).map { ["op": "add", "path": .string("/data/k\($0)"), "value": "v"] }
        #expect(try patched(operations)["data"]?.members.count == 5001)
    }
}
