internal import Glibc

/// What all fuzz tests share: how often they run, and how they spoil bytes.
public enum Fuzz {
    /// Rounds of a fuzz test: `smoke` in `make test`, as many as `MARTLET_FUZZ_RUNS` says in `make fuzz`.
    public static func runs(_ smoke: Int) -> Int {
        guard let text = getenv("MARTLET_FUZZ_RUNS"), let runs = Int(String(cString: text)), runs > 0 else {
            return smoke
        }
        return runs
    }

    /// Where a fuzz test's randomness begins: `smoke`, or what `MARTLET_FUZZ_SEED` says.
    public static func seed(_ smoke: UInt64) -> UInt64 {
        getenv("MARTLET_FUZZ_SEED").flatMap { UInt64(String(cString: $0)) } ?? smoke
    }

    /// The bytes with some changed, cut, doubled, moved, put in or set to a value that codecs stumble over.
    public static func spoiled(_ bytes: [UInt8], _ random: inout some RandomNumberGenerator) -> [UInt8] {
        var bytes = bytes
        for _ in 0...Int.random(in: 0..<4, using: &random) where !bytes.isEmpty {
            let place = Int.random(in: 0..<bytes.count, using: &random)
            let end = min(bytes.count, place + Int.random(in: 1...16, using: &random))
            switch Int.random(in: 0..<8, using: &random) {
            case 0: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            case 1: bytes[place] = UInt8.random(in: 0...255, using: &random)
            case 2: bytes.removeSubrange(place...)
            case 3: bytes.removeSubrange(place..<end)
            case 4: bytes.insert(UInt8.random(in: 0...255, using: &random), at: place)
            case 5: bytes.insert(contentsOf: bytes[place..<end], at: Int.random(in: 0...bytes.count, using: &random))
            case 6: bytes.replaceSubrange(place..<end, with: repeatElement(0xff, count: end - place))
            default: bytes.replaceSubrange(place..<end, with: repeatElement(0, count: end - place))
            }
        }
        return bytes
    }
}
