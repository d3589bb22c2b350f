internal import MartletObject

extension JSON {
    /// Whether two values mean the same: the order of an object's members does not count, as `==` would have it.
    func means(_ other: JSON?) -> Bool {
        guard let other else { return false }
        switch (self, other) {
        case (.object, .object):
            let (mine, theirs) = (members, other.members)
            return mine.count == theirs.count && mine.allSatisfy { $0.value.means(other[$0.key]) }
        case (.array(let mine), .array(let theirs)):
            return mine.count == theirs.count && zip(mine, theirs).allSatisfy { $0.means($1) }
        default: return self == other
        }
    }
}
