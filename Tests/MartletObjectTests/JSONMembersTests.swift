import MartletObject
import Testing

@Suite struct JSONMembersTests {
    /// Small objects and ones whose places are remembered.
    @Test(arguments: [3, 31, 32, 33, 34, 500]) func membersKeepTheirOrderAndAreFound(count: Int) {
        var members = JSON.Members()
        for number in 0..<count { members["name-\(number)"] = .int(Int64(number)) }
        #expect(members.map(\.key) == (0..<count).map { "name-\($0)" })
        for number in 0..<count {
            #expect(members["name-\(number)"] == .int(Int64(number)))
            #expect(members.index(forKey: "name-\(number)") == number)
        }
        #expect(members["name"] == nil)

        #expect(members.updateValue("new", forKey: "name-1") == 1)
        #expect(members.removeValue(forKey: "name-0") == 0)
        #expect(members.removeValue(forKey: "name-0") == nil)
        #expect(members.keys.first == "name-1" && members.index(forKey: "name-2") == 1 && members.count == count - 1)

        members.insert("first", forKey: "name-0", at: 0)
        members.sort { $0.key > $1.key }
        #expect(members.last?.key == "name-0" && members["name-0"] == "first" && members["name-1"] == "new")
        members.removeAll { $0.key != "name-2" }
        #expect(members == ["name-2": 2] && members["name-2"] == 2 && members["name-1"] == nil)
    }

    @Test func aNameGivenTwiceKeepsItsPlaceAndItsLastValue() {
        #expect(JSON(members: [("a", 1), ("b", 2), ("a", 3)]) == ["a": 3, "b": 2])
        let many = (0..<100).map { (key: "\($0 % 50)", value: JSON.int(Int64($0))) }
        let members = JSON.Members(many)
        #expect(members.count == 50 && members["0"] == 50 && members.keys.first == "0")
    }

    @Test func orderCounts() {
        #expect(["a": 1, "b": 2] as JSON.Members != ["b": 2, "a": 1] as JSON.Members)
        #expect((["a": 1] as JSON.Members).hashValue == (["a": 1] as JSON.Members).hashValue)
    }

    /// Composed and decomposed, and two signs that Unicode holds to be one.
    @Test(arguments: [("\u{e9}", "e\u{301}"), ("\u{f900}", "\u{8c48}")])
    func namesAreToldApartByTheirBytes(one: String, other: String) throws {
        #expect(one == other)
        var members: JSON.Members = [:]
        for (name, value) in [(one, JSON.int(1)), (other, 2)] { members[name] = value }
        #expect(members.count == 2 && members[one] == 1 && members[other] == 2)
        for number in 0..<100 { members["\(number)"] = 0 }
        #expect(members.count == 102 && members[one] == 1 && members[other] == 2)
        var duplicates: [String] = []
        _ = try JSON(parsing: Array("{\"\(one)\":1,\"\(other)\":2}".utf8), duplicates: &duplicates)
        #expect(duplicates.isEmpty)
    }

    /// Every length around the eight bytes that are looked at together, with what must be escaped at every place.
    @Test func textsAreWrittenAndReadBack() throws {
        for length in 0...20 {
            for place in 0...length {
                for odd in ["", "\"", "\\", "\u{1}", "\n", "\u{1f}", "\u{7f}", "\u{e9}", "\u{80}", "!"] {
                    let before = String(repeating: "a", count: place)
                    let text = before + odd + String(repeating: "z", count: length - place)
                    #expect(try JSON(parsing: JSON.string(text).encoded()) == .string(text))
                }
            }
        }
        #expect(JSON.string("a\u{1f}\u{8}\u{b}\"\\/").encoded() == Array(#""a\u001f\b\u000b\"\\/""#.utf8))
    }

    @Test(arguments: [0, 7, 10, 99, 100, -1, -10, .max, .min] as [Int64]) func numbersAreWritten(number: Int64) {
        #expect(JSON.int(number).encoded() == Array("\(number)".utf8))
    }
}
