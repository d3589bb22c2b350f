import Testing

@testable import Martlet

@Suite struct RecentSetTests {
    @Test func theOldestMemberGoesWhenItIsFull() {
        var set = RecentSet<Int>(limit: 3)
        for member in [1, 2, 3, 2, 4] { set.insert(member) }
        #expect((0...5).filter(set.contains) == [2, 3, 4])
        for member in 10..<20 { set.insert(member) }
        #expect((0..<20).filter(set.contains) == [17, 18, 19])
    }
}
