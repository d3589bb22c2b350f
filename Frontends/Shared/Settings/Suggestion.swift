/// What somebody may have meant.
enum Suggestion {
    /// The word that is the fewest changes of letters away; nil when none is near. `nodeName` and `node_name` are
    /// `node-name`.
    static func nearest(to word: String, among known: some Collection<String>) -> String? {
        let wanted = kebab(word)
        let candidates = known.map { (changes(Array(wanted), Array($0)), $0) }.sorted { $0 < $1 }
        guard let (distance, name) = candidates.first, distance <= max(1, wanted.count / 3) else { return nil }
        return name
    }

    private static func kebab(_ word: String) -> String {
        var name = ""
        var wasLower = false
        for letter in word {
            if letter.isUppercase, wasLower { name += "-" }
            name += letter == "_" ? "-" : letter.lowercased()
            wasLower = letter.isLowercase || letter.isNumber
        }
        return name
    }

    /// How many letters are put in, taken out, replaced, or changed with their neighbour (Damerau and Levenshtein).
    static func changes(_ one: [Character], _ other: [Character]) -> Int {
        var before: [Int] = []
        var last = Array(0...other.count)
        for row in one.indices {
            var next = [row + 1]
            for column in other.indices {
                var least = min(last[column + 1], next[column]) + 1
                least = min(least, last[column] + (one[row] == other[column] ? 0 : 1))
                if row > 0, column > 0, one[row] == other[column - 1], one[row - 1] == other[column] {
                    least = min(least, before[column - 1] + 1)
                }
                next.append(least)
            }
            (before, last) = (last, next)
        }
        return last[other.count]
    }
}
