import MartletObject
import Testing

@Suite struct JSONHashTests {
    @Test func objectsThatDifferOnlyInValuesDoNotCollide() {
        let hashes = Set((0..<1000).map { JSON(members: [("name", .int(Int64($0))), ("port", 1)]).hashValue })
        #expect(hashes.count > 990)
        let (a, b): (JSON, JSON) = (["x": 1, "y": ["z": 2.0]], ["y": ["z": 2], "x": 1])
        #expect(a == b && a.hashValue == b.hashValue)
    }

    @Test func depthIsCounted() {
        let deep: JSON = ["a": [["b": 1]]]
        #expect(deep.isDeeper(than: 2) && !deep.isDeeper(than: 3))
    }
}

@Suite struct JSONEqualityTests {
    @Test func theOrderOfMembersMeansNothing() {
        let a: JSON = ["x": 1, "y": ["p": "q", "r": [1, 2]]]
        let b: JSON = ["y": ["r": [1, 2], "p": "q"], "x": 1]
        #expect(a == b)
        #expect(a.hashValue == b.hashValue)
        #expect(a.encoded() != b.encoded())
    }

    @Test func aWholeNumberMayBeWrittenWithAPoint() {
        #expect(JSON.int(1) == JSON.double(1) && JSON.int(1).hashValue == JSON.double(1).hashValue)
        #expect(JSON.int(1) != JSON.double(1.5))
        #expect(JSON.int((1 << 53) + 1) != JSON.double(9_007_199_254_740_992))
    }

    @Test func everythingElseDoes() {
        #expect(["x": 1] as JSON != ["x": 1, "y": nil] as JSON)
        #expect(["x": 1] as JSON != ["y": 1] as JSON)
        #expect([1, 2] as JSON != [2, 1] as JSON)
        #expect(JSON.int(1) != JSON.string("1"))
        #expect(JSON.null != JSON.bool(false))
    }
}
